"""All that changes in Redis when it is settled that a message goes on waiting, or what SES said of all mail."""

from __future__ import annotations

from scene import Scene
from sesq.queue.results import put_back
from sesq.queue.states import State

TWO = ["ada@example.org", "bob@example.org"]


def test_retrying(scene: Scene) -> None:
    grant = scene.granted()
    scene.settle(grant, State.RETRYING, attempts=1, delay=60.0, refund_day=True)
    scene.expect("""
        + counters retrying = 1
        ~ gate on_way = 1 -> 0
        ~ gate ses_at = now-1 -> now
        ~ gate ses_level = 0 -> 98.8
        ~ gate total = 1 -> 0
        - leases <1> = now+30
        - ledger minute now-22 = 1
        + message:<1> attempts = 1
        + message:<1> history 2 = [now,"retrying","Because."]
        ~ message:<1> reason = w -> Because.
        ~ message:<1> state = sending -> retrying
        ~ message:<1> tokens_at = now -> ''
        ~ rq:job:<1> status = started -> scheduled
        ~ rq:job:<1> worker_name = w -> ''
        + rq:scheduled:transactional <1> = now+60
        - rq:wip:transactional <1>:x-1 = inf
        + state:retrying <1> = now
        - state:sending <1> = now
    """)


def test_held(scene: Scene) -> None:
    grant = scene.granted()
    scene.pass_time(1)
    why = "bob@example.org is not verified"
    scene.settle(grant, State.HELD, why, hold="recipient:bob@example.org", attempts=1, refund_day=True)
    scene.expect("""
        + counters held = 1
        ~ gate folded = 0 -> now-0.5
        ~ gate on_way = 1 -> 0
        ~ gate ses_at = now-2 -> now-0.5
        ~ gate ses_level = 0 -> 99
        ~ gate total = 1 -> 0
        + hold:recipient:bob@example.org <1> = now-1
        + holds recipient:bob@example.org = bob@example.org is not verified
        - leases <1> = now+29
        - ledger minute now-23 = 1
        + message:<1> attempts = 1
        + message:<1> history 2 = [now,"held","bob@example.org is not verified"]
        + message:<1> hold = recipient:bob@example.org
        ~ message:<1> reason = w -> bob@example.org is not verified
        ~ message:<1> since = now-1 -> now
        ~ message:<1> state = sending -> held
        ~ message:<1> tokens_at = now-1 -> ''
        + rq:deferred:transactional <1> = now
        ~ rq:job:<1> status = started -> deferred
        ~ rq:job:<1> worker_name = w -> ''
        - rq:wip:transactional <1>:x-1 = inf
        + state:held <1> = now
        - state:sending <1> = now-1
    """)


def test_held_with_all_mail_of_its_sender(scene: Scene) -> None:
    grant = scene.granted()
    hold = {"hold": "sender:shop@example.com", "held_because": "shop@example.com is not verified"}
    scene.settle(grant, State.HELD, **hold, block=True, doubt=True, refund_day=True)
    scene.expect("""
        + blocks sender:shop@example.com = [now,"shop@example.com is not verified",true,"<1>"]
        + counters held = 1
        ~ gate on_way = 1 -> 0
        ~ gate ses_at = now-1 -> now
        ~ gate ses_level = 0 -> 98.8
        ~ gate total = 1 -> 0
        + hold:sender:shop@example.com <1> = now
        + holds sender:shop@example.com = shop@example.com is not verified
        - leases <1> = now+30
        - ledger minute now-22 = 1
        + message:<1> history 2 = [now,"held","Because."]
        + message:<1> hold = sender:shop@example.com
        ~ message:<1> reason = w -> Because.
        ~ message:<1> state = sending -> held
        ~ message:<1> tokens_at = now -> ''
        + rq:deferred:transactional <1> = now
        ~ rq:job:<1> status = started -> deferred
        ~ rq:job:<1> worker_name = w -> ''
        - rq:wip:transactional <1>:x-1 = inf
        + state:held <1> = now
        - state:sending <1> = now
    """)


def test_unknown(scene: Scene) -> None:
    grant = scene.granted()
    scene.settle(grant, State.UNKNOWN, attempts=1)
    scene.expect("""
        + counters unknown = 1
        ~ gate on_way = 1 -> 0
        ~ gate ses_at = now-1 -> now
        ~ gate ses_level = 0 -> 98.8
        - leases <1> = now+30
        + message:<1> attempts = 1
        + message:<1> history 2 = [now,"unknown","Because."]
        ~ message:<1> reason = w -> Because.
        ~ message:<1> state = sending -> unknown
        ~ message:<1> tokens_at = now -> ''
        + rq:deferred:transactional <1> = now
        ~ rq:job:<1> status = started -> deferred
        ~ rq:job:<1> worker_name = w -> ''
        - rq:wip:transactional <1>:x-1 = inf
        - state:sending <1> = now
        + state:unknown <1> = now
    """)


def test_sent_again_though_ses_may_have_taken_it(scene: Scene) -> None:
    grant = scene.granted()
    scene.queue()
    scene.see()
    scene.settle(grant, State.QUEUED, attempts=1, front=True, unsure=True)
    scene.expect("""
        + counters queued = 1
        ~ gate on_way = 1 -> 0
        ~ gate ses_at = now-1 -> now
        ~ gate ses_level = 0 -> 98.8
        - leases <1> = now+30
        + message:<1> attempts = 1
        + message:<1> history 2 = [now,"queued","Because."]
        ~ message:<1> reason = w -> Because.
        ~ message:<1> state = sending -> queued
        ~ message:<1> tokens_at = now -> ''
        + message:<1> unsure = 1
        ~ rq:job:<1> status = started -> queued
        ~ rq:job:<1> worker_name = w -> ''
        ~ rq:queue:transactional = <2> -> <1>, <2>
        - rq:wip:transactional <1>:x-1 = inf
        + state:queued <1> = now
        - state:sending <1> = now
        ! wake = urgent
    """)


def test_put_back_unused(scene: Scene) -> None:
    grant = scene.granted(TWO, lane="bulk")
    scene.queue(lane="bulk")
    scene.see()
    scene.gate.settle([put_back(grant, "not needed")])
    scene.expect("""
        + counters queued = 1
        ~ gate level = 48 -> 50
        ~ gate on_way = 2 -> 0
        ~ gate total = 2 -> 0
        - leases <1> = now+30
        - ledger minute now-22 = 2
        + message:<1> history 2 = [now,"queued","not needed"]
        ~ message:<1> reason = w -> not needed
        ~ message:<1> state = sending -> queued
        ~ message:<1> tokens_at = now -> ''
        ~ rq:job:<1> status = started -> queued
        ~ rq:job:<1> worker_name = w -> ''
        ~ rq:queue:bulk = <2> -> <1>, <2>
        - rq:wip:bulk <1>:x-1 = inf
        + state:queued <1> = now
        - state:sending <1> = now
        ! wake = ''
    """)


def test_ses_said_too_fast(scene: Scene) -> None:
    grant = scene.granted()
    scene.pass_time(0.1)
    scene.settle(grant, State.QUEUED, front=True, throttled=True, refund_day=True)
    scene.expect("""
        + counters queued = 1
        ~ gate at = now-0.1 -> now
        ~ gate level = 49 -> 0
        ~ gate on_way = 1 -> 0
        ~ gate ses_at = now-1.1 -> now
        + gate slow = 0.1
        + gate slow_at = now
        + gate throttles = 1
        ~ gate total = 1 -> 0
        - leases <1> = now+29.9
        - ledger minute now-22.1 = 1
        + message:<1> history 2 = [now,"queued","Because."]
        ~ message:<1> reason = w -> Because.
        ~ message:<1> since = now-0.1 -> now
        ~ message:<1> state = sending -> queued
        ~ message:<1> tokens_at = now-0.1 -> ''
        ~ rq:job:<1> status = started -> queued
        ~ rq:job:<1> worker_name = w -> ''
        + rq:queue:transactional = <1>
        - rq:wip:transactional <1>:x-1 = inf
        + state:queued <1> = now
        - state:sending <1> = now-0.1
        ! wake = urgent
    """)


def test_ses_said_that_the_day_is_spent(scene: Scene) -> None:
    scene.sync(daily=200.0)
    grant = scene.granted()
    scene.settle(grant, State.QUEUED, front=True, day_spent=True, refund_day=True)
    scene.expect("""
        + counters queued = 1
        ~ gate on_way = 1 -> 0
        ~ gate ses_level = 100 -> 99
        ~ gate total = 1 -> 0
        - leases <1> = now+30
        - ledger minute now-23 = 1
        + message:<1> history 2 = [now,"queued","Because."]
        ~ message:<1> reason = w -> Because.
        ~ message:<1> state = sending -> queued
        ~ message:<1> tokens_at = now -> ''
        ~ rq:job:<1> status = started -> queued
        ~ rq:job:<1> worker_name = w -> ''
        + rq:queue:transactional = <1>
        - rq:wip:transactional <1>:x-1 = inf
        ~ snapshot others = 0 -> 200
        + state:queued <1> = now
        - state:sending <1> = now
        ! wake = urgent
    """)


def test_ses_sends_nothing_for_the_account(scene: Scene) -> None:
    grant = scene.granted()
    scene.settle(grant, State.QUEUED, front=True, paused="A review.", refund_day=True)
    scene.expect("""
        + counters queued = 1
        ~ gate on_way = 1 -> 0
        ~ gate ses_at = now-1 -> now
        ~ gate ses_level = 0 -> 98.8
        ~ gate total = 1 -> 0
        - leases <1> = now+30
        - ledger minute now-22 = 1
        + message:<1> history 2 = [now,"queued","Because."]
        ~ message:<1> reason = w -> Because.
        ~ message:<1> state = sending -> queued
        ~ message:<1> tokens_at = now -> ''
        ~ rq:job:<1> status = started -> queued
        ~ rq:job:<1> worker_name = w -> ''
        + rq:queue:transactional = <1>
        - rq:wip:transactional <1>:x-1 = inf
        + snapshot paused_at = now
        ~ snapshot paused_because = '' -> A review.
        ~ snapshot sending = 1 -> 0
        + state:queued <1> = now
        - state:sending <1> = now
        ! wake = urgent
    """)
