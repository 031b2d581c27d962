"""All that changes in Redis when the auditor mends a chunk, or a batch."""

from __future__ import annotations

import json

from scene import Scene
from sesq.queue.audit.repair import MEND_BATCH, MEND_CHUNK, MEND_KEEPING
from sesq.queue.batches import TAKE_LOST_ROW
from sesq.queue.job import job_fields
from sesq.queue.states import State

URGENT, BULK = "sesq.default.transactional", "sesq.default.bulk"


def test_a_chunk(scene: Scene) -> None:
    chunk = f"{scene.take(3).id}-0"
    scene.started()
    scene.redis.hset(scene.keys.chunk(chunk), "out", 2)
    scene.redis.delete(f"rq:queue:{BULK}", f"rq:job:{chunk}")
    scene.redis.zadd(f"rq:wip:{BULK}", {f"{chunk}:rows": 1})
    scene.see()
    job = json.dumps(job_fields(chunk, BULK, "sesq chunk"))
    runs, lanes = json.dumps([[BULK, f"{chunk}:rows"]]), json.dumps([URGENT])
    done = MEND_CHUNK.run(scene.redis, "default", chunk, 1, 0, runs, lanes, job)
    scene.expect(
        """
        > 1 rows on their way are counted
        > given an RQ job
        > its entry in queue transactional is called stale
        > put into its lane
        > taken out of those that run
        ~ chunk:<b>-0 out = 2 -> 1
        + rq:job:<b>-0 created_at = <host time>
        + rq:job:<b>-0 data = ["sesq.worker.send", null, ["<b>-0"], {}]
        + rq:job:<b>-0 description = sesq chunk
        + rq:job:<b>-0 enqueued_at = <host time>
        + rq:job:<b>-0 origin = bulk
        + rq:job:<b>-0 status = queued
        + rq:job:<b>-0 worker_name = ''
        + rq:queue:bulk = <b>-0
        - rq:wip:bulk <b>-0:rows = 1.0
        + stale:transactional <b>-0 = in it
    """,
        done,
    )


def test_a_batch(scene: Scene) -> None:
    batch = scene.take(3).id
    redis, keys = scene.redis, scene.keys
    redis.hset(keys.batch(batch), mapping={"n:taken": 9, "total": 8, "jobs": 7, "starts_at": scene.now + 60})
    redis.delete(keys.batches)
    scene.see()
    parked, counted = json.dumps([f"{batch}-0"]), json.dumps({"waiting": 3, "taken": 0})

    def mend(was: dict[str, int]) -> list[bytes]:
        done: list[bytes] = MEND_BATCH.run(redis, "default", batch, json.dumps(was), counted, 1, parked, 3)
        return done

    # it has changed since it was read
    assert mend({"waiting": 2, "taken": 9}) == []
    scene.expect("")
    scene.expect(
        """
        > 0 of its rows are taken
        > 1 queued chunks are counted
        > <b>-0 is parked
        > it has 3 rows
        > it is put among the batches
        > its time is looked for
        ~ batch:<b> jobs = 7 -> 1
        ~ batch:<b> n:taken = 9 -> 0
        ~ batch:<b> total = 8 -> 3
        + batches <b> = now
        + parked:<b> = <b>-0
        + starting <b> = now+60
    """,
        mend({"waiting": 3, "taken": 9}),
    )


def test_a_batch_that_has_ended(scene: Scene) -> None:
    batch = scene.take(1).id
    scene.settle(scene.started(), State.SENT, message_id="m-1")
    scene.redis.hdel(scene.keys.batch(batch), "ended")
    scene.redis.hset(scene.keys.batch(batch), "state", "running")
    scene.redis.persist(scene.keys.chunk(f"{batch}-0"))
    scene.see()
    counts = json.dumps({"taken": 1})
    assert MEND_BATCH.run(scene.redis, "default", batch, counts, counts, 0, "[]", 1) == [b"it has ended"]
    scene.expect("""
        + batch:<b> ended = now
        ~ batch:<b> state = running -> done
        + chunk:<b>-0 TTL = 14d
    """)


def test_the_keys_of_a_batch_that_has_ended(scene: Scene) -> None:
    batch = scene.take(1).id
    scene.settle(scene.started(), State.SENT, message_id="m-1")
    scene.redis.persist(scene.keys.rows(f"{batch}-0"))
    scene.redis.persist(scene.keys.template(batch))
    scene.see()
    assert MEND_KEEPING.run(scene.redis, "default", batch, 1) == 0
    scene.expect("""
        + rows:<b>-0 TTL = 14d
        + template:<b> TTL = 14d
    """)
    assert MEND_KEEPING.run(scene.redis, "default", "gone", 1) == 0
    scene.expect("")


def test_ses_has_the_mail_of_a_row_of_a_lost_chunk(scene: Scene) -> None:
    chunk = f"{scene.take(3).id}-0"
    scene.started()
    scene.redis.hset(scene.keys.chunk(chunk), mapping={"lost": "It was lost.", "redo": "1-2"})
    scene.redis.hset(scene.keys.batch(chunk[:-2]), "n:failed", 1)
    scene.redis.expire(scene.keys.chunk(chunk), 3600)
    scene.see()
    # a row that is on its way, and one that waits
    assert TAKE_LOST_ROW.run(scene.redis, "default", chunk, 0, "m-0") == 0
    assert TAKE_LOST_ROW.run(scene.redis, "default", chunk, 1, "m-1") == 0
    scene.expect("")
    assert TAKE_LOST_ROW.run(scene.redis, "default", chunk, 2, "m-2") == 1
    assert TAKE_LOST_ROW.run(scene.redis, "default", chunk, 2, "m-2") == 1
    scene.expect("""
        ~ batch:<b> n:failed = 1 -> 0
        + batch:<b> n:taken = 1
        + chunk:<b>-0 found = 2
        + log:<b>-0 = now 2:m-2
        + log:<b>-0 TTL = 60min
        + unpacked <b>-0 = in it
    """)
