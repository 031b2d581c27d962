"""All that changes in Redis when it is settled late, or twice, what became of a message."""

from __future__ import annotations

from scene import Scene
from sesq.queue.results import put_back
from sesq.queue.states import State

TWO = ["ada@example.org", "bob@example.org"]
MINUTE = 60.0


def test_a_refund_goes_into_the_minute_of_its_claim(scene: Scene) -> None:
    grant = scene.granted(TWO)
    scene.pass_time(MINUTE)
    scene.queue()
    scene.ask()
    scene.see()
    scene.settle(grant, State.REFUSED, attempts=1, refund_day=True)
    scene.expect("""
        + content:<1> TTL = 14d
        + counters refused = 1
        ~ gate total = 3 -> 1
        - leases <1> = now-30
        - ledger minute now-82 = 2
        + message:<1> TTL = 14d
        + message:<1> attempts = 1
        + message:<1> history 2 = [now,"refused","Because."]
        ~ message:<1> reason = w -> Because.
        ~ message:<1> since = now-60 -> now
        ~ message:<1> state = sending -> refused
        ~ message:<1> tokens_at = now-60 -> ''
        + rq:failed:transactional <1> = real+14d
        + rq:job:<1> TTL = 14d
        ~ rq:job:<1> status = started -> failed
        ~ rq:job:<1> worker_name = w -> ''
        + rq:results:<1> 0 = type 2, worker_name w, exc_string Because.
        + rq:results:<1> TTL = 14d
        - rq:wip:transactional <1>:x-1 = inf
        + state:refused <1> = now
        - state:sending <1> = now-60
    """)


def test_a_refund_of_a_former_day_changes_no_minute(scene: Scene) -> None:
    grant = scene.granted(TWO)
    scene.pass_time(1442 * MINUTE)
    scene.queue(TWO)
    scene.ask()
    scene.see()
    scene.settle(grant, State.RETRYING, delay=5.0, refund_day=True)
    scene.expect("""
        + counters retrying = 1
        - leases <1> = now-86490
        + message:<1> history 2 = [now,"retrying","Because."]
        ~ message:<1> reason = w -> Because.
        ~ message:<1> since = now-86520 -> now
        ~ message:<1> state = sending -> retrying
        ~ message:<1> tokens_at = now-86520 -> ''
        ~ rq:job:<1> status = started -> scheduled
        ~ rq:job:<1> worker_name = w -> ''
        + rq:scheduled:transactional <1> = now+5
        - rq:wip:transactional <1>:x-1 = inf
        + state:retrying <1> = now
        - state:sending <1> = now-86520
    """)


def test_a_throttle_withholds_a_tenth_more_and_half_of_that_is_left_a_minute_later(scene: Scene) -> None:
    scene.redis.hset(scene.keys.gate, mapping={"slow": 0.3, "slow_at": scene.now - 60})
    scene.settle(scene.granted(), State.QUEUED, throttled=True, refund_day=True)
    assert scene.redis.hget(scene.keys.gate, "slow") == b"0.25"


def test_a_throttle_leaves_debts_and_withholds_no_more_than_half(scene: Scene) -> None:
    grant = scene.granted()
    debts = {"slow": 0.45, "slow_at": scene.now, "level": -3, "ses_level": -2, "ses_at": scene.now}
    scene.redis.hset(scene.keys.gate, mapping=debts)
    scene.see()
    scene.settle(grant, State.QUEUED, throttled=True, refund_day=True)
    scene.expect("""
        + counters queued = 1
        ~ gate on_way = 1 -> 0
        ~ gate ses_level = -2 -> -3
        ~ gate slow = 0.45 -> 0.5
        + gate throttles = 1
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
        + state:queued <1> = now
        - state:sending <1> = now
        ! wake = urgent
    """)


def test_others_fill_a_day_that_ses_calls_spent(scene: Scene) -> None:
    scene.sync(daily=200.0)
    grant = scene.granted()
    scene.redis.hset(scene.keys.snapshot, "others", 250)
    scene.see()
    scene.settle(grant, State.QUEUED, day_spent=True)
    scene.expect("""
        + counters queued = 1
        ~ gate on_way = 1 -> 0
        ~ gate ses_level = 100 -> 99
        - leases <1> = now+30
        + message:<1> history 2 = [now,"queued","Because."]
        ~ message:<1> reason = w -> Because.
        ~ message:<1> state = sending -> queued
        ~ message:<1> tokens_at = now -> ''
        ~ rq:job:<1> status = started -> queued
        ~ rq:job:<1> worker_name = w -> ''
        + rq:queue:transactional = <1>
        - rq:wip:transactional <1>:x-1 = inf
        + state:queued <1> = now
        - state:sending <1> = now
        ! wake = urgent
    """)


def test_it_was_sent_before_and_is_so_again(scene: Scene) -> None:
    grant = scene.granted()
    scene.settle(grant, State.SENT, "m-1", message_id="m-1", attempts=1)
    scene.see()
    assert scene.settle(grant, State.SENT, "m-1", message_id="m-1", attempts=1) is None
    scene.expect("")


def test_ses_took_what_was_cancelled_as_unknown(scene: Scene) -> None:
    grant = scene.granted()
    scene.settle(grant, State.UNKNOWN)
    scene.messages.cancel(grant.id, "ada")
    scene.see()
    scene.settle(grant, State.SENT, "m-1", message_id="m-1")
    scene.expect("""
        + counters sent = 1
        + counters wait:0.1 = 1
        + counters wait:sum = 0
        + message:<1> history 4 = [now,"sent","m-1"]
        + message:<1> message_id = m-1
        ~ message:<1> reason = cancelled by ada -> m-1
        ~ message:<1> state = cancelled -> sent
        - rq:canceled:transactional <1> = real+14d
        + rq:finished:transactional <1> = real+14d
        ~ rq:job:<1> status = canceled -> finished
        + rq:results:<1> 0 = type 1, worker_name w, return_value m-1
        + rq:results:<1> TTL = 14d
        - state:cancelled <1> = now
        + state:sent <1> = now
    """)


def test_ses_took_what_is_queued_again_in_the_middle_of_its_lane(scene: Scene) -> None:
    grant = scene.granted()
    scene.pass_time(31)
    scene.queue()
    scene.reap("resend")
    scene.queue()
    scene.redis.lpush("rq:queue:sesq.default.transactional", scene.queue(lane="bulk"))
    scene.see()
    scene.settle(grant, State.SENT, "m-1", message_id="m-1")
    scene.expect("""
        + content:<1> TTL = 14d
        + counters sent = 1
        + counters wait:60 = 1
        + counters wait:sum = 31
        + message:<1> TTL = 14d
        + message:<1> history 3 = [now,"sent","m-1"]
        + message:<1> message_id = m-1
        ~ message:<1> reason = its worker died while it was on its way: SES may have taken it; se… (101)
        ~ message:<1> state = queued -> sent
        + rq:finished:transactional <1> = real+14d
        + rq:job:<1> TTL = 14d
        ~ rq:job:<1> status = queued -> finished
        + rq:results:<1> 0 = type 1, worker_name judge, return_value m-1
        + rq:results:<1> TTL = 14d
        + stale:transactional <1> = in it
        - state:queued <1> = now
        + state:sent <1> = now
    """)


def test_its_record_is_gone_or_of_another_version(scene: Scene) -> None:
    first, second = scene.granted(), scene.granted()
    scene.redis.delete(scene.keys.message(first.id))
    scene.redis.hset(scene.keys.message(second.id), "state", "dreaming")
    scene.see()
    results = [put_back(grant, "not needed") for grant in (first, second)]
    assert scene.gate.settle(results) == [None, None]
    scene.expect("")


def test_a_refund_after_the_books_were_lost_opens_no_room(scene: Scene) -> None:
    """The counts are there still, and nobody knows of which minutes."""
    grant = scene.granted(TWO)
    scene.redis.delete(scene.keys.gate, scene.keys.snapshot)
    scene.see()
    scene.settle(grant, State.RETRYING, delay=5.0, refund_day=True)
    scene.expect("""
        + counters retrying = 1
        + gate at = now
        + gate born = now
        + gate folded = 0
        + gate folded_before = 0
        + gate folds_at = now
        + gate gathers = ''
        + gate level = 0
        + gate minute = now-22
        + gate on_way = 0
        + gate ses_at = now
        + gate ses_level = -2
        + gate total = 0
        - leases <1> = now+30
        - ledger slot 917 = 2
        + message:<1> history 2 = [now,"retrying","Because."]
        ~ message:<1> reason = w -> Because.
        ~ message:<1> state = sending -> retrying
        ~ message:<1> tokens_at = now -> ''
        ~ rq:job:<1> status = started -> scheduled
        ~ rq:job:<1> worker_name = w -> ''
        + rq:scheduled:transactional <1> = now+5
        - rq:wip:transactional <1>:x-1 = inf
        + state:retrying <1> = now
        - state:sending <1> = now
    """)
