"""All that changes in Redis when it is settled that a message has ended."""

from __future__ import annotations

from scene import Scene
from sesq.queue.results import put_back
from sesq.queue.states import State

TWO = ["ada@example.org", "bob@example.org"]


def test_sent(scene: Scene) -> None:
    grant = scene.granted()
    scene.pass_time(0.3)
    scene.settle(grant, State.SENT, "m-1", message_id="m-1", attempts=1, drop_content=True)
    scene.expect("""
        - content:<1> = {"v":1,"subject":"Hi","text":"Hello."}
        + counters sent = 1
        + counters wait:0.5 = 1
        + counters wait:sum = 0.3
        ~ gate on_way = 1 -> 0
        ~ gate ses_at = now-1.3 -> now
        ~ gate ses_level = 0 -> 99
        - leases <1> = now+29.7
        + message:<1> TTL = 14d
        + message:<1> attempts = 1
        + message:<1> history 2 = [now,"sent","m-1"]
        + message:<1> message_id = m-1
        ~ message:<1> reason = w -> m-1
        ~ message:<1> since = now-0.3 -> now
        ~ message:<1> state = sending -> sent
        ~ message:<1> tokens_at = now-0.3 -> ''
        + rq:finished:transactional <1> = real+14d
        + rq:job:<1> TTL = 14d
        ~ rq:job:<1> status = started -> finished
        ~ rq:job:<1> worker_name = w -> ''
        + rq:results:<1> 0 = type 1, worker_name w, return_value m-1
        + rq:results:<1> TTL = 14d
        - rq:wip:transactional <1>:x-1 = inf
        - state:sending <1> = now-0.3
        + state:sent <1> = now
    """)


def test_sent_long_after_it_might_have_gone(scene: Scene) -> None:
    scene.queue(TWO, lane="bulk")
    scene.pass_time(400)
    grant = scene.started()
    scene.settle(grant, State.SENT, "m-1", message_id="m-1", attempts=2)
    scene.expect("""
        + content:<1> TTL = 14d
        + counters sent = 1
        + counters wait:1800 = 1
        + counters wait:sum = 400
        ~ gate on_way = 2 -> 0
        ~ gate ses_at = now-401 -> now
        ~ gate ses_level = 0 -> 98
        - leases <1> = now+30
        + message:<1> TTL = 14d
        + message:<1> attempts = 2
        + message:<1> history 2 = [now,"sent","m-1"]
        + message:<1> message_id = m-1
        ~ message:<1> reason = w -> m-1
        ~ message:<1> state = sending -> sent
        ~ message:<1> tokens_at = now -> ''
        + rq:finished:bulk <1> = real+14d
        + rq:job:<1> TTL = 14d
        ~ rq:job:<1> status = started -> finished
        ~ rq:job:<1> worker_name = w -> ''
        + rq:results:<1> 0 = type 1, worker_name w, return_value m-1
        + rq:results:<1> TTL = 14d
        - rq:wip:bulk <1>:x-1 = inf
        - state:sending <1> = now
        + state:sent <1> = now
    """)


def test_one_of_two_was_spared(scene: Scene) -> None:
    grant = scene.granted(TWO)
    scene.settle(grant, State.SENT, "m-1", message_id="m-1", attempts=1, spared=(1, 1))
    scene.expect("""
        + content:<1> TTL = 14d
        + counters sent = 1
        + counters wait:0.1 = 1
        + counters wait:sum = 0
        ~ gate level = 48 -> 49
        ~ gate on_way = 2 -> 0
        ~ gate ses_at = now-1 -> now
        ~ gate ses_level = 0 -> 98.8
        ~ gate total = 2 -> 1
        - leases <1> = now+30
        ~ ledger minute now-22 = 2 -> 1
        + message:<1> TTL = 14d
        + message:<1> attempts = 1
        + message:<1> history 2 = [now,"sent","m-1"]
        + message:<1> message_id = m-1
        ~ message:<1> reason = w -> m-1
        ~ message:<1> state = sending -> sent
        ~ message:<1> tokens_at = now -> ''
        + rq:finished:transactional <1> = real+14d
        + rq:job:<1> TTL = 14d
        ~ rq:job:<1> status = started -> finished
        ~ rq:job:<1> worker_name = w -> ''
        + rq:results:<1> 0 = type 1, worker_name w, return_value m-1
        + rq:results:<1> TTL = 14d
        - rq:wip:transactional <1>:x-1 = inf
        - state:sending <1> = now
        + state:sent <1> = now
    """)


def test_refused(scene: Scene) -> None:
    grant = scene.granted(TWO)
    scene.pass_time(0.3)
    scene.settle(grant, State.REFUSED, attempts=1, refund_day=True, drop_content=True)
    scene.expect("""
        - content:<1> = {"v":1,"subject":"Hi","text":"Hello."}
        + counters refused = 1
        ~ gate on_way = 2 -> 0
        ~ gate ses_at = now-1.3 -> now
        ~ gate ses_level = 0 -> 98
        ~ gate total = 2 -> 0
        - leases <1> = now+29.7
        - ledger minute now-22.3 = 2
        + message:<1> TTL = 14d
        + message:<1> attempts = 1
        + message:<1> history 2 = [now,"refused","Because."]
        ~ message:<1> reason = w -> Because.
        ~ message:<1> since = now-0.3 -> now
        ~ message:<1> state = sending -> refused
        ~ message:<1> tokens_at = now-0.3 -> ''
        + rq:failed:transactional <1> = real+14d
        + rq:job:<1> TTL = 14d
        ~ rq:job:<1> status = started -> failed
        ~ rq:job:<1> worker_name = w -> ''
        + rq:results:<1> 0 = type 2, worker_name w, exc_string Because.
        + rq:results:<1> TTL = 14d
        - rq:wip:transactional <1>:x-1 = inf
        + state:refused <1> = now
        - state:sending <1> = now-0.3
    """)


def test_failed_without_a_call_to_ses(scene: Scene) -> None:
    grant = scene.granted(TWO)
    scene.pass_time(0.3)
    scene.settle(grant, State.FAILED, attempts=8, refund_rate=True, refund_day=True)
    scene.expect("""
        + content:<1> TTL = 14d
        + counters failed = 1
        ~ gate level = 48 -> 50
        ~ gate on_way = 2 -> 0
        ~ gate total = 2 -> 0
        - leases <1> = now+29.7
        - ledger minute now-22.3 = 2
        + message:<1> TTL = 14d
        + message:<1> attempts = 8
        + message:<1> history 2 = [now,"failed","Because."]
        ~ message:<1> reason = w -> Because.
        ~ message:<1> since = now-0.3 -> now
        ~ message:<1> state = sending -> failed
        ~ message:<1> tokens_at = now-0.3 -> ''
        + rq:failed:transactional <1> = real+14d
        + rq:job:<1> TTL = 14d
        ~ rq:job:<1> status = started -> failed
        ~ rq:job:<1> worker_name = w -> ''
        + rq:results:<1> 0 = type 2, worker_name w, exc_string Because.
        + rq:results:<1> TTL = 14d
        - rq:wip:transactional <1>:x-1 = inf
        + state:failed <1> = now
        - state:sending <1> = now-0.3
    """)


def test_suppressed(scene: Scene) -> None:
    grant = scene.granted()
    scene.settle(grant, State.SUPPRESSED, refund_rate=True, refund_day=True)
    scene.expect("""
        + content:<1> TTL = 14d
        + counters suppressed = 1
        ~ gate level = 49 -> 50
        ~ gate on_way = 1 -> 0
        ~ gate total = 1 -> 0
        - leases <1> = now+30
        - ledger minute now-22 = 1
        + message:<1> TTL = 14d
        + message:<1> history 2 = [now,"suppressed","Because."]
        ~ message:<1> reason = w -> Because.
        ~ message:<1> state = sending -> suppressed
        ~ message:<1> tokens_at = now -> ''
        + rq:failed:transactional <1> = real+14d
        + rq:job:<1> TTL = 14d
        ~ rq:job:<1> status = started -> failed
        ~ rq:job:<1> worker_name = w -> ''
        + rq:results:<1> 0 = type 2, worker_name w, exc_string Because.
        + rq:results:<1> TTL = 14d
        - rq:wip:transactional <1>:x-1 = inf
        - state:sending <1> = now
        + state:suppressed <1> = now
    """)


def test_another_claims(scene: Scene) -> None:
    grant = scene.granted()
    scene.reap()
    scene.pass_time(31)
    assert scene.reap() == {grant.id: State.UNKNOWN}
    scene.messages.resolve(grant.id, "queued", by="ada")
    scene.ask()
    scene.see()
    assert scene.settle(grant, State.REFUSED) is None
    scene.expect("")


def test_sent_though_its_worker_was_taken_for_dead(scene: Scene) -> None:
    grant = scene.granted()
    scene.pass_time(31)
    scene.reap()
    scene.see()
    scene.settle(grant, State.SENT, "m-1", message_id="m-1", attempts=1)
    scene.expect("""
        + content:<1> TTL = 14d
        + counters sent = 1
        + counters wait:60 = 1
        + counters wait:sum = 31
        + message:<1> TTL = 14d
        + message:<1> history 3 = [now,"sent","m-1"]
        + message:<1> message_id = m-1
        ~ message:<1> reason = its worker died while it was on its way: SES may have taken it -> … (69)
        ~ message:<1> state = unknown -> sent
        - rq:deferred:transactional <1> = now
        + rq:finished:transactional <1> = real+14d
        + rq:job:<1> TTL = 14d
        ~ rq:job:<1> status = deferred -> finished
        + rq:results:<1> 0 = type 1, worker_name judge, return_value m-1
        + rq:results:<1> TTL = 14d
        + state:sent <1> = now
        - state:unknown <1> = now
    """)


def test_not_sent_and_judged_meanwhile(scene: Scene) -> None:
    """An event of SES came first; then its worker says that nothing went."""
    grant = scene.granted()
    scene.event(grant.id, "Send")
    scene.see()
    assert scene.gate.settle([put_back(grant, "not needed")]) == [None]
    scene.expect("""
        ~ gate level = 49 -> 50
        ~ gate on_way = 1 -> 0
        ~ gate total = 1 -> 0
        - ledger minute now-22 = 1
        ~ message:<1> tokens_at = now -> ''
    """)
