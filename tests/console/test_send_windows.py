"""Send windows where people look: what is refused, what is said, and when it goes."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from typer.testing import Result

from batch import write_template
from batch_stage import BatchStage
from sesq.console.overview import read_overview
from sesq.console.web.outlook import look_ahead
from sesq.queue.policy import Policy
from sesq.worker.opening import open_accounts

Run = Callable[..., Result]
FROM = ("--from", "shop@example.com")
WINDOW = "Mon-Fri 09:00-17:00 Europe/Berlin"
OPENS = 1_700_035_200.0  # Wednesday 15 November 2023, 09:00 in Berlin
OUTSIDE = f"outside the send window {WINDOW}, which opens at 2023-11-15 09:00+01:00"
DAY = 86_400


@pytest.fixture
def stage(redis: Redis) -> BatchStage:
    """By night in Berlin, at 1 a second."""
    stage = BatchStage(redis)
    stage.sync(rate=1.0, daily=-1.0)
    return stage


@pytest.fixture
def news(tmp_path: Path) -> Path:
    return write_template(tmp_path / "news")


def people(tmp_path: Path, count: int, zones: list[str] | None = None) -> str:
    lines = [f"p{n}@example.org,P{n}" + (f",{zones[n % len(zones)]}" if zones else "") for n in range(count)]
    path = tmp_path / "rows.csv"
    path.write_text("\n".join(["email,name" + (",tz" if zones else ""), *lines, ""]))
    return str(path)


def moment(text: str | None) -> float:
    assert text is not None
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def test_the_check_says_when_it_opens_and_ends(
    run: Run, stage: BatchStage, news: Path, tmp_path: Path
) -> None:
    # Given more rows than two days of ten minutes have room for, at 1 a second
    path = people(tmp_path, 1500)
    words = ("batch", "check", str(news), path, *FROM, "--window", "09:00-09:10 Europe/Berlin")
    told = json.loads(run(*words, "--json").stdout)
    # Then it ends on the third day, as much a day as the window lets through
    assert moment(told["ends_at"]) == pytest.approx(OPENS + 2 * DAY + 300, abs=5)
    assert [day["recipients"] for day in told["days"]] == pytest.approx([600, 600, 300], abs=3)
    assert told["outside"].startswith("outside the send window 09:00-09:10 Europe/Berlin, which opens at")
    assert "Outside the send window 09:00-09:10 Europe/Berlin, which opens" in run(*words).stdout.replace(
        "\n", " "
    )


def test_a_batch_shows_its_window_and_what_it_waits_for(
    run: Run, stage: BatchStage, news: Path, tmp_path: Path
) -> None:
    path = people(tmp_path, 3)
    id = run("batch", "send", str(news), path, *FROM, "--window", "mon-fri 09:00-17:00 Europe/Berlin").stdout
    shown = json.loads(run("batch", "show", id.strip(), "--json").stdout)
    assert (shown["window"], shown["zone_column"], shown["outside"]) == (WINDOW, "", OUTSIDE)
    assert moment(shown["ends_at"]) == pytest.approx(OPENS + 3, abs=1)
    text = " ".join(run("batch", "show", id.strip()).stdout.split())
    assert f"window {WINDOW}" in text
    assert "waits outside the send window" in text
    # When a worker has met it
    assert stage.grant(10)[1] == []
    assert json.loads(run("batch", "show", id.strip(), "--json").stdout) == shown
    status = json.loads(run("status", "--json").stdout)
    assert status["outside_windows"] == [
        {"batch": id.strip(), "recipients": 3, "opens_at": "2023-11-15T08:00:00.000Z"}
    ]
    assert status["lanes"]["bulk"]["queued"] == 0
    assert f"3 of batch {id.strip()} are {OUTSIDE}." in status["why"]
    # When it is open, nothing of that is said
    stage.pass_time(OPENS + 1 - stage.now)
    stage.gate.promote()
    assert json.loads(run("batch", "show", id.strip(), "--json").stdout)["outside"] == ""
    assert json.loads(run("status", "--json").stdout)["outside_windows"] == []


def test_rows_in_several_zones(run: Run, stage: BatchStage, news: Path, tmp_path: Path) -> None:
    # Given rows of two zones, one without, and one that is none
    path = people(tmp_path, 8, ["Asia/Tokyo", "Europe/Berlin", "", "Nowhere/Land"])
    words = (str(news), path, *FROM, "--window", WINDOW, "--zone-column", "tz")
    told = json.loads(run("batch", "check", *words, "--json").stdout)
    assert (told["ready"], told["invalid"]) == (6, 2)
    assert [(each["line"], each["reason"]) for each in told["problems"]] == [
        (line, "tz: 'Nowhere/Land' is no time zone; allowed: an IANA name such as Europe/Berlin, or UTC")
        for line in (5, 9)
    ]
    assert (
        told["outside"]
        == "6 are outside their send windows, of which the first opens at 2023-11-15 09:00+09:00"
    )
    assert moment(told["ends_at"]) == pytest.approx(OPENS + 4, abs=1)
    id = run("batch", "send", *words).stdout.strip()
    shown = json.loads(run("batch", "show", id, "--json").stdout)
    assert (shown["zone_column"], shown["outside"]) == ("tz", told["outside"])
    # When it is day in Tokyo alone
    stage.pass_time(OPENS - 3 * 3600 - stage.now)
    assert len(stage.grant(1)[1]) == 1
    shown = json.loads(run("batch", "show", id, "--json").stdout)
    assert (
        shown["outside"]
        == "4 are outside their send windows, of which the first opens at 2023-11-15 09:00+01:00"
    )


def test_bulk_mail_of_an_account(run: Run, stage: BatchStage) -> None:
    stage.policy.configure({}, WINDOW)
    stage.queue(lane="bulk")
    status = json.loads(run("status", "--json").stdout)
    expected = {"window": WINDOW, "open": False, "opens_at": "2023-11-15T08:00:00.000Z"}
    assert status["bulk_window"] == expected
    assert f"Bulk mail is {OUTSIDE}." in status["why"]
    assert OUTSIDE in run("quota", "show").stdout.replace("\n", " ")
    # and the lanes are empty once it has gone
    outlook = look_ahead(stage.redis, read_overview(stage.redis, "default"))
    assert (outlook.waiting, outlook.empty_at) == (1, pytest.approx(OPENS + 1, abs=1))
    stage.pass_time(OPENS - stage.now)
    status = json.loads(run("status", "--json").stdout)
    assert status["bulk_window"] == {"window": WINDOW, "open": True, "opens_at": None}
    assert not any("send window" in sentence for sentence in status["why"])


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (("--window", "Mon-Fri 9-17"), "--window: 'Mon-Fri 9-17' is no send window; allowed:"),
        (("--window", "Mon 09:00-10:00 Mars/Base"), "--window: 'Mars/Base' is no time zone"),
        (("--zone-column", "tz"), "--zone-column: needs a window"),
        (("--window", WINDOW, "--zone-column", "email"), "--zone-column: 'email' is no column of time zones"),
        (
            ("--window", WINDOW, "--zone-column", "zone"),
            "line 1: there is no column 'zone', which --zone-column names; there are: 'email', 'name'",
        ),
    ],
)
@pytest.mark.parametrize("action", ["check", "send"])
def test_what_cannot_be_is_refused_and_nothing_is_queued(
    run: Run,
    stage: BatchStage,
    news: Path,
    tmp_path: Path,
    action: str,
    options: tuple[str, ...],
    problem: str,
) -> None:
    result = run("batch", action, str(news), people(tmp_path, 2), *FROM, *options)
    assert result.exit_code == 2
    assert problem in " ".join(result.stderr.split())
    assert stage.batches.all() == []


def doctor(run: Run) -> list[tuple[str, str]]:
    checks = json.loads(run("doctor", "--json").stdout)
    return [(each["status"], each["detail"]) for each in checks if each["name"] == "send window"]


def test_doctor_says_which_windows_never_open(run: Run, stage: BatchStage) -> None:
    # Given nothing wrong
    stage.policy.configure({}, WINDOW)
    good = stage.take(2, key="good", window="Mon 08:00-20:00 UTC").id
    assert doctor(run) == []
    # Given a batch that goes at weekends alone, where bulk mail goes on working days
    bad = stage.take(2, key="bad", window="Sat,Sun 10:00-12:00 UTC").id
    assert doctor(run) == [
        (
            "fail",
            f"batch {bad}: the send windows {WINDOW} and Sat-Sun 10:00-12:00 UTC are never open at the same time",
        )
    ]
    shown = json.loads(run("batch", "show", bad, "--json").stdout)
    assert shown["ends_at"] is None
    assert "never open" in " ".join(run("batch", "show", bad).stdout.split())
    stage.batches.cancel(bad, "")
    # Given times that Redis has lost
    stage.redis.hdel(stage.keys.windows, "Mon 08:00-20:00 UTC")
    assert doctor(run) == [
        (
            "fail",
            f"batch {good}: nothing goes, since Redis does not know when Mon 08:00-20:00 UTC is open",
        )
    ]
    # Given what is no window
    stage.redis.hset(stage.keys.configured, "window", "whenever")
    assert [status for status, _ in doctor(run)] == ["fail", "fail"]
    assert "cannot be read: 'whenever' is no send window" in doctor(run)[0][1]


def test_a_worker_writes_down_the_window_of_the_settings(
    redis: Redis, make_settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = make_settings(
        accounts={"default": {"region": "eu-west-1", "bulk_window": "mon-fri 09:00-17:00 Europe/Berlin"}}
    )
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    open_accounts(redis, settings, {"default": ()})
    assert redis.hget("sesq:default:configured", "window") == WINDOW.encode()
    assert redis.hexists("sesq:default:windows", WINDOW)
    assert Policy(redis).bulk_paused == ""
