"""All that changes in Redis when a claim meets, at the head of a lane, what may not be sent."""

from __future__ import annotations

from scene import Scene, at
from sesq.queue.states import State

URGENT, BULK = "rq:queue:sesq.default.transactional", "rq:queue:sesq.default.bulk"
TWO = ["ada@example.org", "bob@example.org"]


def cleared(scene: Scene) -> None:
    """A claim grants nothing, and is asked no more."""
    claim = scene.ask()
    assert (claim.reason, claim.wait, claim.ids) == ("empty", 0, ())


def test_its_time_ran_out(scene: Scene) -> None:
    scene.queue(expires_at=at(scene.now + 5))
    scene.pass_time(5)
    scene.see()
    cleared(scene)
    scene.expect("""
        + content:<1> TTL = 14d
        + counters expired = 1
        - expiring <1> = now
        + gate claims = 1
        + message:<1> TTL = 14d
        + message:<1> history 1 = [now,"expired","its time ran out before it could go"]
        + message:<1> reason = its time ran out before it could go
        ~ message:<1> since = now-5 -> now
        ~ message:<1> state = queued -> expired
        + rq:failed:transactional <1> = real+14d
        + rq:job:<1> TTL = 14d
        ~ rq:job:<1> status = queued -> failed
        + rq:job:<1> worker_name = ''
        - rq:queue:transactional = <1>
        + state:expired <1> = now
        - state:queued <1> = now-5
    """)


def test_rq_has_queued_what_is_held(scene: Scene) -> None:
    id = scene.queue()
    scene.settle(scene.started(), State.HELD, hold="person")
    scene.redis.rpush(URGENT, id)
    scene.redis.hset(f"rq:job:{id}", "status", "queued")
    scene.see()
    claim = scene.ask()
    assert claim.ids == (id,)
    scene.expect("""
        ~ counters sending = 1 -> 2
        ~ gate claims = 1 -> 2
        ~ gate level = 49 -> 48
        ~ gate on_way = 0 -> 1
        ~ gate total = 1 -> 2
        - hold:person <1> = now
        - holds = all of it
        + leases <1> = now+30
        ~ ledger minute now-22 = 1 -> 2
        ~ message:<1> claim_id = x-1 -> x-2
        + message:<1> history 3 = [now,"sending","w"]
        ~ message:<1> hold = person -> ''
        ~ message:<1> reason = Because. -> w
        ~ message:<1> started_at = now -> ''
        ~ message:<1> state = held -> sending
        ~ message:<1> tokens_at = '' -> now
        - rq:deferred:transactional <1> = now
        ~ rq:job:<1> status = queued -> started
        ~ rq:job:<1> worker_name = '' -> w
        - rq:queue:transactional = <1>
        + rq:wip:transactional <1>:x-2 = inf
        - state:held <1> = now
        + state:sending <1> = now
    """)


def test_rq_has_queued_what_was_sent(scene: Scene) -> None:
    id = scene.queue()
    scene.work()
    scene.redis.rpush(URGENT, id)
    scene.redis.hset(f"rq:job:{id}", "status", "queued")
    scene.redis.zrem("rq:finished:sesq.default.transactional", id)
    scene.see()
    cleared(scene)
    scene.expect("""
        ~ gate claims = 1 -> 2
        + rq:finished:transactional <1> = real+14d
        ~ rq:job:<1> status = queued -> finished
        - rq:queue:transactional = <1>
    """)


def test_rq_has_queued_what_is_for_later(scene: Scene) -> None:
    id = scene.queue(send_at=at(scene.now + 60))
    scene.redis.rpush(URGENT, id)
    scene.redis.zrem("rq:scheduled:sesq.default.transactional", id)
    scene.redis.hset(f"rq:job:{id}", "status", "queued")
    scene.see()
    cleared(scene)
    scene.expect("""
        + gate claims = 1
        ~ rq:job:<1> status = queued -> scheduled
        + rq:job:<1> worker_name = ''
        - rq:queue:transactional = <1>
        + rq:scheduled:transactional <1> = now+60
    """)


def test_what_is_being_sent_stands_in_its_lane_too(scene: Scene) -> None:
    id = scene.queue()
    scene.ask()
    scene.redis.rpush(URGENT, id)
    scene.see()
    cleared(scene)
    scene.expect("""
        ~ gate claims = 1 -> 2
        - rq:queue:transactional = <1>
    """)


def test_entries_that_are_stale(scene: Scene) -> None:
    ids = [scene.queue() for _ in range(4)]
    for id in ids[1:3]:
        scene.messages.cancel(id, "ada")
    scene.messages.cancel(ids[0], "ada")
    scene.messages.cancel(ids[3], "ada")
    scene.see()
    cleared(scene)
    scene.expect("""
        + gate claims = 1
        - rq:queue:transactional = <2>, <3>
        - stale:transactional <2> = in it
        - stale:transactional <3> = in it
    """)


def test_a_list_of_stale_entries_ends_with_its_queue(scene: Scene) -> None:
    ids = [scene.queue() for _ in range(3)]
    scene.messages.cancel(ids[1], "ada")
    scene.redis.delete(URGENT)
    scene.see()
    cleared(scene)
    scene.expect("""
        + gate claims = 1
        - stale:transactional <2> = in it
    """)


def test_a_job_that_is_not_ours(scene: Scene) -> None:
    scene.redis.rpush(BULK, "stranger")
    scene.see()
    claim = scene.ask()
    assert (claim.reason, claim.unknown_jobs) == ("empty", ("stranger",))
    scene.expect("""
        + gate claims = 1
        - rq:queue:bulk = stranger
    """)
