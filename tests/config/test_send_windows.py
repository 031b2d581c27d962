"""Send windows: how they are written, and when they are open, also where clocks change."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sesq.config.errors import InvalidPolicy
from sesq.config.send_windows import DAYS, both, is_zone_like, parse_window, zone_of
from wall_clock import shown_by_clock

DAY = 86_400
CHANGES = {
    "Europe/Berlin": ["2027-03-28T01:00", "2027-10-31T01:00"],
    "America/New_York": ["2027-03-14T07:00", "2027-11-07T06:00"],
    "Australia/Lord_Howe": ["2027-04-03T15:00", "2027-10-02T15:30"],  # by half an hour
    "America/Santiago": ["2027-04-04T03:00", "2027-09-05T04:00"],  # at midnight
    "Asia/Kathmandu": ["2027-06-01T00:00"],  # 5:45 from UTC, and no change
    "Pacific/Apia": ["2011-12-30T10:00"],  # a whole day was skipped
    "Africa/Casablanca": ["2027-02-07T02:00", "2027-03-14T02:00"],
}
"""Zone -> times (UTC) about which its clocks are looked at."""


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=timezone.utc).timestamp()


def local(text: str, zone: str, fold: int = 0) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold).timestamp()


clocks = st.tuples(st.integers(0, 23), st.sampled_from([0, 15, 30, 59])).map(lambda c: f"{c[0]:02}:{c[1]:02}")
parts = st.tuples(
    st.sets(st.sampled_from(DAYS), min_size=1).map(lambda days: ",".join(sorted(days, key=DAYS.index))),
    clocks,
    clocks | st.just("24:00"),
).filter(lambda part: part[1] != part[2])


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(sorted(CHANGES)), st.integers(0, 1), st.lists(parts, min_size=1, max_size=3))
@example("Europe/Berlin", 0, [("Sun", "02:15", "02:45")])
@example("Europe/Berlin", 1, [("Sun", "02:15", "02:45")])
@example("America/Santiago", 1, [("Sat,Sun", "23:30", "00:30")])
@example("Pacific/Apia", 0, [("Fri", "00:00", "24:00")])
def test_it_is_open_while_a_clock_on_the_wall_shows_a_time_in_it(
    zone: str, change: int, given_parts: list[tuple[str, str, str]]
) -> None:
    # Given a window, and three days in which the clocks of its zone change
    text = "; ".join(f"{days} {start}-{end} {zone}" for days, start, end in given_parts)
    middle = at(CHANGES[zone][change % len(CHANGES[zone])])
    since, until = middle - 1.5 * DAY, middle + 1.5 * DAY
    # When its openings are reckoned
    openings = list(parse_window(text).openings(since, until))
    # Then they are in order, apart from each other, and each minute is in one of them where a clock says so
    edges = [edge for opening in openings for edge in opening]
    assert edges == sorted(set(edges))
    for minute in range(int(since), int(until), 60):
        is_open = any(start <= minute < end for start, end in openings)
        assert is_open == shown_by_clock(text, minute), datetime.fromtimestamp(minute, ZoneInfo(zone))


def test_an_hour_that_is_skipped_is_no_part_and_one_that_comes_twice_is_twice() -> None:
    berlin = "Europe/Berlin"
    window = parse_window(f"Sun 02:30-03:30 {berlin}")
    spring = list(window.openings(at("2027-03-27T12:00"), at("2027-03-28T12:00")))
    assert spring == [(local("2027-03-28T03:00", berlin), local("2027-03-28T03:30", berlin))]
    autumn = list(window.openings(at("2027-10-30T12:00"), at("2027-10-31T12:00")))
    first, again = local("2027-10-31T02:30", berlin), local("2027-10-31T02:30", berlin, fold=1)
    assert autumn == [(first, first + 1800), (again, local("2027-10-31T03:30", berlin))]


def test_what_has_begun_before_begins_at_the_time_that_is_asked_for() -> None:
    window = parse_window("Mon-Fri 09:00-17:00 UTC")
    now = at("2027-03-29T10:00") + 0.25
    assert next(window.openings(now, now + DAY)) == (now, at("2027-03-29T17:00"))


def test_what_is_always_open_has_no_gaps() -> None:
    openings = list(parse_window("00:00-24:00 Europe/Berlin").openings(0.0, 400 * DAY))
    assert (openings[0][0], openings[-1][1]) == (0.0, 400 * DAY)
    assert all(end == start for (_, end), (start, _) in pairwise(openings))


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("Mon-Fri 09:00-17:00 Europe/Berlin", "Mon-Fri 09:00-17:00 Europe/Berlin"),
        ("  mon-FRI   09:00 - 17:00  Europe/Berlin ", "Mon-Fri 09:00-17:00 Europe/Berlin"),
        ("Mon,Tue,Thu 22:00-06:00 UTC", "Mon-Tue,Thu 22:00-06:00 UTC"),
        ("Fri-Mon 00:00-24:00 UTC", "Mon,Fri-Sun 00:00-24:00 UTC"),
        ("Mon-Sun 08:00-20:00 Asia/Tokyo", "08:00-20:00 Asia/Tokyo"),
        (
            "Mon 09:00-12:00 UTC;Sat 10:00-11:00 Asia/Tokyo",
            "Mon 09:00-12:00 UTC; Sat 10:00-11:00 Asia/Tokyo",
        ),
    ],
)
def test_a_window_is_written_in_one_form(text: str, canonical: str) -> None:
    assert str(parse_window(text)) == canonical
    assert str(parse_window(canonical)) == canonical


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "is no send window"),
        ("Mon-Fri 9-17 Europe/Berlin", "is no send window"),
        ("Mon-Fri 09:00-17:00", "is no send window"),
        ("Mon-Fri 09:00-17:00 Europe/Berlin;", "is no send window"),
        ("Monday 09:00-17:00 UTC", "no weekdays"),
        ("Mon- 09:00-17:00 UTC", "no weekdays"),
        ("Mon-Fri-Sun 09:00-17:00 UTC", "no weekdays"),
        ("Mon 09:60-17:00 UTC", "from 00:00 to 24:00"),
        ("Mon 24:00-25:00 UTC", "from 00:00 to 24:00"),
        ("Mon 09:00-24:01 UTC", "from 00:00 to 24:00"),
        ("Mon 09:00-09:00 UTC", "write 00:00-24:00 for a whole day"),
        ("Mon 09:00-17:00 Europe/Berln", "'Europe/Berln' is no time zone"),
        ("Mon 09:00-17:00 Europe", "'Europe' is no time zone"),
        ("Mon 09:00-17:00 ../../etc/passwd", "is no time zone"),
        ("Mon 09:00-17:00 right/UTC", "is no time zone"),
        ("; ".join(["Mon 09:00-10:00 UTC"] * 21), "at most 20 parts"),
    ],
)
def test_what_is_none_is_refused_with_what_is_allowed(text: str, problem: str) -> None:
    with pytest.raises(InvalidPolicy, match=problem):
        parse_window(text)


def test_twenty_parts_are_taken() -> None:
    assert len(parse_window("; ".join(["Mon 09:00-10:00 UTC"] * 20)).parts) == 20


def test_a_zone_has_a_name_of_64_characters_at_most() -> None:
    assert is_zone_like("Z" * 64)
    assert not is_zone_like("Z" * 65)
    # of a longer name, an error shows so many
    with pytest.raises(InvalidPolicy, match=f"'{'Z' * 64}' is no time zone"):
        zone_of("Z" * 65)


def test_the_same_hours_in_another_zone() -> None:
    window = parse_window("Mon 09:00-10:00 Europe/Berlin; Sat 11:00-12:00 UTC").in_zone("Asia/Tokyo")
    assert str(window) == "Mon 09:00-10:00 Asia/Tokyo; Sat 11:00-12:00 Asia/Tokyo"


def test_both_are_open_where_each_of_them_is() -> None:
    first = [(0.0, 10.0), (20.0, 30.0), (40.0, 50.0)]
    second = [(5.0, 22.0), (24.0, 26.0), (45.0, 60.0)]
    assert list(both(iter(first), iter(second))) == [(5, 10), (20, 22), (24, 26), (45, 50)]


def test_a_window_once_a_week_is_found_a_year_ahead() -> None:
    window, now = parse_window("Sun 12:00-13:00 Asia/Kathmandu"), at("2027-01-01T00:00")
    openings = list(window.openings(now, now + timedelta(days=364).total_seconds()))
    assert len(openings) == 52
