"""Moments and durations as people write and read them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sesq.config.errors import InputError
from sesq.console.times import ZONE, ahead, local, parse_duration, parse_moment, relative, utc

FAR_AWAY = (
    "9999-12-31T23:59:59-12:00",
    "9999-12-31T10:00:00+14:00",
    "9000-01-01T00:00:00Z",
    "0001-01-01T00:00:00+14:00",
    "1969-12-31T23:59:59Z",
)
NOON = datetime(2026, 11, 24, 12, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("10m", 600), ("2h", 7200), ("1d12h", 129_600), ("1.5h", 5400)]
)
def test_a_duration_is_a_number_and_a_unit(text: str, seconds: float) -> None:
    assert parse_duration(text, "--for") == seconds


@pytest.mark.parametrize("text", ["", "2", "h", "2 h", "-2h", "2hours", "1h2", "nan", "2h\n"])
def test_what_is_no_duration_is_refused_by_name(text: str) -> None:
    with pytest.raises(InputError, match=r"--for: .* is no duration; allowed: .*10m"):
        parse_duration(text, "--for")


def test_ten_years_are_the_longest() -> None:
    assert parse_duration("3650d", "--for") == 3650 * 86_400
    for text in ("3650d1s", "99999999d", "9" * 400 + "h"):
        with pytest.raises(InputError, match=r"--for: .* is too long; allowed: at most 3650d"):
            parse_duration(text, "--for")


@pytest.mark.parametrize("seconds", [8.64e12, -8.64e12, float("inf"), float("-inf"), float("nan")])
@pytest.mark.parametrize("zone", [None, timezone(timedelta(hours=14)), timezone(timedelta(hours=-12))])
def test_what_the_calendar_has_not_is_told_all_the_same(seconds: float, zone: timezone | None) -> None:
    before = ZONE.set(zone)
    try:
        assert (utc(seconds) or "")[:4] in ("0001", "9999")
        assert local(seconds)
        assert local(seconds, NOON.timestamp())
    finally:
        ZONE.reset(before)


def test_a_plus_counts_from_now() -> None:
    assert parse_moment("+10m", "--at", NOON) == NOON + timedelta(minutes=10)


@pytest.mark.parametrize(
    "text", ["2026-11-24T12:00:00Z", "2026-11-24T13:00+01:00", "2026-11-24 12:00:00+00:00"]
)
def test_iso_8601_with_a_zone_is_that_moment(text: str) -> None:
    assert parse_moment(text, "--at") == NOON


def test_iso_8601_without_a_zone_is_in_that_of_the_reader() -> None:
    before = ZONE.set(ZoneInfo("Asia/Tokyo"))
    try:
        read = parse_moment("2026-11-30T09:00", "--since")
    finally:
        ZONE.reset(before)
    assert read == datetime(2026, 11, 30, 0, 0, tzinfo=timezone.utc)


def test_iso_8601_without_a_zone_is_local_and_known_as_such() -> None:
    assert parse_moment("2026-11-24T12:00", "--at") == datetime(2026, 11, 24, 12).astimezone()


@pytest.mark.parametrize("text", ["tomorrow", "24.11.2026", "+soon", "2026-13-01", "0001-01-01T00:00"])
def test_what_is_no_time_is_refused_by_name(text: str) -> None:
    with pytest.raises(InputError, match="--at: "):
        parse_moment(text, "--at")


@given(st.integers(0, 4_000_000_000))
def test_json_times_are_read_back_as_the_same_moment(seconds: int) -> None:
    text = utc(seconds + 0.25)
    assert text is not None
    assert text.endswith("Z")
    assert parse_moment(text, "--at").timestamp() == seconds + 0.25


@pytest.mark.parametrize("text", FAR_AWAY)
def test_a_time_that_no_mail_can_mean_is_refused_by_name(text: str) -> None:
    with pytest.raises(InputError, match="--at: "):
        parse_moment(text, "--at")
    assert parse_moment("8999-12-31T12:00:00Z", "--at").year >= 8999


def test_no_time_is_none_in_json_and_nothing_for_people() -> None:
    assert utc(None) is None
    assert local(None) == ""


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.4, "now"), (90, "in 90 s"), (-600, "10 min ago"), (7200, "in 2 h"), (86_400 * 3, "in 3 d")],
)
def test_how_far_away_a_time_is(seconds: float, words: str) -> None:
    assert relative(seconds) == words


@pytest.fixture
def in_london(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "GMT0")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("in_london")
def test_another_day_is_named() -> None:
    now = NOON.timestamp()
    assert local(now + 3600, now) == "13:00:00 (in 60 min)"
    assert local(now + 5 * 86_400, now) == "29 Nov 12:00:00 (in 5 d)"
    assert local(now + 200 * 86_400, now) == "2027-06-12 12:00:00 (in 200 d)"


@pytest.fixture
def in_berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("in_berlin")
def test_an_hour_that_daylight_saving_skips_is_refused() -> None:
    with pytest.raises(
        InputError, match="--at: '2027-03-28T02:30' is not on the clock here: daylight saving"
    ):
        parse_moment("2027-03-28T02:30", "--at")
    # while the one after it, one with a zone, and the hour that comes twice are taken
    assert parse_moment("2027-03-28T03:30", "--at").isoformat() == "2027-03-28T03:30:00+02:00"
    assert parse_moment("2027-03-28T02:30+00:00", "--at").isoformat() == "2027-03-28T04:30:00+02:00"
    assert parse_moment("2027-10-31T02:30", "--at").isoformat() == "2027-10-31T02:30:00+02:00"


def test_a_time_that_is_over_is_refused_beyond_a_minute() -> None:
    now = datetime.now(timezone.utc)
    assert ahead(now - timedelta(seconds=50), "--at")
    with pytest.raises(InputError, match=r"--at: .* is over already; leave --at out"):
        ahead(now - timedelta(seconds=60), "--at")
