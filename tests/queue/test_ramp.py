"""A ramp: what it lets go on each day, that the gate keeps to it, and that what is told beforehand comes true."""

from __future__ import annotations

import json
from decimal import Decimal, localcontext
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis import Redis

from sesq.config.errors import InvalidPolicy
from sesq.queue.ramp import mind_ramp, put_back_ramp, start_ramp, stop_ramp
from sesq.queue.reputation import Standing
from sesq.queue.states import Lane, State
from sesq.queue.usage import Ramp, Usage
from stage import START, Stage

DAY = 86_400
BAD = Standing(sent=1000, bounced=90, complained=0)
GOOD = Standing(sent=1000, bounced=70, complained=3)


@pytest.fixture
def stage(redis: Redis) -> Stage:
    """50,000 a day and 100 a second, as SES says."""
    return Stage(redis)


def start(stage: Stage, first: Any = 200, last: Any = 50_000, days: float = 14) -> None:
    start_ramp(stage.redis, "default", first, last, days * DAY, by="ada")


def usage_of(stage: Stage) -> Usage:
    return stage.gate.usage()


def ramp_of(stage: Stage) -> Ramp:
    ramp = usage_of(stage).ramp
    assert ramp is not None
    return ramp


def caps_by_day(stage: Stage, days: int) -> list[float | None]:
    found = []
    for _ in range(days):
        found.append(usage_of(stage).daily)
        stage.pass_time(DAY)
    return found


# what it lets go -------------------------------------------------------------------------------------------


def test_it_grows_by_the_same_factor_each_day_and_stays_at_its_end(stage: Stage) -> None:
    start(stage, 100, 1600, 4)
    assert caps_by_day(stage, 7) == [100, 200, 400, 800, 1600, 1600, 1600]


def test_two_weeks_from_200_to_50000(stage: Stage) -> None:
    start(stage)
    caps = [200, 296, 440, 652, 968, 1436, 2131, 3162, 4691, 6959, 10323, 15315, 22719, 33704, 50000]
    assert caps_by_day(stage, 16) == [*caps, 50000]


def test_a_day_of_it_begins_at_the_second(stage: Stage) -> None:
    start(stage, 100, 400, 2)
    begun = stage.now
    for seconds, cap in ((0, 100), (DAY - 1, 100), (DAY, 200), (2 * DAY - 1, 200), (2 * DAY, 400)):
        stage.pass_time(begun + seconds - stage.now)
        assert usage_of(stage).daily == cap


@pytest.mark.parametrize(
    ("told", "set_to", "daily", "counts"),
    [
        ({"daily": -1.0}, {}, 300, True),
        ({"daily": 250.0}, {}, 250, False),
        ({"daily": 300.0}, {}, 300, False),
        ({}, {"daily": "250"}, 250, False),
        ({}, {"daily": "400"}, 300, True),
        ({"readable": 0}, {}, 200, False),
        ({"readable": 0}, {"daily": "1000"}, 300, True),
    ],
)
def test_the_smallest_limit_of_the_day_counts(
    stage: Stage, told: dict[str, Any], set_to: dict[str, str], daily: float, counts: bool
) -> None:
    stage.sync(**told)
    if set_to:
        stage.policy.set(set_to, by="ada")
    start(stage, 300, 600, 1)
    usage = usage_of(stage)
    assert (usage.daily, usage.ramp_counts, ramp_of(stage).cap) == (daily, counts, 300)


def test_a_share_is_kept_of_what_the_ramp_lets_go(stage: Stage) -> None:
    stage.policy.set({"reserve": "10%"}, by="ada")
    start(stage, 205, 820, 2)
    assert usage_of(stage).reserve == 20
    stage.pass_time(DAY)
    assert usage_of(stage).reserve == 41


@pytest.mark.parametrize(
    ("first", "last", "days", "said"),
    [
        ("unlimited", 5, 1, "from: unlimited is no whole number"),
        (200, "unlimited", 1, "to: unlimited is no whole number"),
        (0, 5, 1, "from: "),
        (0.5, 5, 1, "from: 0.5 is no whole number"),
        ("5/hour", 50, 1, "from: '5/hour' is not a daily quota"),
        (10, 1e300, 1, "to: 1e+300 is no whole number"),
        (200, 200, 1, "to: a ramp grows, so 200 must be more than the 200 of its first day"),
        (200, 100, 1, "to: a ramp grows"),
        (200, 400, 0.5, "over: a ramp grows once a day, so it takes whole days, from 1d to 366d, not 0.5d"),
        (200, 400, 1.5, "not 1.5d"),
        (200, 400, 0, "not 0d"),
        (200, 400, 367, "not 367d"),
    ],
)
def test_what_makes_no_sense_changes_nothing(
    stage: Stage, first: Any, last: Any, days: float, said: str
) -> None:
    with pytest.raises(InvalidPolicy) as refused:
        start(stage, first, last, days)
    assert said in str(refused.value)
    assert usage_of(stage).ramp is None
    assert stage.policy.history() == []


def test_a_reserve_that_leaves_nothing_of_its_first_day_is_refused(stage: Stage) -> None:
    stage.policy.set({"reserve": "201"}, by="ada")
    with pytest.raises(
        InvalidPolicy, match=r"from: the reserve keeps 201 .* set the limit `reserve` to a share"
    ):
        start(stage, 200, 400, 2)
    stage.policy.set({"reserve": "200"}, by="ada")
    start(stage, 200, 400, 2)
    with pytest.raises(InvalidPolicy, match="reserve: 201 is more than the 200 recipients of a whole day"):
        stage.policy.set({"reserve": "201"}, by="ada")
    stage.pass_time(DAY)
    stage.policy.set({"reserve": "201"}, by="ada")


@pytest.mark.parametrize("damaged", ["", "{", "7", '{"from": 5}', '{"from":0,"to":9,"days":1,"grown":0}'])
def test_a_damaged_ramp_limits_nothing_and_can_be_stopped(stage: Stage, damaged: str) -> None:
    stage.redis.hset(stage.keys.policy, "ramp", damaged)
    assert usage_of(stage).daily == 50_000
    mind_ramp(stage.redis, "default", BAD)
    stop_ramp(stage.redis, "default", by="ada")
    assert not stage.redis.hexists(stage.keys.policy, "ramp")


# the gate keeps to it --------------------------------------------------------------------------------------


def test_no_more_go_in_any_24_hours_than_it_lets_go_then(stage: Stage) -> None:
    """To the recipient: what goes is all that may go, on each of its days."""
    stage.sync(daily=50_000.0, rate=5000.0)
    start(stage, 10, 40, 2)
    begun = stage.now
    for _ in range(90):
        stage.queue()
    times: list[float] = []
    for _ in range(4 * 48):
        stage.pass_time(1800)
        times += [stage.now] * len(stage.work(50))
        cap = ramp_of(stage).cap
        within = [time for time in times if time > stage.now - DAY]
        assert len(within) <= cap
    assert len(times) == 90
    # all that may go on a day goes when its time has come
    assert times[:20] == [begun + 1800] * 10 + [begun + DAY] * 10


def test_who_waits_for_room_is_told_of_the_day_on_which_there_is_more(stage: Stage) -> None:
    start(stage, 5, 10, 1)
    begun = stage.now
    for _ in range(6):
        stage.queue()
    stage.pass_time(3600)
    assert len(stage.work()) == 5
    claim = stage.ask()
    assert (claim.reason, claim.wait) == ("day", pytest.approx(begun + DAY - stage.now))
    assert usage_of(stage).lanes[0]["room_at"] == pytest.approx(begun + DAY)
    stage.pass_time(claim.wait)
    assert len(stage.work()) == 1


def test_who_waits_for_more_room_than_that_is_told_when_it_is_free(stage: Stage) -> None:
    """Ten were sent before the ramp of 5 to 8 began: it takes the time until they are a day old."""
    for _ in range(10):
        stage.queue()
    stage.work()
    sent_at = stage.now
    stage.pass_time(3600)
    start(stage, 5, 8, 1)
    stage.queue()
    free_at = (sent_at // 60 + 1442) * 60
    assert usage_of(stage).lanes[0]["room_at"] == free_at
    assert stage.ask().wait == pytest.approx(free_at - stage.now)


def test_who_waits_for_longer_asks_again_when_the_cap_grows(stage: Stage) -> None:
    """Others use three of the day: four more have no room before the five that were sent are a day old."""
    start(stage, 8, 10, 1)
    begun = stage.now
    stage.sync(sent=3.0)
    stage.pass_time(3600)
    for _ in range(5):
        stage.queue()
    assert len(stage.work()) == 5
    stage.queue([f"p{i}@example.org" for i in range(4)])
    claim = stage.ask()
    assert (claim.reason, claim.wait) == ("day", pytest.approx(begun + DAY - stage.now))
    assert usage_of(stage).lanes[0]["room_at"] > begun + DAY


@pytest.mark.parametrize(("recipients", "goes_with_the_day"), [(2, True), (3, False)])
def test_what_is_kept_grows_too_so_bulk_mail_waits_for_less(
    stage: Stage, recipients: int, goes_with_the_day: bool
) -> None:
    """A day of ten and then of twelve, half of it for bulk mail, of which four have gone."""
    stage.policy.set({"reserve": "50%"}, by="ada")
    start(stage, 10, 12, 1)
    begun = stage.now
    for _ in range(4):
        stage.queue(lane=Lane.BULK)
    assert len(stage.work()) == 4
    stage.queue([f"p{i}@example.org" for i in range(recipients)], lane=Lane.BULK)
    room_at = usage_of(stage).lanes[1]["room_at"]
    assert room_at == pytest.approx(begun + DAY if goes_with_the_day else (begun // 60 + 1442) * 60)
    stage.pass_time(DAY)
    assert len(stage.work()) == int(goes_with_the_day)
    stage.pass_time(room_at - stage.now)
    assert len(stage.work()) == int(not goes_with_the_day)


def test_mail_to_more_than_a_day_has_room_for_goes_when_the_ramp_has_room(stage: Stage) -> None:
    start(stage, 5, 10, 1)
    id = stage.queue([f"p{i}@example.org" for i in range(8)])
    stage.work()
    assert stage.state(id) is State.HELD
    # Another ramp, and the end of one, free at once what fits then
    start(stage, 9, 10, 1)
    assert stage.state(id) is State.QUEUED
    start(stage, 5, 10, 1)
    stage.work()
    assert stage.state(id) is State.HELD
    assert stop_ramp(stage.redis, "default", by="ada")
    assert stage.state(id) is State.QUEUED
    assert not stop_ramp(stage.redis, "default", by="ada")


# standing still --------------------------------------------------------------------------------------------


def test_it_stands_still_while_too_much_bounces_and_goes_on_where_it_was(stage: Stage) -> None:
    start(stage, 100, 1600, 4)
    stage.pass_time(DAY * 1.5)
    mind_ramp(stage.redis, "default", BAD)
    ramp = ramp_of(stage)
    assert (ramp.cap, ramp.day, ramp.steps, ramp.still_since) == (200, 1, (), stage.now)
    assert "9.00% bounces" in ramp.still_because
    stage.pass_time(DAY * 10)
    mind_ramp(stage.redis, "default", BAD)  # once more, which changes nothing
    assert ramp_of(stage).still_since == pytest.approx(stage.now - DAY * 10)
    assert usage_of(stage).daily == 200
    mind_ramp(stage.redis, "default", GOOD)
    assert ramp_of(stage).steps[0] == (pytest.approx(stage.now + DAY / 2), 400)
    stage.pass_time(DAY / 2 - 1)
    assert usage_of(stage).daily == 200
    stage.pass_time(1)
    assert caps_by_day(stage, 4) == [400, 800, 1600, 1600]
    assert [entry["by"] for entry in stage.policy.history()] == ["sesq", "sesq", "ada"]


def test_one_that_has_come_to_its_end_has_nothing_to_stand_still_for(stage: Stage) -> None:
    start(stage, 100, 200, 1)
    stage.pass_time(DAY)
    mind_ramp(stage.redis, "default", BAD)
    assert ramp_of(stage).still_since is None
    assert len(stage.policy.history()) == 1


def test_a_ramp_that_starts_while_too_much_bounces_stands_still_from_its_start(stage: Stage) -> None:
    hour = int(stage.now // 3600)
    stage.redis.hset(stage.keys.reputation, mapping={f"{hour}:sent": 600, f"{hour}:complained": 6})
    start(stage, 100, 200, 1)
    assert "1.00% complaints" in ramp_of(stage).still_because
    stage.pass_time(3 * DAY)
    assert usage_of(stage).daily == 100


@pytest.mark.parametrize("standing", [Standing(499, 499, 499), Standing(1000, 79, 3), Standing(0, 0, 0)])
def test_below_the_lines_of_the_brake_it_grows(stage: Stage, standing: Standing) -> None:
    start(stage, 100, 200, 1)
    mind_ramp(stage.redis, "default", standing)
    assert ramp_of(stage).still_since is None


def test_one_that_is_put_back_goes_on_from_where_it_was(stage: Stage) -> None:
    start(stage, 100, 1600, 4)
    stage.pass_time(DAY * 2.25)
    stop_ramp(stage.redis, "default", by="bob")
    stage.pass_time(DAY * 30)
    put_back_ramp(stage.redis, "default", stage.policy.history()[0]["old"]["ramp"], by="ada")
    ramp = ramp_of(stage)
    assert (ramp.cap, ramp.day, ramp.began) == (400, 2, pytest.approx(START + 2, abs=2))
    assert ramp.steps[0] == (pytest.approx(stage.now + DAY * 0.75), 800)
    with pytest.raises(InvalidPolicy, match="is damaged"):
        put_back_ramp(stage.redis, "default", {"from": 5}, by="ada")


# what is told beforehand comes true ------------------------------------------------------------------------


def assert_between(cap: int, ramp: Ramp, day: int) -> None:
    """The cap is what a factor a day makes of its start, in numbers of forty digits, without a fraction."""
    with localcontext() as precise:
        precise.prec = 40
        exact = ramp.first * (Decimal(ramp.last) / ramp.first) ** (Decimal(day) / ramp.days)
        assert -Decimal("1e-4") < exact - cap < 1 + Decimal("1e-4")


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    first=st.integers(1, 5000),
    more=st.integers(1, 10**6),
    days=st.integers(1, 60),
    ceiling=st.sampled_from([-1.0, 1.0, 777.0, 20_000.0]),
    reserve=st.sampled_from(["0", "1", "10%", "7%", "100%"]),
    looks=st.lists(st.tuples(st.floats(0, 9 * DAY), st.booleans()), min_size=1, max_size=5),
)
def test_the_gate_does_what_was_told_of_the_days_to_come(
    redis: Redis,
    first: int,
    more: int,
    days: int,
    ceiling: float,
    reserve: str,
    looks: list[tuple[float, bool]],
) -> None:
    """What a forecast goes by is what the script decides by, at each step and just before it."""
    redis.flushall()
    stage = Stage(redis)
    stage.sync(daily=ceiling)
    stage.policy.set({"reserve": reserve}, by="ada")
    start(stage, first, first + more, days)
    before = 0
    for seconds, bad in looks:
        stage.pass_time(round(seconds, 2))
        mind_ramp(redis, "default", BAD if bad else GOOD)
        usage = usage_of(stage)
        ramp, now = ramp_of(stage), stage.now
        assert usage.daily == (min(ramp.cap, ceiling) if ceiling >= 0 else ramp.cap)
        assert ramp.cap >= before
        before = ramp.cap
        assert_between(ramp.cap, ramp, ramp.day)
        assert len(ramp.steps) == (0 if bad and ramp.day < days else days - ramp.day)
        assert ramp.steps == () or ramp.steps[-1][1] == first + more
        at_last = (usage.daily, usage.reserve)
        for number, step in enumerate(usage.growth[:3], 1):
            assert_between(ramp.steps[number - 1][1], ramp, ramp.day + number)
            stage.now = step.at - 0.01
            stage.set_clock()
            earlier = usage_of(stage)
            assert (earlier.daily, earlier.reserve) == at_last
            stage.now = step.at
            stage.set_clock()
            then = usage_of(stage)
            assert (then.daily, then.reserve) == (step.daily, step.reserve)
            at_last = (step.daily, step.reserve)
        stage.now = now
        stage.set_clock()


def test_what_stands_in_redis(stage: Stage) -> None:
    start(stage, "200/day", "50000/day")
    stored = json.loads(stage.redis.hget(stage.keys.policy, "ramp") or "")
    assert stored == {"from": 200, "to": 50000, "days": 14, "began": stage.now, "grown": 0, "at": stage.now}
