"""All that changes in Redis when leases of dead workers run out."""

from __future__ import annotations

import pytest

from scene import Scene
from sesq.queue.gate import REAP
from sesq.queue.grants import Grant
from sesq.queue.results import SendResult, put_back
from sesq.queue.states import State


def test_a_worker_died_before_it_sent(scene: Scene) -> None:
    scene.queue(["ada@example.org", "bob@example.org"])
    scene.ask()
    scene.queue()
    scene.pass_time(30)
    scene.see()
    scene.reap()
    scene.expect("""
        + counters queued = 1
        ~ gate folded = 0 -> now-29.5
        ~ gate level = 48 -> 50
        ~ gate on_way = 2 -> 0
        ~ gate ses_at = now-31 -> now-29.5
        ~ gate ses_level = 0 -> 100
        ~ gate total = 2 -> 0
        - leases <1> = now
        - ledger minute now-52 = 2
        ~ message:<1> claim_id = x-1 -> x-2
        + message:<1> history 2 = [now,"queued","its worker died before sending it"]
        ~ message:<1> reason = w -> its worker died before sending it
        ~ message:<1> since = now-30 -> now
        ~ message:<1> state = sending -> queued
        + message:<1> taken_over = x-2 x-1
        ~ message:<1> tokens_at = now-30 -> ''
        ~ message:<1> worker = w -> judge
        ~ rq:job:<1> status = started -> queued
        ~ rq:job:<1> worker_name = w -> ''
        ~ rq:queue:transactional = <2> -> <1>, <2>
        - rq:wip:transactional <1>:x-1 = inf
        + state:queued <1> = now
        - state:sending <1> = now-30
        ! wake = urgent
    """)


def test_a_worker_died_while_it_sent(scene: Scene) -> None:
    scene.granted()
    scene.pass_time(30)
    scene.reap()
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


def test_a_worker_died_while_it_sent_what_is_to_be_sent_again(scene: Scene) -> None:
    scene.granted(on_unknown="resend")
    scene.pass_time(30)
    scene.reap()
    scene.expect("""
        + counters queued = 1
        ~ gate folded = 0 -> now-29.5
        ~ gate on_way = 1 -> 0
        ~ gate ses_at = now-31 -> now-29.5
        ~ gate ses_level = 0 -> 99
        - leases <1> = now
        + message:<1> attempts = 1
        ~ message:<1> claim_id = x-1 -> x-2
        + message:<1> history 2 = [now,"queued","its worker died while it was on its way: SES may ha… (111)
        ~ message:<1> reason = w -> its worker died while it was on its way: SES may have taken i… (99)
        ~ message:<1> since = now-30 -> now
        ~ message:<1> state = sending -> queued
        + message:<1> taken_over = x-2 x-1
        ~ message:<1> tokens_at = now-30 -> ''
        + message:<1> unsure = 1
        ~ message:<1> worker = w -> judge
        ~ rq:job:<1> status = started -> queued
        ~ rq:job:<1> worker_name = w -> ''
        + rq:queue:transactional = <1>
        - rq:wip:transactional <1>:x-1 = inf
        + state:queued <1> = now
        - state:sending <1> = now-30
        ! wake = urgent
    """)


def test_a_worker_died_before_it_sent_a_row(scene: Scene) -> None:
    scene.take(2)
    scene.ask(want=1)
    scene.pass_time(30)
    scene.see()
    scene.reap()
    scene.expect("""
        ~ batch:<b> n:leaving = 1 -> 0
        ~ batch:<b> n:waiting = 1 -> 2
        ~ chunk:<b>-0 out = 1 -> 0
        ~ chunk:<b>-0 redo = '' -> 0-1
        ~ gate folded = 0 -> now-29.5
        ~ gate level = 49 -> 50
        ~ gate on_way = 1 -> 0
        ~ gate ses_at = now-31 -> now-29.5
        ~ gate ses_level = 0 -> 100
        ~ gate total = 1 -> 0
        - leases <b>-0-0 = now
        - ledger minute now-52 = 1
        - message:<b>-0-0 = all of it
        ! wake = ''
    """)


def test_a_worker_died_while_it_sent_a_row(scene: Scene) -> None:
    scene.take(2)
    scene.started()
    scene.pass_time(30)
    scene.reap()
    scene.expect("""
        ~ batch:<b> n:leaving = 1 -> 0
        + batch:<b> n:sending = 0
        + batch:<b> n:unknown = 1
        ~ chunk:<b>-0 out = 1 -> 0
        + content:<b>-0-0 = <b>-0-0
        + counters unknown = 1
        ~ gate folded = 0 -> now-29.5
        ~ gate on_way = 1 -> 0
        ~ gate ses_at = now-31 -> now-29.5
        ~ gate ses_level = 0 -> 99
        - leases <b>-0-0 = now
        + materialized:<b> <b>-0-0 = in it
        + message:<b>-0-0 attempts = 1
        + message:<b>-0-0 batch = <b>
        ~ message:<b>-0-0 claim_id = x-1 -> x-2
        + message:<b>-0-0 created = now-30
        + message:<b>-0-0 history 0 = [now-30,"queued","in batch <b>"]
        + message:<b>-0-0 history 1 = [now-30,"sending","w"]
        + message:<b>-0-0 history 2 = [now,"unknown","its worker died while it was on its way: SES may h… (80)
        + message:<b>-0-0 keep = 1209600
        + message:<b>-0-0 kind = row
        - message:<b>-0-0 packed = 1
        + message:<b>-0-0 queue = bulk
        + message:<b>-0-0 rate = 1
        + message:<b>-0-0 reason = its worker died while it was on its way: SES may have taken it
        + message:<b>-0-0 sender = shop@example.com
        + message:<b>-0-0 since = now
        ~ message:<b>-0-0 state = sending -> unknown
        + message:<b>-0-0 subject = News for {{ name }}
        + message:<b>-0-0 taken_over = x-2 x-1
        + message:<b>-0-0 to = ["p0@example.org"]
        + message:<b>-0-0 tokens_at = ''
        + message:<b>-0-0 v = 1
        + rq:deferred:bulk <b>-0-0 = now
        + rq:job:<b>-0-0 created_at = <host time>
        + rq:job:<b>-0-0 data = ["sesq.worker.send", null, ["<b>-0-0"], {}]
        + rq:job:<b>-0-0 description = sesq message <b>-0-0
        + rq:job:<b>-0-0 enqueued_at = <host time>
        + rq:job:<b>-0-0 origin = bulk
        + rq:job:<b>-0-0 status = deferred
        + rq:job:<b>-0-0 worker_name = ''
        + state:unknown <b>-0-0 = now
    """)


def test_a_lease_that_has_not_run_out_stays(scene: Scene) -> None:
    scene.granted()
    scene.pass_time(29.99)
    scene.reap()
    scene.expect("")


def test_a_lease_of_what_is_not_being_sent_goes(scene: Scene) -> None:
    id = scene.queue()
    scene.redis.zadd(scene.keys.leases, {id: scene.now})
    scene.see()
    scene.reap()
    scene.expect("""
        - leases <1> = now
    """)


def test_a_lease_of_before_the_clock_was_set_back_is_shortened(scene: Scene) -> None:
    scene.granted()
    scene.pass_time(-3600)
    scene.reap()
    scene.expect("""
        ~ leases <1> = now+3630 -> now+60
    """)


def judged_unknown(scene: Scene, grant: Grant) -> Grant:
    """The worker of the grant was only suspended."""
    scene.pass_time(30)
    scene.reap()
    scene.see()
    return grant


def test_a_worker_was_not_dead_and_had_not_sent(scene: Scene) -> None:
    grant = judged_unknown(scene, scene.granted())
    assert scene.gate.settle([put_back(grant, "was not sent in its turn")]) == [State.QUEUED]
    scene.expect("""
        + counters queued = 1
        ~ gate total = 1 -> 0
        - ledger minute now-52 = 1
        ~ message:<1> attempts = 1 -> 0
        + message:<1> history 3 = [now,"queued","was not sent in its turn"]
        ~ message:<1> reason = its worker died while it was on its way: SES may have taken it -> … (90)
        ~ message:<1> state = unknown -> queued
        - rq:deferred:transactional <1> = now
        ~ rq:job:<1> status = deferred -> queued
        + rq:queue:transactional = <1>
        + state:queued <1> = now
        - state:unknown <1> = now
        ! wake = urgent
    """)


def test_a_worker_was_not_dead_and_had_not_sent_a_row(scene: Scene) -> None:
    scene.take(2)
    grant = judged_unknown(scene, scene.started())
    assert scene.gate.settle([put_back(grant, "was not sent in its turn")]) == [State.QUEUED]
    scene.expect("""
        + batch:<b> n:queued = 1
        ~ batch:<b> n:unknown = 1 -> 0
        + counters queued = 1
        ~ gate total = 1 -> 0
        - ledger minute now-52 = 1
        ~ message:<b>-0-0 attempts = 1 -> 0
        + message:<b>-0-0 history 3 = [now,"queued","was not sent in its turn"]
        ~ message:<b>-0-0 reason = its worker died while it was on its way: SES may have taken it -> … (90)
        ~ message:<b>-0-0 state = unknown -> queued
        - rq:deferred:bulk <b>-0-0 = now
        ~ rq:job:<b>-0-0 status = deferred -> queued
        ~ rq:queue:bulk = <b>-0 -> <b>-0-0, <b>-0
        + state:queued <b>-0-0 = now
        - state:unknown <b>-0-0 = now
        ! wake = ''
    """)


def test_a_worker_was_not_dead_and_ses_had_refused(scene: Scene) -> None:
    grant = judged_unknown(scene, scene.granted())
    scene.settle(grant, State.REFUSED, attempts=1, refund_day=True)
    scene.expect("""
        + content:<1> TTL = 14d
        + counters refused = 1
        ~ gate total = 1 -> 0
        - ledger minute now-52 = 1
        + message:<1> TTL = 14d
        + message:<1> history 3 = [now,"refused","Because."]
        ~ message:<1> reason = its worker died while it was on its way: SES may have taken it -> … (74)
        ~ message:<1> state = unknown -> refused
        - rq:deferred:transactional <1> = now
        + rq:failed:transactional <1> = real+14d
        + rq:job:<1> TTL = 14d
        ~ rq:job:<1> status = deferred -> failed
        + rq:results:<1> 0 = type 2, worker_name judge, exc_string Because.
        + rq:results:<1> TTL = 14d
        + state:refused <1> = now
        - state:unknown <1> = now
    """)


@pytest.mark.parametrize("meanwhile", ["judged", "sent again"])
def test_a_worker_was_not_dead_and_speaks_too_late(scene: Scene, meanwhile: str) -> None:
    grant = judged_unknown(scene, scene.granted())
    if meanwhile == "judged":
        scene.messages.resolve(grant.id, "failed", by="ada")
    else:
        scene.messages.resolve(grant.id, "queued", by="ada")
        judged_unknown(scene, scene.started())
    scene.see()
    assert scene.gate.settle([put_back(grant, "was not sent in its turn")]) == [None]
    scene.expect("")


def test_a_worker_was_not_dead_and_speaks_before_it_is_judged(scene: Scene) -> None:
    grant = scene.granted()
    scene.pass_time(30)
    assert len(REAP.run(scene.redis, "default", 10, 30.0, "judge-1", "judge")) == 1
    scene.see()
    assert scene.gate.settle([put_back(grant, "was not sent in its turn")]) == [State.QUEUED]
    assert scene.gate.settle([SendResult(Grant(grant.id, "judge-1"), State.UNKNOWN)]) == [None]
    scene.expect("""
        + counters queued = 1
        ~ gate folded = 0 -> now-29.5
        ~ gate level = 49 -> 50
        ~ gate on_way = 1 -> 0
        ~ gate ses_at = now-31 -> now-29.5
        ~ gate ses_level = 0 -> 100
        ~ gate total = 1 -> 0
        - leases <1> = now+30
        - ledger minute now-52 = 1
        + message:<1> history 2 = [now,"queued","was not sent in its turn"]
        ~ message:<1> reason = w -> was not sent in its turn
        ~ message:<1> since = now-30 -> now
        ~ message:<1> state = sending -> queued
        ~ message:<1> tokens_at = now-30 -> ''
        ~ rq:job:<1> status = started -> queued
        ~ rq:job:<1> worker_name = w -> ''
        + rq:queue:transactional = <1>
        - rq:wip:transactional <1>:judge-1 = inf
        + state:queued <1> = now
        - state:sending <1> = now-30
        ! wake = urgent
    """)
