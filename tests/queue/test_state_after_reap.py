"""All that changes in Redis when leases of dead workers run out."""

from __future__ import annotations

from scene import Scene


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
