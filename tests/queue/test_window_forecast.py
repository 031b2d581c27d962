"""When what waits in send windows will have gone: against a plain model that steps through time."""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sesq.config.send_windows import Opening
from sesq.queue.forecast import Limits, forecast
from sesq.queue.window_forecast import Waiting, forecast_windows
from sesq.queue.windows import Openings, openings_of

NOW = 1_700_006_400.0  # 15 November 2023, 00:00 UTC
HOUR, DAYS = 3600.0, 12


def every_day(start: float, end: float) -> Openings:
    """Between two hours of each day, from NOW on."""

    def openings(since: float, until: float) -> Iterator[Opening]:
        for day in range(int((since - NOW) // 86_400), int((until - NOW) // 86_400) + 1):
            opens, closes = NOW + day * 86_400 + start * HOUR, NOW + day * 86_400 + end * HOUR
            if closes > since and opens < until:
                yield max(since, opens), min(until, closes)

    return openings


def model(own: list[Waiting], ahead: list[Waiting], behind: list[Waiting], limits: Limits) -> float | None:
    """Minute by minute: the first that is open goes. For the rate in whole recipients a minute."""
    each_minute = round(limits.pace * 60)
    groups = [[each.count, each.openings, False] for each in ahead]
    groups += [[each.count, each.openings, True] for each in own]
    groups += [[each.count, each.openings, False] for each in behind]
    gone, used = [0.0] * (DAYS * 1440), 0.0
    for minute in range(DAYS * 1440):
        at = NOW + minute * 60
        used -= gone[minute - 1442] if minute >= 1442 else 0.0
        left = each_minute if limits.daily is None else min(each_minute, limits.daily - limits.reserve - used)
        for group in groups:
            count, openings, is_own = group
            is_open = openings is None or any(start <= at < end for start, end in openings(at, at + 60))
            going = min(left, count) if is_open else 0
            group[0] -= going
            left -= going
            gone[minute] += going
            used += going
            if is_own and going and not any(each[0] for each in groups if each[2]):
                return at
    return None


windows = st.none() | st.tuples(st.integers(0, 11), st.integers(12, 24)).map(lambda hours: every_day(*hours))
waiting = st.builds(Waiting, st.integers(1, 3000), windows)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(waiting, min_size=1, max_size=2),
    st.lists(waiting, max_size=3),
    st.lists(waiting, max_size=2),
    st.sampled_from([1, 3, 10]),
    st.none() | st.sampled_from([400, 2000]),
)
def test_it_is_what_a_plain_model_finds(
    own: list[Waiting], ahead: list[Waiting], behind: list[Waiting], a_minute: int, daily: int | None
) -> None:
    limits = Limits(a_minute / 60, daily)
    expected = model(own, ahead, behind, limits)
    told = forecast_windows(own, ahead, NOW, limits, {}, 0.0, behind).ends_at
    if expected is None:
        assert told is None or told > NOW + 0.97 * DAYS * 86_400
    else:
        # within a minute for each group, or 2 %: the model knows whole minutes alone
        assert told is not None
        slack = 60 * (len(own) + len(ahead) + len(behind) + 2) + 0.02 * (expected - NOW)
        assert abs(told - expected) <= slack, (told - NOW, expected - NOW)


def test_without_windows_it_is_the_ordinary_forecast() -> None:
    limits = Limits(2.0, 5000)
    told = forecast_windows([Waiting(300)], [Waiting(100), Waiting(50)], NOW, limits, {}, 7.0)
    assert told == forecast(300, 150, NOW, limits, {}, 7.0)


def test_it_ends_on_the_next_day_where_one_opening_is_not_enough() -> None:
    # Given 8 hours a day at 1 a second, and one and a half days of work
    nine_to_five = every_day(9, 17)
    told = forecast_windows([Waiting(8 * 3600 * 1.5, nine_to_five)], [], NOW, Limits(1.0, None), {})
    assert told.ends_at == pytest.approx(NOW + 86_400 + 13 * HOUR)
    assert sum(told.minutes.values()) == pytest.approx(8 * 3600 * 1.5)
    minutes = sorted(told.minutes)
    assert minutes[0] * 60 == NOW + 9 * HOUR
    assert all(9 <= (minute * 60 - NOW) % 86_400 / HOUR < 17 for minute in minutes)


def test_what_has_no_window_goes_by_night_and_does_not_delay_it() -> None:
    night_work = Waiting(5 * 3600)
    told = forecast_windows([Waiting(10, every_day(9, 17))], [night_work], NOW, Limits(1.0, None), {})
    assert told.ends_at == pytest.approx(NOW + 9 * HOUR + 10)


def test_windows_that_are_never_open_together_never_end() -> None:
    never = openings_of(["Mon-Fri 09:00-17:00 UTC", "Sat 09:00-17:00 UTC"])
    assert forecast_windows([Waiting(1, never)], [], NOW, Limits(1.0, None), {}).ends_at is None
    assert forecast_windows([Waiting(1, never)], [], NOW, Limits(1.0, 100), {}).ends_at is None


def test_four_hundred_zones_are_reckoned_in_bounded_steps() -> None:
    own = [Waiting(500, every_day(n % 12, n % 12 + 8)) for n in range(400)]
    told = forecast_windows(own, [], NOW, Limits(14.0, 50_000), {})
    assert told.ends_at is not None
    assert ceil((told.ends_at - NOW) / 86_400) == 4
