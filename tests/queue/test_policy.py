"""The live policy: its layers, what it refuses, and that the gate follows it from the next claim on."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis import Redis

from sesq.config.errors import InvalidPolicy
from sesq.queue.limit_values import LIMITS
from sesq.queue.policy import HISTORY_LENGTH, Policy, Setting
from stage import Stage


@pytest.fixture
def stage(redis: Redis) -> Stage:
    stage = Stage(redis)
    stage.sync(rate=10.0, daily=1000.0)
    return stage


def test_the_first_layer_with_a_value_counts_and_is_named(stage: Stage) -> None:
    policy = stage.policy
    assert policy.show()["rate"] == Setting("10.0", "SES")
    assert policy.show()["margin"] == Setting(None, "default")
    policy.configure({"rate": "5/second", "margin": "0.1"})
    assert policy.show()["rate"] == Setting("5.0", "sesq.toml")
    policy.set({"rate": "2 per 4 seconds"}, by="ada")
    assert policy.show()["rate"] == Setting("0.5", "set")
    assert stage.gate.usage().rate == 0.5
    policy.reset(["rate"], by="ada")
    assert policy.show()["rate"] == Setting("5.0", "sesq.toml")
    assert stage.gate.usage().rate == 5.0
    policy.configure({})
    assert stage.gate.usage().rate == 10.0


def test_what_was_set_outlives_a_workers_start(stage: Stage) -> None:
    stage.policy.set({"rate": "2"}, by="ada")
    stage.policy.configure({"rate": "7"})
    assert stage.gate.usage().rate == 2.0


@pytest.mark.parametrize(
    "bad",
    [
        {"rate": "fast"},
        {"rate": "0"},
        {"rate": "-3"},
        {"rate": "nan"},
        {"rate": "inf"},
        {"daily": "0.5"},
        {"daily": "200/hour"},
        {"burst": "0.5"},
        {"margin": "0.6"},
        {"margin": "-0.1"},
        {"reserve": "101%"},
        {"reserve": "-1"},
        {"reserve": "some"},
        {"speed": "3"},
        {"rate": "3", "daily": "none"},
        {},
    ],
)
def test_a_bad_value_changes_nothing(stage: Stage, bad: dict[str, str]) -> None:
    stage.policy.set({"rate": "4", "reserve": "10%"}, by="ada")
    before = (stage.policy.show(), stage.policy.history(), stage.gate.usage())
    with pytest.raises(InvalidPolicy):
        stage.policy.set(bad, by="bob")
    assert (stage.policy.show(), stage.policy.history(), stage.gate.usage()) == before


@pytest.mark.parametrize(
    ("limit", "bound", "beyond"),
    [
        ("rate", "10", "10.01"),
        ("daily", "1000", "1000.5"),
        ("daily", "1", "0.99"),
        ("burst", "1", "0.99"),
        ("margin", "0", "-0.01"),
        ("margin", "0.5", "0.501"),
        ("reserve", "0", "-0.01"),
        ("reserve", "100%", "100.1%"),
        ("reserve", "1000", "1000.5"),
    ],
)
def test_exactly_the_bound_is_taken_and_what_lies_beyond_is_refused(
    stage: Stage, limit: str, bound: str, beyond: str
) -> None:
    stage.policy.set({limit: bound}, by="ada")
    taken = stage.policy.show()[limit]
    assert (taken.origin, taken.forced) == ("set", False)
    with pytest.raises(InvalidPolicy):
        stage.policy.set({limit: beyond}, by="ada")
    assert stage.policy.show()[limit] == taken


def test_the_history_keeps_its_bound_and_loses_the_oldest(stage: Stage) -> None:
    old = [json.dumps({"at": number, "by": "bob"}) for number in range(HISTORY_LENGTH)]
    stage.redis.rpush(stage.keys.policy_history, *old)
    stage.policy.pause("a look", by="ada")
    history = stage.policy.history(2 * HISTORY_LENGTH)
    assert len(history) == HISTORY_LENGTH
    assert (history[0]["by"], history[-1]["at"]) == ("ada", HISTORY_LENGTH - 2)


@pytest.mark.parametrize("seconds", [0.0, -5.0, float("nan"), float("inf")])
def test_a_time_limit_must_be_a_time(stage: Stage, seconds: float) -> None:
    with pytest.raises(InvalidPolicy):
        stage.policy.set({"rate": "4"}, by="ada", for_seconds=seconds)


TEXTS = st.one_of(
    st.text(max_size=12),
    st.from_regex(r"[+-]?[0-9_]{1,6}(\.[0-9]{0,3})?(e[0-9])?%?", fullmatch=True),
    st.sampled_from(["1_000", "\u0661\u0660", "\uff11\uff10%", " 10 %", "0x10", "1e2", "10%", "+5", ".5"]),
)


@given(name=st.sampled_from(sorted(LIMITS)), text=TEXTS)
def test_what_is_accepted_is_a_number_to_the_gates_script_too(name: str, text: str) -> None:
    """Python reads more as a number than Lua does; one that only Python reads would stop every claim."""
    try:
        value = LIMITS[name](text)
    except InvalidPolicy:
        return
    number = value.removesuffix("%") if name == "reserve" else value
    assert number.isascii()
    assert set(number) <= set("0123456789.e+-")
    float(number)


def test_the_gate_goes_on_with_a_reserve_as_people_write_it(stage: Stage) -> None:
    stage.policy.set({"reserve": "1_0"}, by="ada")
    id = stage.queue(lane="bulk")
    assert stage.gate.usage().reserve == 10
    assert [result.grant.id for result in stage.work()] == [id]


def test_above_ses_only_by_force_and_then_the_gate_follows(stage: Stage) -> None:
    with pytest.raises(InvalidPolicy, match="above the 10 a second that SES allows"):
        stage.policy.set({"rate": "20"}, by="ada")
    with pytest.raises(InvalidPolicy, match="in 24 hours"):
        stage.policy.set({"daily": "unlimited"}, by="ada")
    stage.policy.set({"rate": "20"}, by="ada", force=True)
    assert stage.policy.show()["rate"] == Setting("20.0", "set", forced=True)
    assert stage.gate.usage().rate == 20.0
    # a value under SES's needs no force, and takes the old one's away
    stage.policy.set({"rate": "8"}, by="ada")
    stage.sync(rate=5.0)
    assert stage.gate.usage().rate == 5.0


def test_before_the_account_is_known_limits_can_be_set(redis: Redis) -> None:
    policy = Policy(redis)
    policy.set({"rate": "1000", "daily": "unlimited"}, by="ada")
    assert policy.show()["daily"] == Setting("-1", "set")


@pytest.mark.parametrize("for_seconds", [None, 3600.0])
def test_what_is_forced_before_the_account_is_known_stays_forced(
    stage: Stage, for_seconds: float | None
) -> None:
    # Given an account that SES has not described
    stage.redis.delete(stage.keys.snapshot)
    stage.policy.set({"rate": "20", "daily": "2000"}, by="ada", for_seconds=for_seconds, force=True)
    # When SES does, with less
    stage.sync(rate=10.0, daily=1000.0)
    # Then what was asked for counts
    usage = stage.gate.usage()
    assert (usage.rate, usage.daily) == (20.0, 2000.0)
    assert stage.policy.show()["rate"].forced


def test_what_is_forced_stays_forced_when_ses_allows_less(stage: Stage) -> None:
    stage.policy.set({"rate": "8"}, by="ada", force=True)
    stage.sync(rate=5.0)
    assert stage.gate.usage().rate == 8.0


def test_what_is_not_forced_yields_to_what_ses_says_later(stage: Stage) -> None:
    stage.redis.delete(stage.keys.snapshot)
    stage.policy.set({"rate": "20"}, by="ada")
    stage.sync(rate=10.0)
    assert stage.gate.usage().rate == 10.0


def test_a_limit_for_a_time_ends_by_itself(stage: Stage) -> None:
    stage.policy.set({"rate": "8"}, by="ada")
    stage.policy.set({"rate": "2"}, by="ada", for_seconds=60)
    assert stage.policy.show()["rate"] == Setting("2.0", "set", stage.now + 60)
    assert stage.gate.usage().rate == 2.0
    stage.pass_time(60)
    assert stage.policy.show()["rate"] == Setting("8.0", "set")
    assert stage.gate.usage().rate == 8.0


def test_force_for_a_time_ends_with_the_time(stage: Stage) -> None:
    stage.policy.set({"rate": "8"}, by="ada")
    stage.policy.set({"rate": "20"}, by="ada", for_seconds=60, force=True)
    assert stage.gate.usage().rate == 20.0
    assert stage.policy.show()["rate"].forced
    stage.pass_time(60)
    stage.sync(rate=5.0)
    assert stage.gate.usage().rate == 5.0
    assert not stage.policy.show()["rate"].forced


def test_a_limit_for_a_time_takes_no_force_from_the_one_below(stage: Stage) -> None:
    stage.policy.set({"rate": "20"}, by="ada", force=True)
    stage.policy.set({"rate": "3"}, by="ada", for_seconds=60)
    assert stage.gate.usage().rate == 3.0
    stage.pass_time(60)
    assert stage.gate.usage().rate == 20.0


def test_setting_a_limit_for_good_ends_the_one_for_a_time(stage: Stage) -> None:
    stage.policy.set({"rate": "2"}, by="ada", for_seconds=60)
    stage.policy.set({"rate": "6"}, by="ada")
    assert stage.gate.usage().rate == 6.0


def test_a_reserve_above_the_day_is_refused_whichever_comes_second(stage: Stage) -> None:
    with pytest.raises(InvalidPolicy, match="more than the 1,000 recipients"):
        stage.policy.set({"reserve": "1001"}, by="ada")
    stage.policy.set({"reserve": "500"}, by="ada")
    with pytest.raises(InvalidPolicy, match="more than the 400 recipients"):
        stage.policy.set({"daily": "400"}, by="ada")
    stage.policy.set({"daily": "400", "reserve": "100%"}, by="ada")
    assert stage.gate.usage().reserve == 400


def test_pause_and_resume(stage: Stage) -> None:
    stage.policy.pause("too many bounces", by="ada")
    stage.queue()
    assert stage.policy.paused == "too many bounces"
    assert stage.claim()[0].reason == "paused"
    stage.policy.resume(by="ada")
    assert stage.policy.paused == ""
    assert len(stage.claim()[1]) == 1


def test_a_pause_without_a_reason_is_a_pause(stage: Stage) -> None:
    stage.policy.pause("", by="ada")
    stage.queue()
    assert stage.claim()[0].reason == "paused"


def test_the_history_says_who_changed_what_when(stage: Stage) -> None:
    stage.policy.set({"rate": "4"}, by="ada")
    stage.pass_time(10)
    stage.policy.set({"rate": "3"}, by="bob", for_seconds=5)
    stage.policy.pause("bounces", by="cleo")
    stage.policy.resume(by="cleo")
    stage.policy.reset(by="ada")
    reset, resumed, paused, second, first = stage.policy.history()
    assert (first["by"], first["old"], first["new"]) == ("ada", {"rate": None}, {"rate": "4.0"})
    assert (second["by"], second["old"]["rate"], second["until"]) == ("bob", "4.0", stage.now + 5)
    assert second["at"] == first["at"] + 10
    assert (paused["new"], resumed["old"]) == ({"paused": "bounces"}, {"paused": "bounces"})
    assert (reset["old"]["rate"], reset["new"]) == ("4.0", None)
    assert stage.policy.history(1) == [reset]


def test_a_change_rings_the_bell_and_forgets_who_was_told_to_wait(stage: Stage) -> None:
    stage.redis.zadd(stage.keys.token_waiters, {"w": stage.now + 50})
    with stage.redis.pubsub(ignore_subscribe_messages=True) as signals:
        signals.subscribe(stage.keys.wake)
        signals.get_message(timeout=5)
        stage.policy.set({"rate": "4"}, by="ada")
        assert signals.get_message(timeout=5)
    assert not stage.redis.exists(stage.keys.token_waiters)
