"""`sesq quota ramp`, and the ramp in whatever else shows limits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from redis import Redis
from typer.testing import Result

from sesq.queue.keys import CLOCK_OFFSET, Keys
from sesq.queue.ramp import mind_ramp
from sesq.queue.reputation import Standing
from sesq.queue.snapshot import redis_now

Run = Callable[..., Result]
RunJson = Callable[..., Any]
SesSays = Callable[..., None]

DAY = 86_400
START = 1_700_000_000
RAMP = ("quota", "ramp", "--from", "200", "--to", "1600/day", "--over", "3d")
DAYS = ["2023-11-14T22:13:20.000Z", "2023-11-15T22:13:20.000Z", "2023-11-16T22:13:20.000Z"]


@pytest.fixture(autouse=True)
def _clock(redis: Redis, ses_says: SesSays) -> None:
    """An account of 50,000 a day."""
    set_clock(redis, 0)
    ses_says(rate=14, daily=50_000)


def set_clock(redis: Redis, days: float) -> None:
    redis.set(CLOCK_OFFSET, f"={START + days * DAY}")


def bounce(redis: Redis) -> None:
    mind_ramp(redis, "default", Standing(1000, 90, 0))


def words(answer: Result) -> str:
    return " ".join(answer.stdout.replace("─", "").split())


def test_a_ramp_is_started_shown_replaced_and_stopped(run: Run, run_json: RunJson, redis: Redis) -> None:
    told = run_json(*RAMP)
    assert told == {
        "from": 200,
        "to": 1600,
        "days": 3,
        "began_at": DAYS[0],
        "value": 200,
        "day": 1,
        "steps": [
            {"at": DAYS[1], "value": 400},
            {"at": DAYS[2], "value": 800},
            {"at": "2023-11-17T22:13:20.000Z", "value": 1600},
        ],
        "ends_at": "2023-11-17T22:13:20.000Z",
        "stands_still_since": None,
        "stands_still_because": None,
    }
    assert run_json("quota", "ramp") == told
    shown = run_json("quota", "show")
    assert shown["ramp"] == told
    assert (shown["daily"]["value"], shown["daily"]["origin"], shown["daily"]["ses"]) == (200, "ramp", 50_000)
    assert run_json("status")["policy"]["ramp"] == told
    # Another takes its place, from the next claim on
    set_clock(redis, 1.5)
    assert run_json("quota", "ramp", "--from", "5", "--to", "6", "--over", "1d")["value"] == 5
    # And when it is stopped the other limits count alone
    assert run_json("quota", "ramp", "--stop") is None
    assert run_json("quota", "show")["daily"]["origin"] == "SES"
    assert run("quota", "ramp", "--stop").stdout == "account default: there was no ramp\n"
    assert run("quota", "ramp").stdout == "account default: no ramp\n"


def test_people_are_told_its_days_and_what_it_needs(run: Run, redis: Redis) -> None:
    told = words(run(*RAMP))
    assert told.startswith("from recipients in 24 hours now 200 ")
    assert told.index("(in 24 h) 400") < told.index("(in 2 d) 800") < told.index("(in 3 d) 1,600")
    assert "The ramp allows 200 recipients in 24 hours, on day 1 of 3; 400 from " in told
    assert "and 1,600 from " in told
    assert "No events of SES have come in a week: without them sesq knows of no bounces" in told
    hour = int(redis_now(redis) // 3600)
    redis.hset(Keys("default").reputation, f"{hour}:sent", 5)
    assert "No events" not in run("quota", "ramp").stdout


def test_one_above_what_ses_allows_is_told_and_not_refused(
    run: Run, run_json: RunJson, ses_says: SesSays
) -> None:
    ses_says(daily=300)
    answer = run(*RAMP)
    assert answer.exit_code == 0
    limited = "SES, or your own limit, allows 300 in 24 hours now, so no more than that go."
    assert limited in words(answer)
    assert limited in words(run("quota", "show"))
    assert limited in " ".join(run_json("status")["why"])


def test_it_says_that_it_stands_still_and_why(run: Run, run_json: RunJson, redis: Redis) -> None:
    run(*RAMP)
    set_clock(redis, 1.25)
    bounce(redis)
    told = run_json("quota", "ramp")
    assert (told["value"], told["day"], told["steps"], told["ends_at"]) == (400, 2, [], None)
    assert told["stands_still_since"] == "2023-11-16T04:13:20.000Z"
    assert told["stands_still_because"].startswith("9.00% bounces")
    said = "The ramp allows 400 recipients in 24 hours and stands still since "
    ends = "It goes on when bounces are below 8.0% and complaints are below 0.4%."
    for command in (("quota", "ramp"), ("quota", "show"), ("status",)):
        assert said in words(run(*command)), command
        assert ends in words(run(*command)), command


def test_one_that_has_come_to_its_end_says_how_to_take_it_away(run: Run, redis: Redis) -> None:
    run(*RAMP)
    set_clock(redis, 3)
    told = words(run("quota", "ramp"))
    assert "has come to its end and allows 1,600 recipients in 24 hours; `sesq quota ramp --stop`" in told


def test_a_reset_leaves_it_and_says_so(run: Run, run_json: RunJson) -> None:
    run(*RAMP)
    run("quota", "set", "--rate", "5")
    assert "The ramp allows 200 recipients" in words(run("quota", "reset"))
    assert run_json("quota", "show")["ramp"]["value"] == 200


def test_the_history_says_who_did_what(run: Run, run_json: RunJson, redis: Redis) -> None:
    run(*RAMP)
    set_clock(redis, 1)
    bounce(redis)
    run("quota", "ramp", "--stop")
    stopped, stood, started = run_json("quota", "history")
    plain = {"from": 200, "to": 1600, "days": 3, "began_at": DAYS[0]}
    grows = plain | {"stands_still_since": None, "stands_still_because": None}
    stands = plain | {"stands_still_since": DAYS[1], "stands_still_because": Standing(1000, 90, 0).words}
    assert (started["old"], started["new"]) == ({"ramp": None}, {"ramp": grows})
    assert (stood["by"], stood["old"], stood["new"]) == ("sesq", {"ramp": grows}, {"ramp": stands})
    assert (stopped["old"], stopped["new"]) == ({"ramp": stands}, {"ramp": None})
    shown = words(run("quota", "history"))
    assert "ramp: not set -> 200/day to 1600/day in 3 days" in shown
    assert "-> 200/day to 1600/day in 3 days, standing still: 9.00% bounces" in shown
    assert shown.count("-> not set") == 1


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("--from 200 --to 400", "a ramp needs --from, --to and --over"),
        ("--over 3d", "a ramp needs --from, --to and --over"),
        ("--stop --from 200", "--stop ends the ramp"),
        ("--from 400 --to 200 --over 3d", "to: a ramp grows"),
        ("--from few --to 200 --over 3d", "from: 'few' is not a daily quota"),
        ("--from 200 --to 400 --over 36h", "over: a ramp grows once a day, so it takes whole days"),
        ("--from 200 --to 400 --over soon", "--over: 'soon' is no duration"),
    ],
)
def test_what_makes_no_sense_is_refused(run: Run, run_json: RunJson, options: str, said: str) -> None:
    run(*RAMP)
    refused = run("quota", "ramp", *options.split())
    assert refused.exit_code == 2
    assert said in " ".join(refused.stderr.split())
    assert run_json("quota", "ramp")["to"] == 1600
