"""`sesq quota`: what is in force, where it comes from, and who changed it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from redis import Redis
from typer.testing import Result

from sesq.queue.keys import CLOCK_OFFSET
from sesq.queue.policy import Policy

Run = Callable[..., Result]
RunJson = Callable[..., Any]
SesSays = Callable[..., None]


def limit(run_json: RunJson, name: str) -> tuple[Any, ...]:
    told = run_json("quota", "show")[name]
    return told["value"], told["origin"], told["set_to"], told["ses"], told["forced"]


def test_an_account_never_seen_has_the_sandbox_limits(
    run_json: RunJson, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SESQ_ACCOUNTS__NEW__REGION", "us-east-1")
    told = run_json("quota", "show", "--account", "new")
    ramp, (condition,) = told.pop("ramp"), told.pop("conditions")
    assert {name: (limit["value"], limit["origin"]) for name, limit in told.items()} == {
        "rate": (1, "default"),
        "daily": (200, "default"),
        "burst": (1, "default"),
        "margin": (0.002, "default"),
        "reserve": (0, "default"),
    }
    assert (ramp, condition["kind"]) == (None, "unsynced")


def test_what_ses_says_is_in_force(run_json: RunJson, ses_says: SesSays) -> None:
    ses_says(rate=14, daily=50_000)
    assert limit(run_json, "rate") == (14, "SES", None, 14, False)
    assert limit(run_json, "daily") == (50_000, "SES", None, 50_000, False)


def test_an_unlimited_day_is_null(run: Run, run_json: RunJson, ses_says: SesSays) -> None:
    ses_says(daily=-1)
    assert limit(run_json, "daily") == (None, "SES", None, None, False)
    assert "unlimited" in run("quota", "show").stdout


def test_what_is_set_holds_and_names_its_origin(run: Run, run_json: RunJson, ses_says: SesSays) -> None:
    ses_says(rate=14, daily=50_000)
    assert (
        run("quota", "set", "--rate", "1 per 2 seconds", "--margin", "0.1", "--reserve", "10%").exit_code == 0
    )
    assert limit(run_json, "rate") == (0.5, "set", 0.5, 14, False)
    assert limit(run_json, "margin")[:2] == (0.1, "set")
    assert limit(run_json, "reserve")[:3] == (5000, "set", "10%")
    assert run("quota", "reset", "rate").exit_code == 0
    assert limit(run_json, "rate")[:2] == (14, "SES")
    assert limit(run_json, "margin")[:2] == (0.1, "set")
    assert run("quota", "reset").exit_code == 0
    assert limit(run_json, "margin")[:2] == (0.002, "default")


def test_the_settings_file_is_an_origin(run_json: RunJson, ses_says: SesSays, redis: Redis) -> None:
    ses_says(rate=14)
    Policy(redis).configure({"rate": "7", "burst": "3"})
    assert limit(run_json, "rate")[:2] == (7, "sesq.toml")
    assert limit(run_json, "burst")[:2] == (3, "sesq.toml")


def test_above_ses_needs_force(run: Run, run_json: RunJson, ses_says: SesSays) -> None:
    ses_says(rate=14)
    refused = run("quota", "set", "--rate", "20")
    assert refused.exit_code == 2
    assert "20 is above the 14 a second that SES allows" in refused.stderr
    assert limit(run_json, "rate")[:2] == (14, "SES")
    assert run("quota", "set", "--rate", "20", "--force").exit_code == 0
    assert limit(run_json, "rate") == (20, "set", 20, 14, True)


def test_what_was_set_before_ses_allowed_less_is_shown_beside_it(
    run: Run, run_json: RunJson, ses_says: SesSays
) -> None:
    run("quota", "set", "--rate", "10")
    assert limit(run_json, "rate") == (1, "default", 10, None, False)
    ses_says(rate=2)
    assert limit(run_json, "rate") == (2, "SES", 10, 2, False)
    assert "10/second" in run("quota", "show").stdout


def test_a_change_for_a_while_ends_by_itself(
    run: Run, run_json: RunJson, ses_says: SesSays, redis: Redis
) -> None:
    ses_says(rate=14)
    run("quota", "set", "--rate", "2", "--for", "5h")
    told = run_json("quota", "show")["rate"]
    assert (told["value"], told["origin"]) == (2, "set")
    assert told["until"].endswith("Z")
    shown = run("quota", "show").stdout
    assert "2/second" in shown
    assert "(in 5 h)" in shown
    redis.set(CLOCK_OFFSET, 18001)
    assert limit(run_json, "rate")[:2] == (14, "SES")


def test_setting_prints_what_is_in_force(run: Run, run_json: RunJson) -> None:
    assert run_json("quota", "set", "--daily", "100/day")["daily"]["value"] == 100
    assert "100/day" in run("quota", "set", "--daily", "100/day").stdout


def test_the_end_of_one_pause_says_that_there_is_another(run: Run) -> None:
    run("quota", "pause", "--bulk", "complaints")
    assert (
        "bulk mail is still paused: complaints; `sesq quota resume --bulk`" in run("quota", "resume").stdout
    )
    run("quota", "pause", "a look")
    assert "the account is still paused: a look" in run("quota", "resume", "--bulk").stdout
    assert "still" not in run("quota", "resume").stdout


def test_what_was_set_is_written_as_what_is_in_force(run: Run, run_json: RunJson, ses_says: SesSays) -> None:
    # Given limits that somebody set as a number, as a share and without a limit, and one that nobody set
    ses_says(rate=14, daily=-1)
    run("quota", "set", "--rate", "2/second", "--daily", "unlimited", "--reserve", "5")
    # Then each number is a number, and what is none is a word
    told = run_json("quota", "show")
    assert {name: told[name]["set_to"] for name in ("rate", "daily", "burst", "reserve")} == {
        "rate": 2,
        "daily": "unlimited",
        "burst": None,
        "reserve": 5,
    }
    # And the history writes them in the same way
    assert run_json("quota", "history")[0]["new"] == {"rate": 2, "daily": "unlimited", "reserve": 5}


def test_the_history_says_who_did_what(run: Run, run_json: RunJson) -> None:
    run("quota", "set", "--rate", "10")
    run("quota", "set", "--rate", "2", "--for", "10m")
    run("quota", "pause", "bounces")
    run("quota", "resume")
    run("quota", "reset")
    entries = run_json("quota", "history")
    assert [entry["new"] for entry in entries] == [
        None,
        {"paused": ""},
        {"paused": "bounces"},
        {"rate": 2},
        {"rate": 10},
    ]
    assert all("@" in entry["by"] and entry["at"].endswith("Z") for entry in entries)
    assert entries[3]["until"].endswith("Z")
    shown = run("quota", "history").stdout
    assert "rate: not set -> 10/second" in shown
    assert "reset rate, daily" in shown
    assert len(run_json("quota", "history", "--limit", "2")) == 2


def test_the_history_names_the_limit_that_held_for_a_time(run: Run, run_json: RunJson) -> None:
    # Given a limit for a time, over no limit that stays
    assert run("quota", "set", "--rate", "3/second", "--for", "2h").exit_code == 0
    # When it is changed for a time, then to stay, and both are told
    assert run("quota", "set", "--rate", "4/second", "--for", "2h").exit_code == 0
    assert run("quota", "set", "--rate", "5/second").exit_code == 0
    # Then each change tells the limit that it replaced
    shown = run("quota", "history").stdout
    for change in ("4/second -> 5/second", "3/second -> 4/second", "not set -> 3/second"):
        assert shown.count(f"rate: {change}") == 1
    told = run_json("quota", "history")
    assert [each["old"] for each in told] == [{"rate": 4}, {"rate": 3}, {"rate": None}]
    assert not any("old_for" in each for each in told)


def test_no_history_says_so(run: Run) -> None:
    assert run("quota", "history").stdout == "no changes\n"


def test_a_pause_without_a_reason_names_who(run: Run, run_json: RunJson) -> None:
    assert run("quota", "pause").stdout == "account default: paused\n"
    assert run_json("status")["paused_because"].startswith("paused by ")


@pytest.mark.parametrize("words", [("pause",), ("set", "--rate", "2")])
def test_an_account_of_its_own_is_changed_alone(
    run: Run, run_json: RunJson, words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("DEFAULT", "OTHER"):
        monkeypatch.setenv(f"SESQ_ACCOUNTS__{name}__REGION", "us-east-1")
    run("quota", *words, "--account", "other")
    assert run_json("quota", "history") == []
    assert len(run_json("quota", "history", "--account", "other")) == 1
