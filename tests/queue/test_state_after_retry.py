"""All that changes in Redis when a person tries a message again, or says what became of it."""

from __future__ import annotations

from scene import Scene, at
from sesq.queue.states import State


def waits(scene: Scene, state: State, **told: object) -> str:
    """A message that came to a state; what that left is seen, and two seconds have passed."""
    grant = scene.granted()
    scene.settle(grant, state, **told)  # type: ignore[arg-type]
    scene.pass_time(2)
    scene.see()
    return grant.id


def test_tries_what_failed_again(scene: Scene) -> None:
    id = waits(scene, State.FAILED, attempts=8)
    scene.messages.retry(id, "ada")
    scene.expect("""
        - content:<1> TTL = 14d
        + counters queued = 1
        - message:<1> TTL = 14d
        ~ message:<1> attempts = 8 -> 0
        + message:<1> checked = now
        + message:<1> history 3 = [now,"queued","queued again by ada"]
        ~ message:<1> reason = Because. -> queued again by ada
        ~ message:<1> since = now-2 -> now
        ~ message:<1> state = failed -> queued
        - rq:failed:transactional <1> = real+14d
        - rq:job:<1> TTL = 14d
        ~ rq:job:<1> status = failed -> queued
        + rq:queue:transactional = <1>
        - state:failed <1> = now-2
        + state:queued <1> = now
        ! wake = urgent
    """)


def test_tries_what_expired_again(scene: Scene) -> None:
    id = scene.queue(expires_at=at(scene.now + 1))
    scene.pass_time(1)
    scene.gate.promote()
    scene.see()
    scene.messages.retry(id, "ada")
    scene.expect("""
        - content:<1> TTL = 14d
        + counters queued = 1
        - message:<1> TTL = 14d
        + message:<1> attempts = 0
        + message:<1> checked = now
        ~ message:<1> expires_at = now -> ''
        + message:<1> history 2 = [now,"queued","queued again by ada"]
        ~ message:<1> reason = its time ran out before it could go -> queued again by ada
        ~ message:<1> state = expired -> queued
        - rq:failed:transactional <1> = real+14d
        - rq:job:<1> TTL = 14d
        ~ rq:job:<1> status = failed -> queued
        + rq:queue:transactional = <1>
        - state:expired <1> = now
        + state:queued <1> = now
        ! wake = urgent
    """)


def test_tries_what_was_suppressed_again_and_its_time_has_not_run_out(scene: Scene) -> None:
    grant = scene.granted(expires_at=at(scene.now + 60))
    scene.settle(grant, State.SUPPRESSED)
    scene.see()
    scene.messages.retry(grant.id, "ada")
    scene.expect("""
        - content:<1> TTL = 14d
        + counters queued = 1
        + expiring <1> = now+60
        - message:<1> TTL = 14d
        + message:<1> attempts = 0
        + message:<1> checked = now
        + message:<1> history 3 = [now,"queued","queued again by ada"]
        ~ message:<1> reason = Because. -> queued again by ada
        ~ message:<1> state = suppressed -> queued
        - rq:failed:transactional <1> = real+14d
        - rq:job:<1> TTL = 14d
        ~ rq:job:<1> status = failed -> queued
        + rq:queue:transactional = <1>
        + state:queued <1> = now
        - state:suppressed <1> = now
        ! wake = urgent
    """)


def test_says_that_ses_took_what_is_unknown(scene: Scene) -> None:
    id = waits(scene, State.UNKNOWN, attempts=1, unsure=True)
    scene.messages.resolve(id, "sent", "ada")
    scene.expect("""
        - content:<1> = {"v":1,"subject":"Hi","text":"Hello."}
        + counters sent = 1
        + counters wait:5 = 1
        + counters wait:sum = 2
        + message:<1> TTL = 14d
        + message:<1> checked = now
        + message:<1> history 3 = [now,"sent","resolved as sent by ada"]
        ~ message:<1> reason = Because. -> resolved as sent by ada
        ~ message:<1> since = now-2 -> now
        ~ message:<1> state = unknown -> sent
        ~ message:<1> unsure = 1 -> ''
        - rq:deferred:transactional <1> = now-2
        + rq:finished:transactional <1> = real+14d
        + rq:job:<1> TTL = 14d
        ~ rq:job:<1> status = deferred -> finished
        + state:sent <1> = now
        - state:unknown <1> = now-2
    """)


def test_says_that_ses_did_not_take_what_is_unknown(scene: Scene) -> None:
    id = waits(scene, State.UNKNOWN, attempts=1)
    scene.messages.resolve(id, "queued", "ada")
    scene.expect("""
        + counters queued = 1
        + message:<1> checked = now
        + message:<1> history 3 = [now,"queued","resolved as queued by ada"]
        ~ message:<1> reason = Because. -> resolved as queued by ada
        ~ message:<1> since = now-2 -> now
        ~ message:<1> state = unknown -> queued
        + message:<1> unsure = ''
        - rq:deferred:transactional <1> = now-2
        ~ rq:job:<1> status = deferred -> queued
        + rq:queue:transactional = <1>
        + state:queued <1> = now
        - state:unknown <1> = now-2
        ! wake = urgent
    """)


def test_gives_up_what_is_unknown(scene: Scene) -> None:
    id = waits(scene, State.UNKNOWN, attempts=1, unsure=True)
    scene.messages.resolve(id, "failed", "ada")
    scene.expect("""
        + content:<1> TTL = 14d
        + counters failed = 1
        + message:<1> TTL = 14d
        + message:<1> checked = now
        + message:<1> history 3 = [now,"failed","resolved as failed by ada"]
        ~ message:<1> reason = Because. -> resolved as failed by ada
        ~ message:<1> since = now-2 -> now
        ~ message:<1> state = unknown -> failed
        ~ message:<1> unsure = 1 -> ''
        - rq:deferred:transactional <1> = now-2
        + rq:failed:transactional <1> = real+14d
        + rq:job:<1> TTL = 14d
        ~ rq:job:<1> status = deferred -> failed
        + state:failed <1> = now
        - state:unknown <1> = now-2
    """)
