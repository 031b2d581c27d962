"""All that changes in Redis when a person cancels, releases or puts off a message."""

from __future__ import annotations

import pytest

from scene import Scene, at
from sesq.config.errors import WrongState
from sesq.queue.states import State


def waits(scene: Scene, state: State, **told: object) -> str:
    """A message that came to a state; what that left is seen, and two seconds have passed."""
    grant = scene.granted()
    scene.settle(grant, state, **told)  # type: ignore[arg-type]
    scene.pass_time(2)
    scene.see()
    return grant.id


def test_cancels_what_is_queued(scene: Scene) -> None:
    id = scene.queue()
    scene.see()
    scene.messages.cancel(id, "ada")
    scene.expect("""
        - content:<1> = {"v":1,"subject":"Hi","text":"Hello."}
        + counters cancelled = 1
        + message:<1> TTL = 14d
        + message:<1> history 1 = [now,"cancelled","cancelled by ada"]
        + message:<1> reason = cancelled by ada
        ~ message:<1> state = queued -> cancelled
        + rq:canceled:transactional <1> = real+14d
        + rq:job:<1> TTL = 14d
        ~ rq:job:<1> status = queued -> canceled
        + rq:job:<1> worker_name = ''
        - rq:queue:transactional = <1>
        + state:cancelled <1> = now
        - state:queued <1> = now
    """)


def test_cancels_what_is_in_the_middle_of_its_lane_and_scheduled(scene: Scene) -> None:
    ids = [scene.queue() for _ in range(3)]
    later = scene.queue(send_at=at(scene.now + 60), expires_at=at(scene.now + 90))
    scene.see()
    scene.messages.cancel(ids[1], "ada")
    scene.expect("""
        - content:<2> = {"v":1,"subject":"Hi","text":"Hello."}
        + counters cancelled = 1
        + message:<2> TTL = 14d
        + message:<2> history 1 = [now,"cancelled","cancelled by ada"]
        + message:<2> reason = cancelled by ada
        ~ message:<2> state = queued -> cancelled
        + rq:canceled:transactional <2> = real+14d
        + rq:job:<2> TTL = 14d
        ~ rq:job:<2> status = queued -> canceled
        + rq:job:<2> worker_name = ''
        + stale:transactional <2> = in it
        + state:cancelled <2> = now
        - state:queued <2> = now
    """)
    scene.messages.cancel(later, "ada")
    scene.expect("""
        - content:<4> = {"v":1,"subject":"Hi","text":"Hello."}
        ~ counters cancelled = 1 -> 2
        - expiring <4> = now+90
        + message:<4> TTL = 14d
        + message:<4> history 1 = [now,"cancelled","cancelled by ada"]
        + message:<4> reason = cancelled by ada
        ~ message:<4> state = scheduled -> cancelled
        + rq:canceled:transactional <4> = real+14d
        + rq:job:<4> TTL = 14d
        ~ rq:job:<4> status = scheduled -> canceled
        + rq:job:<4> worker_name = ''
        - rq:scheduled:transactional <4> = now+60
        + state:cancelled <4> = now
        - state:scheduled <4> = now
    """)


def test_cancels_what_may_have_gone_already(scene: Scene) -> None:
    id = waits(scene, State.QUEUED, attempts=1, unsure=True)
    assert scene.messages.cancel(id, "ada") is State.UNKNOWN
    scene.expect("""
        + counters unknown = 1
        + message:<1> history 3 = [now,"unknown","cancelled by ada; SES may have taken an earlier tr… (69)
        ~ message:<1> reason = Because. -> cancelled by ada; SES may have taken an earlier try
        ~ message:<1> since = now-2 -> now
        ~ message:<1> state = queued -> unknown
        + rq:deferred:transactional <1> = now
        ~ rq:job:<1> status = queued -> deferred
        - rq:queue:transactional = <1>
        - state:queued <1> = now-2
        + state:unknown <1> = now
    """)
    # and says once more that it is over
    scene.messages.cancel(id, "ada")
    scene.expect("""
        - content:<1> = {"v":1,"subject":"Hi","text":"Hello."}
        + counters cancelled = 1
        + message:<1> TTL = 14d
        + message:<1> history 4 = [now,"cancelled","cancelled by ada"]
        ~ message:<1> reason = cancelled by ada; SES may have taken an earlier try -> cancelled b… (71)
        ~ message:<1> state = unknown -> cancelled
        + rq:canceled:transactional <1> = real+14d
        - rq:deferred:transactional <1> = now
        + rq:job:<1> TTL = 14d
        ~ rq:job:<1> status = deferred -> canceled
        + state:cancelled <1> = now
        - state:unknown <1> = now
    """)


def test_may_not_cancel_what_is_being_sent(scene: Scene) -> None:
    grant = scene.granted()
    with pytest.raises(WrongState):
        scene.messages.cancel(grant.id, "ada")
    scene.expect("")


def test_puts_off_what_is_queued(scene: Scene) -> None:
    id = scene.queue()
    scene.see()
    scene.messages.reschedule(id, scene.now + 600, "ada")
    scene.expect("""
        + counters scheduled = 1
        + message:<1> history 1 = [now,"scheduled","rescheduled by ada"]
        + message:<1> reason = rescheduled by ada
        + message:<1> send_at = now+600
        ~ message:<1> state = queued -> scheduled
        ~ rq:job:<1> status = queued -> scheduled
        + rq:job:<1> worker_name = ''
        - rq:queue:transactional = <1>
        + rq:scheduled:transactional <1> = now+600
        - state:queued <1> = now
        + state:scheduled <1> = now
        ! wake = urgent
    """)


def test_releases_what_is_held_with_its_sender(scene: Scene) -> None:
    hold = {"hold": "sender:shop@example.com", "held_because": "It is not verified"}
    id = waits(scene, State.HELD, **hold, block=True)
    scene.messages.release(id, "ada")
    scene.expect("""
        - blocks = all of it
        + counters queued = 1
        - hold:sender:shop@example.com <1> = now-2
        - holds = all of it
        + message:<1> checked = now
        + message:<1> history 3 = [now,"queued","released by ada"]
        ~ message:<1> hold = sender:shop@example.com -> ''
        ~ message:<1> reason = Because. -> released by ada
        ~ message:<1> since = now-2 -> now
        ~ message:<1> state = held -> queued
        - rq:deferred:transactional <1> = now-2
        ~ rq:job:<1> status = deferred -> queued
        + rq:queue:transactional = <1>
        - state:held <1> = now-2
        + state:queued <1> = now
        ! wake = urgent
    """)


def test_frees_all_that_wait_for_a_sender(scene: Scene) -> None:
    hold = {"hold": "sender:shop@example.com", "held_because": "It is not verified"}
    waits(scene, State.HELD, **hold, block=True)
    waits(scene, State.HELD, **hold)
    scene.messages.free("sender:shop@example.com", "it is verified")
    scene.expect("""
        - blocks = all of it
        + counters queued = 2
        - hold:sender:shop@example.com <1> = now-4
        - hold:sender:shop@example.com <2> = now-2
        - holds = all of it
        + message:<1> history 3 = [now,"queued","it is verified"]
        ~ message:<1> hold = sender:shop@example.com -> ''
        ~ message:<1> reason = Because. -> it is verified
        ~ message:<1> since = now-4 -> now
        ~ message:<1> state = held -> queued
        + message:<2> history 3 = [now,"queued","it is verified"]
        ~ message:<2> hold = sender:shop@example.com -> ''
        ~ message:<2> reason = Because. -> it is verified
        ~ message:<2> since = now-2 -> now
        ~ message:<2> state = held -> queued
        - rq:deferred:transactional <1> = now-4
        - rq:deferred:transactional <2> = now-2
        ~ rq:job:<1> status = deferred -> queued
        ~ rq:job:<2> status = deferred -> queued
        + rq:queue:transactional = <1>, <2>
        - state:held <1> = now-4
        - state:held <2> = now-2
        + state:queued <1> = now
        + state:queued <2> = now
        ! wake = urgent
    """)


def test_tries_one_of_those_that_wait(scene: Scene) -> None:
    hold = {"hold": "sender:shop@example.com", "held_because": "It is not verified"}
    waits(scene, State.HELD, **hold)
    waits(scene, State.HELD, **hold, block=True, doubt=True)
    waits(scene, State.HELD, **hold)
    scene.messages.try_one("sender:shop@example.com", "to see whether it is verified")
    scene.expect("""
        - blocks = all of it
        + counters queued = 1
        - hold:sender:shop@example.com <3> = now-2
        + message:<3> history 3 = [now,"queued","to see whether it is verified"]
        ~ message:<3> hold = sender:shop@example.com -> ''
        ~ message:<3> reason = Because. -> to see whether it is verified
        ~ message:<3> since = now-2 -> now
        ~ message:<3> state = held -> queued
        - rq:deferred:transactional <3> = now-2
        ~ rq:job:<3> status = deferred -> queued
        + rq:queue:transactional = <3>
        - state:held <3> = now-2
        + state:queued <3> = now
        ! wake = urgent
    """)


def test_says_that_what_was_queued_before_a_restore_may_go(scene: Scene) -> None:
    scene.queue()
    scene.pass_time(2)
    scene.redis.hset(scene.keys.restored, "before", scene.now - 1)
    scene.ask()
    scene.see()
    scene.messages.free("restore", "a person has looked")
    scene.expect("""
        + counters queued = 1
        - hold:restore <1> = now-2
        - holds = all of it
        + message:<1> history 2 = [now,"queued","a person has looked"]
        ~ message:<1> hold = restore -> ''
        ~ message:<1> reason = it was queued before a backup of Redis was restored, and may have … (118)
        ~ message:<1> state = held -> queued
        - restored = all of it
        - rq:deferred:transactional <1> = now
        ~ rq:job:<1> status = deferred -> queued
        + rq:queue:transactional = <1>
        - state:held <1> = now
        + state:queued <1> = now
        ! wake = urgent
    """)
