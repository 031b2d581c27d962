"""When it ends: both limits played forward, checked by playing them second by second."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sesq.queue.forecast import MINUTE, SLOTS, Forecast, Limits, Step, forecast

NOW = 1_700_000_010.0
DAY = 86_400


def ends_after(
    count: int, ahead: int = 0, *, pace: float = 1.0, daily: float | None = 200, **more: float
) -> float | None:
    sent = {int(NOW // MINUTE) - minutes: recipients for minutes, recipients in more.pop("sent", ())}  # type: ignore[call-overload]
    others = more.pop("others", 0.0)
    ends_at = forecast(count, ahead, NOW, Limits(pace, daily, **more), sent, others).ends_at
    return None if ends_at is None else ends_at - NOW


def test_by_the_rate_alone() -> None:
    assert ends_after(600, 40, pace=2, daily=None) == 320
    assert ends_after(0, 40, pace=2, daily=None) == 0


def test_three_days_of_the_sandbox() -> None:
    told = forecast(600, 0, NOW, Limits(1.0, 200), {})
    assert told.ends_at is not None
    assert 2 * DAY < told.ends_at - NOW < 2 * DAY + 500
    assert sum(told.minutes.values()) == pytest.approx(600)


def test_what_was_sent_and_what_is_kept_leave_less_room() -> None:
    assert ends_after(100, reserve=50) == pytest.approx(100, abs=1)
    assert ends_after(200, reserve=50) == pytest.approx(SLOTS * MINUTE, abs=MINUTE + 60)
    assert ends_after(100, sent=[(10, 150)]) == pytest.approx((SLOTS - 10) * MINUTE, abs=MINUTE + 60)  # type: ignore[arg-type]
    assert ends_after(100, others=150) == pytest.approx(DAY, abs=MINUTE + 60)


def test_the_minutes_are_of_those_who_were_asked_about_and_not_of_those_before_them() -> None:
    # Given 250 before 100, at one a second, and a day of 200
    told = forecast(100, 250, NOW, Limits(1.0, 200), {})
    # Then no minute of the first day is theirs, since the 200 of it are before them
    assert told.ends_at is not None
    assert sum(told.minutes.values()) == pytest.approx(100)
    assert min(told.minutes) * MINUTE == pytest.approx(NOW + DAY, abs=5 * MINUTE)
    assert max(told.minutes) * MINUTE <= told.ends_at


@pytest.mark.parametrize("daily", [None, 200])
def test_what_takes_longer_than_ten_years_never_ends(daily: float | None) -> None:
    assert forecast(400, 0, NOW, Limits(1e-6, daily), {}) == Forecast(None, {})


@pytest.mark.parametrize("daily", [None, 200])
def test_a_forecast_of_years_is_short_and_right(daily: float | None) -> None:
    told = forecast(100, 5, NOW, Limits(1 / (30 * DAY), daily), {})
    assert told.ends_at == pytest.approx(NOW + 105 * 30 * DAY, abs=1)
    assert sum(told.minutes.values()) == pytest.approx(100)
    assert len(told.minutes) < 300_000
    assert min(told.minutes) == pytest.approx((NOW + 5 * 30 * DAY) / MINUTE, abs=15)


def test_ten_years_are_told_and_not_a_second_more() -> None:
    # Given one recipient a second, and as many as ten years have seconds, or one more
    seconds = 10 * 366 * DAY
    assert ends_after(seconds, daily=None) == seconds
    assert ends_after(seconds - 1, 1, daily=None) == seconds
    assert ends_after(seconds + 1, daily=None) is None
    assert ends_after(seconds, 1, daily=None) is None


def test_by_the_day_too_ten_years_are_told_and_no_recipient_more() -> None:
    # Given a day of one recipient, who counts for 1442 minutes; ten years have room for 3655 of them
    within = 10 * 366 * DAY // (SLOTS * MINUTE)
    assert ends_after(within + 1, daily=1) == pytest.approx(within * SLOTS * MINUTE, abs=MINUTE)
    assert ends_after(within + 2, daily=1) is None


def test_what_has_no_room_at_all_never_ends() -> None:
    assert ends_after(1, reserve=200) is None
    assert ends_after(10_000_000) is None


def test_a_day_of_one_recipient_is_room_for_one_a_day() -> None:
    assert ends_after(1, daily=1) == 1
    assert ends_after(2, daily=1) == pytest.approx(SLOTS * MINUTE, abs=MINUTE)
    assert ends_after(1, reserve=199) == 1
    assert ends_after(1, reserve=199.5) is None


@pytest.mark.parametrize(("count", "ends"), [(200, 200), (201, SLOTS * MINUTE)])
def test_what_fills_the_day_exactly_goes_today_and_one_more_does_not(count: int, ends: float) -> None:
    assert ends_after(count) == pytest.approx(ends, abs=MINUTE)
    assert ends_after(count - 50, others=50) == pytest.approx(min(ends - 50, DAY), abs=2 * MINUTE)


def played(
    count: int, pace: float, daily: int, sent: dict[int, int], growth: Sequence[Step] = (), reserve: float = 0
) -> float:
    """The same, recipient by recipient; a step of a ramp counts from its second on."""
    minutes, now, gone = dict(sent), NOW, 0
    while gone < count:
        minute = int(now // MINUTE)
        total = sum(n for at, n in minutes.items() if at > minute - SLOTS)
        rooms = [daily - reserve, *(step.daily - step.reserve for step in growth if step.at <= now)]
        if total + 1 > rooms[-1]:
            later = [step.at for step in growth if step.at > now]
            now = min([(minute + 1) * MINUTE, *later])
            continue
        minutes[minute] = minutes.get(minute, 0) + 1
        gone += 1
        now += 1 / pace
    return now - NOW


@given(
    count=st.integers(1, 150),
    pace=st.sampled_from([0.5, 1.0, 7.0]),
    daily=st.integers(20, 60),
    sent=st.dictionaries(st.integers(0, 1400), st.integers(1, 9), max_size=3),
)
def test_it_is_what_happens(count: int, pace: float, daily: int, sent: dict[int, int]) -> None:
    before = {int(NOW // MINUTE) - minutes: n for minutes, n in sent.items()}
    said = forecast(count, 0, NOW, Limits(pace, daily), before).ends_at
    assert said is not None
    happened = played(count, pace, daily, before)
    assert abs(said - NOW - happened) <= 0.02 * happened + MINUTE


@given(
    count=st.integers(1, 400),
    ahead=st.integers(0, 100),
    pace=st.sampled_from([0.5, 1.0, 7.0]),
    daily=st.integers(5, 40),
    reserve=st.integers(0, 5),
    first=st.floats(1, DAY),
    factors=st.lists(st.floats(1, 3), max_size=6),
    sent=st.dictionaries(st.integers(0, 1400), st.integers(1, 9), max_size=3),
)
def test_a_ramp_is_what_happens_day_by_day(
    count: int,
    ahead: int,
    pace: float,
    daily: int,
    reserve: int,
    first: float,
    factors: list[float],
    sent: dict[int, int],
) -> None:
    before = {int(NOW // MINUTE) - minutes: n for minutes, n in sent.items()}
    steps, cap = [], daily + 5
    for day, factor in enumerate(factors):
        cap = int(cap * factor)
        steps.append(Step(NOW + first + day * DAY, cap, float(reserve)))
    growth = tuple(steps)
    said = forecast(count, ahead, NOW, Limits(pace, daily + 5, reserve, growth), before).ends_at
    assert said is not None
    happened = played(count + ahead, pace, daily + 5, before, growth, reserve)
    # a minute is forecast as a whole, so each day may begin a minute later than it does
    assert abs(said - NOW - happened) <= 0.02 * happened + 2 * MINUTE


def test_a_day_that_grows_ends_sooner_and_has_its_recipients_on_their_days() -> None:
    growth = (Step(NOW + DAY, 200, 0.0), Step(NOW + 2 * DAY, 400, 0.0))
    told = forecast(650, 0, NOW, Limits(10.0, 100, 0.0, growth), {})
    # 100 at once, 100 more a day later and as many as the first day's were soon after, 400 in all within the next
    assert told.ends_at == pytest.approx(NOW + 2 * DAY + 200 + SLOTS * MINUTE - DAY, abs=3 * MINUTE)
    by_day = [0.0, 0.0, 0.0]
    for minute, recipients in told.minutes.items():
        by_day[int((minute * MINUTE - NOW + MINUTE) // DAY)] += recipients
    assert by_day == pytest.approx([100, 200, 350])


def test_what_has_no_room_today_waits_for_the_day_on_which_it_has() -> None:
    growth = (Step(NOW + DAY, 40, 30.0),)
    said = forecast(10, 0, NOW, Limits(1.0, 20, 30.0, growth), {}).ends_at
    assert said == pytest.approx(NOW + DAY + 10, abs=MINUTE)
    assert forecast(10, 0, NOW, Limits(1.0, 20, 30.0, (Step(NOW, 30, 30.0),)), {}).ends_at is None


@pytest.mark.parametrize(("minutes_ago", "seconds"), [(1441, 31), (1442, 1)])
def test_a_minute_is_freed_when_all_of_it_is_over_a_day_old(minutes_ago: int, seconds: int) -> None:
    # Given a spent day, and half a minute left of the present minute
    assert ends_after(1, daily=10, sent=[(minutes_ago, 10)]) == pytest.approx(seconds)  # type: ignore[arg-type]


@pytest.mark.parametrize("daily", [None, 200])
def test_at_a_rate_of_nothing_it_never_ends(daily: float | None) -> None:
    assert forecast(1, 0, NOW, Limits(0.0, daily), {}) == Forecast(None, {})
