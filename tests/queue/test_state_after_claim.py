"""All that changes in Redis when the gate grants messages."""

from __future__ import annotations

from scene import Scene
from sesq.queue.states import Lane


def test_a_grant_of_one_message(scene: Scene) -> None:
    scene.queue()
    scene.see()
    claim = scene.ask()
    assert (claim.reason, claim.wait) == ("empty", 0)
    scene.expect("""
        + counters sending = 1
        ~ gate at = now-1 -> now
        + gate claims = 1
        ~ gate folds_at = now-1 -> now+0.5
        + gate left:transactional = now
        ~ gate level = 0 -> 49
        ~ gate on_way = 0 -> 1
        ~ gate total = 0 -> 1
        + leases <1> = now+30
        + ledger minute now-22 = 1
        + message:<1> claim_id = x-1
        + message:<1> claimed = now
        + message:<1> history 1 = [now,"sending","w"]
        + message:<1> reason = w
        + message:<1> started_at = ''
        ~ message:<1> state = queued -> sending
        + message:<1> tokens_at = now
        + message:<1> worker = w
        ~ rq:job:<1> status = queued -> started
        + rq:job:<1> worker_name = w
        - rq:queue:transactional = <1>
        + rq:wip:transactional <1>:x-1 = inf
        - state:queued <1> = now
        + state:sending <1> = now
    """)


def test_urgent_mail_goes_before_bulk_mail_and_all_is_counted(scene: Scene) -> None:
    scene.queue(lane="bulk")
    scene.queue(["ada@example.org", "success@simulator.amazonses.com"])
    scene.queue()
    scene.see()
    claim = scene.ask(want=2)
    assert claim.reason == "full"
    scene.expect("""
        + counters sending = 2
        ~ gate at = now-1 -> now
        + gate claims = 1
        ~ gate folds_at = now-1 -> now+0.5
        + gate left:transactional = now
        ~ gate level = 0 -> 47
        ~ gate on_way = 0 -> 3
        ~ gate total = 0 -> 2
        + leases <2> = now+30
        + leases <3> = now+30.000001
        + ledger minute now-22 = 2
        + message:<2> claim_id = x-1
        + message:<2> claimed = now
        + message:<2> history 1 = [now,"sending","w"]
        + message:<2> reason = w
        + message:<2> started_at = ''
        ~ message:<2> state = queued -> sending
        + message:<2> tokens_at = now
        + message:<2> worker = w
        + message:<3> claim_id = x-1
        + message:<3> claimed = now
        + message:<3> history 1 = [now,"sending","w"]
        + message:<3> reason = w
        + message:<3> started_at = ''
        ~ message:<3> state = queued -> sending
        + message:<3> tokens_at = now
        + message:<3> worker = w
        ~ rq:job:<2> status = queued -> started
        + rq:job:<2> worker_name = w
        ~ rq:job:<3> status = queued -> started
        + rq:job:<3> worker_name = w
        - rq:queue:transactional = <2>, <3>
        + rq:wip:transactional <2>:x-1 = inf
        + rq:wip:transactional <3>:x-1 = inf
        - state:queued <2> = now
        - state:queued <3> = now
        + state:sending <2> = now
        + state:sending <3> = now
    """)


def test_nothing_waits(scene: Scene) -> None:
    claim = scene.ask()
    assert (claim.reason, claim.wait) == ("empty", 0)
    scene.expect("""
        + gate claims = 1
    """)


def test_mail_to_many_leaves_a_debt_and_the_next_waits_for_it(scene: Scene) -> None:
    scene.sync(rate=1.0)
    scene.pass_time(10)
    scene.queue([f"p{i}@example.org" for i in range(5)])
    scene.queue()
    scene.see()
    claim = scene.ask()
    assert (claim.reason, round(claim.wait, 3), claim.for_bulk) == ("rate", 5.01, False)
    scene.expect("""
        + counters sending = 1
        ~ gate at = now-10 -> now
        + gate claims = 1
        ~ gate folds_at = now-12 -> now+30
        + gate left:transactional = now
        ~ gate level = 50 -> -4
        ~ gate on_way = 0 -> 5
        ~ gate total = 0 -> 5
        + leases <1> = now+30
        + ledger minute now-33 = 5
        + message:<1> claim_id = x-1
        + message:<1> claimed = now
        + message:<1> history 1 = [now,"sending","w"]
        + message:<1> reason = w
        + message:<1> started_at = ''
        ~ message:<1> state = queued -> sending
        + message:<1> tokens_at = now
        + message:<1> worker = w
        ~ rq:job:<1> status = queued -> started
        + rq:job:<1> worker_name = w
        ~ rq:queue:transactional = <1>, <2> -> <2>
        + rq:wip:transactional <1>:x-1 = inf
        - state:queued <1> = now
        + state:sending <1> = now
        + token_waiters w = now+5.01002
    """)


def test_a_worker_for_bulk_mail_waits_among_its_own(scene: Scene) -> None:
    scene.sync(rate=1.0)
    scene.pass_time(2)
    scene.queue(lane="bulk")
    scene.queue(lane="bulk")
    scene.see()
    claim = scene.ask(lanes=(Lane.BULK,))
    assert (claim.reason, round(claim.wait, 3), claim.for_bulk) == ("rate", 1.002, True)
    scene.expect("""
        + counters sending = 1
        ~ gate at = now-2 -> now
        + gate claims = 1
        ~ gate folds_at = now-4 -> now+30
        + gate left:bulk = now
        ~ gate level = 50 -> 0
        ~ gate on_way = 0 -> 1
        ~ gate total = 0 -> 1
        + leases <1> = now+30
        + ledger minute now-25 = 1
        + message:<1> claim_id = x-1
        + message:<1> claimed = now
        + message:<1> history 1 = [now,"sending","w"]
        + message:<1> reason = w
        + message:<1> started_at = ''
        ~ message:<1> state = queued -> sending
        + message:<1> tokens_at = now
        + message:<1> worker = w
        ~ rq:job:<1> status = queued -> started
        + rq:job:<1> worker_name = w
        ~ rq:queue:bulk = <1>, <2> -> <2>
        + rq:wip:bulk <1>:x-1 = inf
        - state:queued <1> = now
        + state:sending <1> = now
        + token_waiters:bulk w = now+1.002004
    """)
    # and asks again too early
    scene.pass_time(0.5)
    scene.ask(lanes=(Lane.BULK,))
    scene.expect("""
        ~ gate claims = 1 -> 2
        ~ token_waiters:bulk w = now+0.502004 -> now+1.002004
    """)


def test_tokens_gather_for_none_right_after_they_gathered_for_one_in_vain(scene: Scene) -> None:
    # Given a large mail for which there are too few tokens, and for which they gathered until half a second ago
    scene.sync(rate=14.0)
    scene.pass_time(10)
    scene.queue()
    scene.ask()
    large = scene.queue([f"p{i}@example.org" for i in range(20)], lane="bulk")
    gathered = f"{scene.now - 0.5:.6f} 20 bulk {large}"
    scene.redis.hset(scene.keys.gate, "gathers", gathered)
    # When a worker asks, Then nothing gathers, and other mail goes
    scene.see()
    assert scene.ask().reason == "rate"
    scene.expect("""
        ~ gate claims = 1 -> 2
        + token_waiters w = now+0.071572
    """)
    urgent = scene.queue()
    assert scene.ask().ids == (urgent,)
    # When as much time has passed as they gathered at the most, Then they gather for it once more
    scene.pass_time(1.001)
    scene.redis.hset(scene.keys.gate, "level", 0)
    scene.ask()
    assert scene.redis.hget(scene.keys.gate, "gathers") != gathered.encode()


def test_tokens_gather_for_mail_to_many_until_all_that_is_on_its_way_has_come(scene: Scene) -> None:
    scene.sync(rate=14.0)
    scene.pass_time(10)
    scene.queue()
    scene.ask()
    scene.pass_time(0.2)
    scene.queue([f"p{i}@example.org" for i in range(20)], lane="bulk")
    scene.see()
    claim = scene.ask()
    assert (claim.reason, claim.for_bulk) == ("rate", True)
    scene.expect("""
        ~ gate claims = 1 -> 2
        ~ gate gathers = '' -> now+1.571572 20 bulk <2>
        + token_waiters w = now+0.071572
    """)
    # other mail waits for it
    scene.queue()
    scene.see()
    scene.ask()
    scene.expect("""
        ~ gate claims = 2 -> 3
    """)
    # and when it goes nothing gathers any more
    scene.pass_time(0.5)
    scene.ask()
    scene.expect("""
        ~ counters sending = 1 -> 2
        ~ gate at = now-0.7 -> now
        ~ gate claims = 3 -> 4
        ~ gate folded = 0 -> now-0.2
        ~ gate folds_at = now-0.2 -> now+0.5
        ~ gate gathers = now+1.071572 20 bulk <2> -> ''
        + gate left:bulk = now
        ~ gate level = 6 -> -13
        ~ gate on_way = 1 -> 20
        ~ gate ses_at = now-10.7 -> now-0.2
        ~ gate ses_level = 100 -> 13
        ~ gate total = 1 -> 21
        + leases <2> = now+30
        ~ ledger minute now-33.7 = 1 -> 21
        + message:<2> claim_id = x-4
        + message:<2> claimed = now
        + message:<2> history 1 = [now,"sending","w"]
        + message:<2> reason = w
        ~ message:<2> since = now-0.5 -> now
        + message:<2> started_at = ''
        ~ message:<2> state = queued -> sending
        + message:<2> tokens_at = now
        + message:<2> worker = w
        ~ rq:job:<2> status = queued -> started
        + rq:job:<2> worker_name = w
        - rq:queue:bulk = <2>
        + rq:wip:bulk <2>:x-4 = inf
        - state:queued <2> = now-0.5
        + state:sending <2> = now
        ~ token_waiters w = now-0.428428 -> now+1.002004
    """)
