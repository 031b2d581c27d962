"""All that changes in Redis when the time of mail has come, or has run out."""

from __future__ import annotations

from scene import Scene, at
from sesq.queue.states import State


def test_a_worker_died_while_it_sent_for_the_last_time(scene: Scene) -> None:
    scene.granted()
    scene.pass_time(30)
    scene.reap("resend", max_attempts=1)
    scene.expect("""
        + counters unknown = 1
        ~ gate folded = 0 -> now-29.5
        ~ gate on_way = 1 -> 0
        ~ gate ses_at = now-31 -> now-29.5
        ~ gate ses_level = 0 -> 99
        - leases <1> = now
        + message:<1> attempts = 1
        ~ message:<1> claim_id = x-1 -> x-2
        + message:<1> history 2 = [now,"unknown","its worker died while it was on its way: SES may h… (80)
        ~ message:<1> reason = w -> its worker died while it was on its way: SES may have taken i… (67)
        ~ message:<1> since = now-30 -> now
        ~ message:<1> state = sending -> unknown
        + message:<1> taken_over = x-2 x-1
        ~ message:<1> tokens_at = now-30 -> ''
        ~ message:<1> worker = w -> judge
        + rq:deferred:transactional <1> = now
        ~ rq:job:<1> status = started -> deferred
        ~ rq:job:<1> worker_name = w -> ''
        - rq:wip:transactional <1>:x-1 = inf
        - state:sending <1> = now-30
        + state:unknown <1> = now
    """)


def test_the_time_of_scheduled_mail_has_come(scene: Scene) -> None:
    scene.queue(send_at=at(scene.now + 5), lane="bulk")
    scene.queue(send_at=at(scene.now + 7))
    scene.queue(lane="bulk")
    scene.pass_time(5)
    scene.see()
    assert scene.gate.promote() == (1, 2.0)
    scene.expect("""
        + counters queued = 1
        + message:<1> history 1 = [now,"queued","due"]
        + message:<1> reason = due
        ~ message:<1> since = now-5 -> now
        ~ message:<1> state = scheduled -> queued
        ~ rq:job:<1> status = scheduled -> queued
        + rq:job:<1> worker_name = ''
        ~ rq:queue:bulk = <3> -> <3>, <1>
        - rq:scheduled:bulk <1> = now
        + state:queued <1> = now
        - state:scheduled <1> = now-5
        ! wake = ''
    """)


def test_the_time_of_another_try_has_come(scene: Scene) -> None:
    grant = scene.granted()
    scene.settle(grant, State.RETRYING, attempts=1, delay=5.0)
    scene.queue()
    scene.pass_time(5)
    scene.see()
    assert scene.gate.promote() == (1, None)
    scene.expect("""
        + counters queued = 1
        + message:<1> history 3 = [now,"queued","due"]
        ~ message:<1> reason = Because. -> due
        ~ message:<1> since = now-5 -> now
        ~ message:<1> state = retrying -> queued
        ~ rq:job:<1> status = scheduled -> queued
        ~ rq:queue:transactional = <2> -> <1>, <2>
        - rq:scheduled:transactional <1> = now
        + state:queued <1> = now
        - state:retrying <1> = now-5
        ! wake = urgent
    """)


def test_there_is_more_than_one_call_moves(scene: Scene) -> None:
    for due in (4, 5):
        scene.queue(send_at=at(scene.now + due))
    scene.pass_time(5)
    scene.see()
    assert scene.gate.promote(most=1) == (1, 0.0)
    scene.expect("""
        + counters queued = 1
        + message:<1> history 1 = [now,"queued","due"]
        + message:<1> reason = due
        ~ message:<1> since = now-5 -> now
        ~ message:<1> state = scheduled -> queued
        ~ rq:job:<1> status = scheduled -> queued
        + rq:job:<1> worker_name = ''
        + rq:queue:transactional = <1>
        - rq:scheduled:transactional <1> = now-1
        + state:queued <1> = now
        - state:scheduled <1> = now-5
        ! wake = urgent
    """)


def test_the_time_of_waiting_mail_ran_out(scene: Scene) -> None:
    end = at(scene.now + 5)
    scene.queue()
    scene.queue(expires_at=end)
    scene.queue()
    scene.pass_time(5)
    scene.see()
    assert scene.gate.promote() == (0, None)
    scene.expect("""
        + content:<2> TTL = 14d
        + counters expired = 1
        - expiring <2> = now
        + message:<2> TTL = 14d
        + message:<2> history 1 = [now,"expired","its time ran out before it could go"]
        + message:<2> reason = its time ran out before it could go
        ~ message:<2> since = now-5 -> now
        ~ message:<2> state = queued -> expired
        + rq:failed:transactional <2> = real+14d
        + rq:job:<2> TTL = 14d
        ~ rq:job:<2> status = queued -> failed
        + rq:job:<2> worker_name = ''
        + stale:transactional <2> = in it
        + state:expired <2> = now
        - state:queued <2> = now-5
    """)


def test_the_time_of_what_is_being_sent_is_looked_for_no_more(scene: Scene) -> None:
    scene.granted(expires_at=at(scene.now + 5))
    scene.pass_time(5)
    scene.gate.promote()
    scene.expect("""
        - expiring <1> = now
    """)


def test_what_stands_in_the_schedule_wrongly_goes(scene: Scene) -> None:
    id = scene.queue()
    scene.redis.zadd("rq:scheduled:sesq.default.transactional", {id: scene.now})
    scene.see()
    scene.gate.promote()
    scene.expect("""
        - rq:scheduled:transactional <1> = now
    """)
