"""All that changes in Redis when a job of RQ's is put where its record says."""

from __future__ import annotations

import pytest

from scene import Scene, at
from sesq.queue.job import job_fields
from sesq.queue.states import State
from sesq.worker.reconcile import RESTORE

URGENT, BULK = "sesq.default.transactional", "sesq.default.bulk"


def restored(scene: Scene, id: str, *, since: float = 0.0, front: int = 0) -> object:
    """The script's answer; it looks at what has not changed for `since` seconds. It finds the lane and the time
    that the record stays by itself.
    """
    scene.see()
    fields = job_fields(id, "any", f"sesq message {id}")
    return RESTORE.run(scene.redis, "default", id, scene.now - since, front, *fields)


def test_its_job_was_deleted(scene: Scene) -> None:
    id = scene.queue()
    scene.redis.delete(f"rq:job:{id}", f"rq:queue:{URGENT}", "rq:queues")
    scene.queue()
    assert restored(scene, id) == 1
    scene.expect("""
        + counters queued = 1
        + message:<1> history 1 = [now,"queued","its RQ job had been taken away"]
        + message:<1> reason = its RQ job had been taken away
        + rq:job:<1> created_at = <host time>
        + rq:job:<1> data = ["sesq.worker.send", null, ["<1>"], {}]
        + rq:job:<1> description = sesq message <1>
        + rq:job:<1> enqueued_at = <host time>
        + rq:job:<1> origin = transactional
        + rq:job:<1> status = queued
        + rq:job:<1> worker_name = ''
        ~ rq:queue:transactional = <2> -> <2>, <1>
        ! wake = urgent
    """)


def test_a_worker_of_rq_had_taken_it(scene: Scene) -> None:
    id = scene.queue()
    scene.queue()
    scene.redis.lpop(f"rq:queue:{URGENT}")
    scene.redis.hset(f"rq:job:{id}", "status", "started")
    assert restored(scene, id) == b"front"
    scene.expect("")
    assert restored(scene, id, front=1) == 1
    scene.expect("""
        + counters queued = 1
        + message:<1> history 1 = [now,"queued","its RQ job had been taken away"]
        + message:<1> reason = its RQ job had been taken away
        ~ rq:job:<1> status = started -> queued
        + rq:job:<1> worker_name = ''
        ~ rq:queue:transactional = <2> -> <1>, <2>
        ! wake = urgent
    """)


def test_it_is_held_and_rq_shows_it_in_another_lane(scene: Scene) -> None:
    grant = scene.granted()
    scene.settle(grant, State.HELD, hold="person")
    scene.redis.zrem(f"rq:deferred:{URGENT}", grant.id)
    scene.redis.zadd(f"rq:failed:{BULK}", {grant.id: 1})
    scene.redis.hset(f"rq:job:{grant.id}", "origin", BULK)
    assert restored(scene, grant.id) == 1
    scene.expect("""
        + rq:deferred:transactional <1> = now
        - rq:failed:bulk <1> = 1.0
        ~ rq:job:<1> origin = bulk -> transactional
    """)


def test_it_is_scheduled_and_rq_shows_it_nowhere(scene: Scene) -> None:
    id = scene.queue(send_at=at(scene.now + 60))
    scene.redis.zrem(f"rq:scheduled:{URGENT}", id)
    assert restored(scene, id) == 1
    scene.expect("""
        + rq:job:<1> worker_name = ''
        + rq:scheduled:transactional <1> = now+60
    """)


def test_another_try_is_due_when_rq_says_so(scene: Scene) -> None:
    grant = scene.granted()
    scene.settle(grant, State.RETRYING, attempts=1, delay=60.0)
    scene.redis.hset(f"rq:job:{grant.id}", "status", "failed")
    scene.redis.expire(f"rq:job:{grant.id}", 60)
    assert restored(scene, grant.id) == 1
    scene.expect("""
        - rq:job:<1> TTL = 1min
        ~ rq:job:<1> status = failed -> scheduled
    """)


def test_rq_was_told_to_cancel_it(scene: Scene) -> None:
    id = scene.queue()
    scene.redis.hset(f"rq:job:{id}", "status", "canceled")
    scene.redis.zadd(f"rq:canceled:{BULK}", {id: 1})
    scene.redis.delete(f"rq:queue:{URGENT}")
    assert restored(scene, id) == b"canceled"
    scene.expect("""
        - rq:canceled:bulk <1> = 1.0
    """)


def test_it_was_sent_and_rq_calls_it_failed(scene: Scene) -> None:
    grant = scene.granted()
    scene.settle(grant, State.SENT, message_id="m-1")
    scene.redis.zrem(f"rq:finished:{URGENT}", grant.id)
    scene.redis.zadd(f"rq:failed:{URGENT}", {grant.id: 1})
    scene.redis.hset(f"rq:job:{grant.id}", "status", "failed")
    scene.redis.persist(f"rq:job:{grant.id}")
    assert restored(scene, grant.id) == 1
    scene.expect("""
        - rq:failed:transactional <1> = 1.0
        + rq:finished:transactional <1> = real+14d
        + rq:job:<1> TTL = 14d
        ~ rq:job:<1> status = failed -> finished
    """)


def test_it_stands_in_its_lane_and_rq_calls_it_something_else(scene: Scene) -> None:
    id = scene.queue()
    scene.redis.hset(f"rq:job:{id}", mapping={"status": "deferred", "origin": BULK})
    scene.redis.expire(f"rq:job:{id}", 60)
    scene.redis.zadd(f"rq:deferred:{URGENT}", {id: 1})
    assert restored(scene, id) == 1
    scene.expect("""
        - rq:deferred:transactional <1> = 1.0
        - rq:job:<1> TTL = 1min
        ~ rq:job:<1> origin = bulk -> transactional
        ~ rq:job:<1> status = deferred -> queued
    """)


def test_its_entry_in_its_lane_is_stale(scene: Scene) -> None:
    ids = [scene.queue() for _ in range(3)]
    scene.redis.sadd(scene.keys.stale(URGENT), ids[1])
    assert restored(scene, ids[1]) == 1
    scene.expect("""
        + counters queued = 1
        + message:<2> history 1 = [now,"queued","its RQ job had been taken away"]
        + message:<2> reason = its RQ job had been taken away
        + rq:job:<2> worker_name = ''
        - stale:transactional <2> = in it
        ! wake = urgent
    """)


def test_a_chunk_is_in_no_queue(scene: Scene) -> None:
    chunk = f"{scene.take(2).id}-0"
    scene.redis.delete(f"rq:queue:{BULK}", f"rq:job:{chunk}")
    assert restored(scene, chunk) == 1
    scene.expect("""
        + rq:job:<b>-0 created_at = <host time>
        + rq:job:<b>-0 data = ["sesq.worker.send", null, ["<b>-0"], {}]
        + rq:job:<b>-0 description = sesq message <b>-0
        + rq:job:<b>-0 enqueued_at = <host time>
        + rq:job:<b>-0 origin = bulk
        + rq:job:<b>-0 status = queued
        + rq:job:<b>-0 worker_name = ''
        + rq:queue:bulk = <b>-0
        ! wake = ''
    """)


def test_a_chunk_of_a_paused_batch_stays_where_it_is(scene: Scene) -> None:
    batch = scene.take(2).id
    scene.batches.pause(batch, "a look")
    scene.redis.delete(f"rq:queue:{BULK}")
    assert restored(scene, f"{batch}-0") == 0
    scene.expect("")


@pytest.mark.parametrize("deleted", [True, False])
def test_nothing_is_done_for_what_was_sent_and_is_right_or_was_deleted(scene: Scene, deleted: bool) -> None:
    grant = scene.granted()
    scene.settle(grant, State.SENT, message_id="m-1")
    if deleted:
        scene.redis.delete(f"rq:job:{grant.id}")
        scene.redis.zrem(f"rq:finished:{URGENT}", grant.id)
    assert restored(scene, grant.id) == 0
    scene.expect("")


def test_nothing_is_done_for_what_has_just_changed_or_is_being_sent(scene: Scene) -> None:
    id = scene.queue()
    scene.redis.delete(f"rq:queue:{URGENT}")
    assert restored(scene, id, since=0.5) == 0
    scene.expect("")
    grant = scene.granted()
    scene.redis.delete(f"rq:job:{grant.id}")
    assert restored(scene, grant.id) == 0
    scene.expect("")
