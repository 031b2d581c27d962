"""All that changes in Redis when the auditor mends a message of which everything is wrong."""

from __future__ import annotations

import json

from scene import Scene, at
from sesq.queue.audit.repair import MEND, MEND_ORPHAN
from sesq.queue.job import job_fields
from sesq.queue.states import State

URGENT, BULK = "sesq.default.transactional", "sesq.default.bulk"


def mended(scene: Scene, id: str, *, in_lane: int = 0, runs: object = (), lanes: object = ()) -> list[bytes]:
    """What the script says that it did."""
    scene.see()
    job = json.dumps(job_fields(id, URGENT, f"sesq message {id}"))
    done: list[bytes] = MEND.run(
        scene.redis, "default", id, in_lane, json.dumps(runs), json.dumps(lanes), job
    )
    return done


def test_a_queued_message(scene: Scene) -> None:
    id = scene.queue(expires_at=at(scene.now + 60))
    keys, redis = scene.keys, scene.redis
    redis.delete(f"rq:queue:{URGENT}", f"rq:job:{id}", keys.expiring, keys.state(State.QUEUED))
    redis.hset(keys.message(id), "hold", "person")
    redis.zadd(keys.hold("person"), {id: 1})
    redis.hset(keys.holds, "person", "a person")
    redis.zadd(keys.state(State.SENT), {id: 1})
    redis.zadd(keys.leases, {id: 1})
    redis.zadd(f"rq:wip:{URGENT}", {f"{id}:old": 1})
    redis.expire(keys.message(id), 3600)
    redis.expire(keys.content(id), 3600)
    scene.expect(
        """
        > given an RQ job
        > it waits for person no longer
        > its end is looked for
        > its entry in queue bulk is called stale
        > its lease is ended
        > put among those that are queued
        > put into its lane
        > sesq:default:content:<1> expires no more
        > sesq:default:message:<1> expires no more
        > taken out of sent
        > taken out of those that run
        - content:<1> TTL = 60min
        + expiring <1> = now+60
        - hold:person <1> = 1.0
        - holds = all of it
        - leases <1> = 1.0
        - message:<1> TTL = 60min
        ~ message:<1> hold = person -> ''
        + rq:job:<1> created_at = <host time>
        + rq:job:<1> data = ["sesq.worker.send", null, ["<1>"], {}]
        + rq:job:<1> description = sesq message <1>
        + rq:job:<1> enqueued_at = <host time>
        + rq:job:<1> origin = transactional
        + rq:job:<1> status = queued
        + rq:job:<1> worker_name = ''
        + rq:queue:transactional = <1>
        - rq:wip:transactional <1>:old = 1.0
        + stale:bulk <1> = in it
        + state:queued <1> = now
        - state:sent <1> = 1.0
        ! wake = urgent
    """,
        mended(scene, id, runs=[[URGENT, f"{id}:old"]], lanes=[BULK]),
    )
    assert mended(scene, id, in_lane=1) == []
    scene.expect("")


def test_a_message_that_is_being_sent(scene: Scene) -> None:
    grant = scene.granted()
    scene.redis.delete(scene.keys.leases, f"rq:wip:{URGENT}")
    scene.redis.zadd(f"rq:deferred:{URGENT}", {grant.id: 1})
    scene.expect(
        """
        > given a lease of a minute
        > put into what RQ calls wip
        > taken out of those that run
        + leases <1> = now+60
        - rq:deferred:transactional <1> = 1.0
        ~ rq:job:<1> worker_name = w -> ''
        + rq:wip:transactional <1>:x-1 = inf
    """,
        mended(scene, grant.id, runs=[[BULK, f"{grant.id}:x-1"], [BULK, f"{grant.id}:y"]]),
    )
    assert mended(scene, grant.id) == []


def test_a_held_message(scene: Scene) -> None:
    grant = scene.granted()
    scene.settle(grant, State.HELD, "A look.", hold="person")
    scene.pass_time(5)
    scene.redis.delete(scene.keys.hold("person"), scene.keys.holds)
    scene.expect(
        """
        > put among those that wait for person
        > the reason of person is written again
        + hold:person <1> = now-5
        + holds person = A look.
    """,
        mended(scene, grant.id),
    )


def test_a_message_that_waits_for_another_try(scene: Scene) -> None:
    grant = scene.granted()
    scene.settle(grant, State.RETRYING, attempts=1, delay=60.0)
    scene.redis.hset(f"rq:job:{grant.id}", "status", "failed")
    scene.expect(
        """
        > put into what RQ calls scheduled
        ~ rq:job:<1> status = failed -> scheduled
    """,
        mended(scene, grant.id),
    )


def test_an_ended_message(scene: Scene) -> None:
    grant = scene.granted()
    scene.settle(grant, State.FAILED)
    for key in (scene.keys.message(grant.id), scene.keys.content(grant.id), f"rq:job:{grant.id}"):
        scene.redis.persist(key)
    scene.expect(
        """
        > rq:job:<1> expires
        > sesq:default:content:<1> expires
        > sesq:default:message:<1> expires
        + content:<1> TTL = 14d
        + message:<1> TTL = 14d
        + rq:job:<1> TTL = 14d
    """,
        mended(scene, grant.id),
    )


def test_a_row_on_its_way(scene: Scene) -> None:
    scene.take(2)
    grant = scene.started()
    scene.redis.zrem(scene.keys.leases, grant.id)
    scene.expect(
        """
        > given a lease of a minute
        + leases <b>-0-0 = now+60
    """,
        mended(scene, grant.id),
    )


def test_what_is_left_of_a_message_without_a_record(scene: Scene) -> None:
    ids = [scene.queue() for _ in range(3)]
    id, keys, redis = ids[1], scene.keys, scene.redis
    redis.delete(keys.message(id))
    redis.zadd(keys.leases, {id: 1})
    redis.zadd(keys.expiring, {id: 1})
    redis.zadd(f"rq:failed:{BULK}", {id: 1})
    redis.zadd(f"rq:wip:{URGENT}", {f"{id}:x": 1})
    scene.see()
    runs, lanes = json.dumps([[URGENT, f"{id}:x"]]), json.dumps([URGENT])
    assert MEND_ORPHAN.run(redis, "default", id, lanes, runs, URGENT, BULK) == 8
    scene.expect("""
        - content:<2> = {"v":1,"subject":"Hi","text":"Hello."}
        - expiring <2> = 1.0
        - leases <2> = 1.0
        - rq:failed:bulk <2> = 1.0
        - rq:job:<2> = all of it
        - rq:wip:transactional <2>:x = 1.0
        + stale:transactional <2> = in it
        - state:queued <2> = now
    """)
    assert MEND_ORPHAN.run(redis, "default", ids[0], lanes, runs, URGENT, BULK) == 0
    scene.expect("")
