"""The limits by which the gate grants, of all that SES says and people set."""

from __future__ import annotations

from typing import Any

import pytest
from redis import Redis

from sesq.queue.fitting import free_fitting
from sesq.queue.results import SendResult
from sesq.queue.states import Lane, State
from stage import Stage

UNASKED = {"readable": 0}
"""SES may not be asked about the account."""


@pytest.fixture
def stage(redis: Redis) -> Stage:
    return Stage(redis)


@pytest.mark.parametrize(
    ("told", "set_to", "expected"),
    [
        # what SES says, and the burst: half a second's worth of it, at least one
        ({"rate": 14.0, "daily": 200.0}, {}, {"rate": 14, "daily": 200, "burst": 7}),
        ({"rate": 1.0}, {}, {"rate": 1, "burst": 1}),
        ({"daily": -1.0}, {}, {"daily": None, "remaining": None, "reserve": 0}),
        ({"daily": -1.0}, {"reserve": "10%"}, {"reserve": 0}),
        ({"daily": -1.0}, {"daily": "100"}, {"daily": 100, "remaining": 100}),
        ({"rate": -1.0}, {}, {"rate": 1e6}),
        # ours where it is less
        ({"rate": 14.0}, {"rate": "4"}, {"rate": 4, "burst": 2}),
        ({"rate": 14.0}, {"burst": "3"}, {"burst": 3}),
        ({"rate": 14.0}, {"burst": "70"}, {"burst": 7}),
        ({"rate": 14.0, "daily": 1000.0}, {"reserve": "12.5%"}, {"reserve": 125}),
        ({"rate": 14.0, "daily": 999.0}, {"reserve": "10%"}, {"reserve": 99}),
        ({"rate": 10.0}, {"margin": "0.1"}, {"pace": 9.0, "rate": 10}),
        ({"rate": 10.0}, {}, {"pace": 9.98}),
        # where SES may not be asked: those that were set, else those of the sandbox
        (UNASKED, {}, {"rate": 1, "daily": 200, "burst": 1}),
        (UNASKED, {"rate": "50", "daily": "1000"}, {"rate": 50, "daily": 1000, "burst": 25}),
    ],
)
def test_limits_in_force(
    stage: Stage, told: dict[str, Any], set_to: dict[str, str], expected: dict[str, float | None]
) -> None:
    stage.sync(**told)
    if set_to:
        stage.policy.set(set_to, by="ada")
    usage = stage.gate.usage()
    assert {name: getattr(usage, name) for name in expected} == {
        name: value if value is None else pytest.approx(value) for name, value in expected.items()
    }


def test_ses_grants_at_the_pace_of_its_own_limit_where_it_may_not_be_asked(stage: Stage) -> None:
    """At 50 a second as somebody set it, half of that goes at once."""
    stage.sync(**UNASKED)
    stage.policy.set({"rate": "50", "daily": "1000"}, by="ada")
    for _ in range(40):
        stage.queue()
    stage.pass_time(2)
    assert len(stage.ask(40).ids) == 25


def test_each_throttle_takes_a_tenth_of_the_rate_and_never_more_than_half(stage: Stage) -> None:
    stage.sync(rate=10.0)
    shown = []
    for _ in range(7):
        stage.queue()
        claim, _ = stage.claim()
        stage.gate.settle([SendResult(claim.grants[0], State.FAILED, "too fast", throttled=True)])
        shown.append(stage.gate.usage().shown_rate)
        stage.pass_time(1)
    assert shown[:2] == [9.0, 8.0]
    assert min(shown) == 5.0
    assert stage.gate.usage().throttles == 7


@pytest.mark.parametrize(("others", "expected"), [(0.0, 200.0), (300.0, 300.0)])
def test_a_day_that_ses_calls_spent_is_full_and_others_are_not_fewer_than_they_were(
    stage: Stage, others: float, expected: float
) -> None:
    stage.sync(daily=200.0 + others, sent=others)
    stage.queue()
    claim, _ = stage.claim()
    stage.policy.set({"daily": "200"}, by="ada")
    stage.gate.settle([SendResult(claim.grants[0], State.FAILED, "spent", day_spent=True, refund_day=True)])
    usage = stage.gate.usage()
    assert (usage.others, usage.remaining) == (expected, 0)


def test_a_minute_is_waited_for_until_all_of_it_is_over_a_day_old(stage: Stage) -> None:
    stage.sync(daily=1.0)
    stage.queue()
    stage.work()
    minute = stage.now // 60
    stage.queue()
    claim, _ = stage.claim()
    assert claim.reason == "day"
    assert claim.wait == pytest.approx((minute + 1442) * 60 - stage.now)


def test_while_bulk_mail_is_paused_its_worker_looks_once_a_second(stage: Stage) -> None:
    stage.queue(lane=Lane.BULK)
    stage.policy.pause("a look", by="ada", bulk_only=True)
    claim = stage.ask()
    assert (claim.reason, claim.wait, claim.grants) == ("paused", 1, ())
    stage.messages.cancel(stage.messages.list()[0].id, "ada")
    assert stage.ask().reason == "empty"


def test_a_worker_that_asks_again_is_not_kept_back_by_what_it_was_told_before(stage: Stage) -> None:
    stage.sync(rate=1.0)
    for _ in range(3):
        stage.queue()
    assert len(stage.ask(worker="w").ids) == 1
    first = stage.ask(worker="w")
    assert first.reason == "rate"
    assert stage.ask(worker="w").wait == first.wait
    assert stage.ask(worker="v").wait > first.wait


@pytest.mark.parametrize("lane", list(Lane))
def test_the_day_keeps_its_reserve_from_bulk_mail_alone(stage: Stage, lane: Lane) -> None:
    stage.sync(daily=10.0)
    stage.policy.set({"reserve": "4"}, by="ada")
    stage.queue([f"p{i}@example.org" for i in range(6)], lane=lane)
    stage.work()
    shown = {each["paused"]: each["room_at"] for each in stage.gate.usage((lane,)).lanes}
    stage.queue(lane=lane)
    if lane is Lane.BULK:
        assert shown[False] > stage.now
        assert stage.ask().reason == "day"
    else:
        assert shown[False] <= stage.now
        assert len(stage.ask().ids) == 1


def test_a_refused_change_of_tokens_leaves_the_books_as_they_were(stage: Stage) -> None:
    """Another has taken tokens since, so those that are too old are not given back, and it waits."""
    stage.sync(rate=2.0)
    for _ in range(4):
        stage.queue()
    _, (old,) = stage.claim(1)
    stage.pass_time(0.51)
    stage.claim(1)
    stage.gate.usage()
    before = stage.redis.hmget(stage.keys.gate, "on_way", "level", "at", "ses_level")
    answer, wait = stage.gate.renew_tokens(old, unused=True, lease=30)
    assert (answer, wait > 0) == ("rate", True)
    assert stage.redis.hmget(stage.keys.gate, "on_way", "level", "at", "ses_level") == before


def test_while_bulk_mail_is_paused_a_bulk_message_gets_no_other_tokens(stage: Stage) -> None:
    stage.queue(lane=Lane.BULK)
    _, (begun,) = stage.claim()
    stage.policy.pause("a look", by="ada", bulk_only=True)
    assert stage.gate.renew_tokens(begun, unused=True, lease=30) == ("paused", 5)


def test_other_tokens_come_with_a_lease_of_their_own(stage: Stage) -> None:
    id = stage.queue()
    _, (begun,) = stage.claim()
    stage.pass_time(20)
    assert stage.gate.renew_tokens(begun, unused=True, lease=30)[0] == "granted"
    stage.pass_time(29)
    assert stage.reap() == {}
    stage.pass_time(2)
    assert stage.reap() == {id: "unknown"}


def test_what_fits_into_a_day_again_is_counted(stage: Stage) -> None:
    stage.sync(daily=5.0)
    ids = [stage.queue([f"p{i}@example.org" for i in range(n)]) for n in (10, 20)]
    stage.claim()
    assert [stage.state(id) for id in ids] == ["held", "held"]
    stage.sync(daily=15.0)
    assert free_fitting(stage.redis, "default") == 1
    assert [stage.state(id) for id in ids] == ["queued", "held"]


def test_more_fit_again_than_one_call_looks_at(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sesq.queue.fitting.AT_ONCE", 2)
    stage.sync(daily=5.0)
    for _ in range(5):
        stage.queue([f"p{i}@example.org" for i in range(10)])
    stage.claim()
    assert stage.messages.counts()[State.HELD] == 5
    stage.sync(daily=100.0)
    assert free_fitting(stage.redis, "default") == 5
    assert stage.messages.counts()[State.QUEUED] == 5


def test_a_sync_that_brings_other_limits_forgets_who_was_told_to_wait(stage: Stage) -> None:
    for key in (stage.keys.token_waiters, stage.keys.bulk_token_waiters):
        stage.redis.zadd(key, {"w": stage.now + 50})
    stage.sync()
    assert stage.redis.exists(stage.keys.token_waiters, stage.keys.bulk_token_waiters) == 2
    stage.sync(rate=50.0)
    assert stage.redis.exists(stage.keys.token_waiters, stage.keys.bulk_token_waiters) == 0
