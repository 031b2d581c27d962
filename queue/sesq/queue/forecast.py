"""Forecasts when queued mail will have gone: applies rate and daily quota to the future, as the gate does. Pure."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from math import ceil, inf
from typing import NamedTuple

MINUTE = 60
SLOTS = 1442
"""Minutes until the recipients of a minute no longer count: all of them are then a day old, and a minute more."""
LONGEST_MINUTES = 10 * 366 * 1440
"""A longer time counts as never."""
DAY_MINUTES = 1440
QUARTER = 15
"""Minutes. In every time zone a day begins with a quarter, so that each quarter belongs to one day."""


class Step(NamedTuple):
    """Gives the daily limit from a time on (s): recipients in 24 hours, and how many are kept for other mail."""

    at: float
    daily: float
    reserve: float


@dataclass(frozen=True, slots=True)
class Limits:
    """Gives recipients a second, recipients in 24 hours (None: unlimited), and how many are kept for other mail.

    `growth`: later daily limits, in order of time; they never shrink.
    """

    pace: float
    daily: float | None
    reserve: float = 0.0
    growth: tuple[Step, ...] = ()


@dataclass(frozen=True, slots=True)
class Forecast:
    """Says when mail goes. `ends_at`: seconds since the epoch; None: never by these limits, or not within ten years."""

    ends_at: float | None
    minutes: Mapping[int, float]
    """Minute since the epoch -> recipients that go in it, or in the quarter of an hour that begins with it."""


def forecast(
    count: int,
    ahead: int,
    now: float,
    limits: Limits,
    sent: Mapping[int, int],
    others: float = 0.0,
) -> Forecast:
    """Forecasts when `count` recipients will have gone after `ahead` others.

    `sent`: the ledger, minute -> recipients. `others`: recipients of other programs. As their time in the last day is
    not known, they count for one day more.
    """
    if not count:
        return Forecast(now, {})
    if limits.pace <= 0 or (count + ahead) / limits.pace > LONGEST_MINUTES * MINUTE:
        return Forecast(None, {})
    if limits.daily is None:
        return by_rate(count, ahead, now, limits.pace)
    rooms = rooms_of(limits)
    if rooms.last < 1:
        return Forecast(None, {})
    day = RollingDay(sent, others, int(now // MINUTE))
    most_in_a_day = min(count + ahead, limits.pace * SLOTS * MINUTE)
    if day.total + most_in_a_day <= rooms.at(now):
        return by_rate(count, ahead, now, limits.pace)
    return _by_both(count, ahead, now, limits.pace, rooms, day)


def rooms_of(limits: Limits) -> Rooms:
    """Returns how many recipients a whole day has room for, now and later. `limits.daily` must not be None."""
    return Rooms((limits.daily or 0.0) - limits.reserve, limits.growth)


def by_rate(count: int, ahead: int, now: float, pace: float) -> Forecast:
    begins, ends = now + ahead / pace, now + (ahead + count) / pace
    minutes: dict[int, float] = {}
    first = int(begins // MINUTE)
    for minute in range(first - first % QUARTER, int(ends // MINUTE) + 1, QUARTER):
        start, stop = max(begins, minute * MINUTE), min(ends, (minute + QUARTER) * MINUTE)
        minutes[minute] = max(0.0, stop - start) * pace
    return Forecast(ends, minutes)


class Rooms:
    """Tells how many recipients a whole day has room for, now and later."""

    def __init__(self, now: float, growth: Sequence[Step]) -> None:
        self.times = [-inf, *(step.at for step in growth)]
        self.rooms = [now, *(step.daily - step.reserve for step in growth)]
        self.last = self.rooms[-1]

    def at(self, time: float) -> float:
        return self.rooms[bisect_right(self.times, time) - 1]

    def next_minute(self, minute: int) -> float:
        """Returns the first minute after this one in which that number changes."""
        later = self.times[bisect_right(self.times, minute * MINUTE) :]
        return ceil(later[0] / MINUTE) if later else inf


class RollingDay:
    """Keeps the rolling day: how many recipients count now, and in which minute they no longer count."""

    def __init__(self, sent: Mapping[int, int], others: float, minute: int) -> None:
        self.frees: Counter[int] = Counter()
        for at, recipients in sent.items():
            if at + SLOTS > minute:
                self.frees[at + SLOTS] += recipients
        self.frees[minute + DAY_MINUTES] += others  # type: ignore[assignment]
        self.total = float(sum(self.frees.values()))
        self.soonest = sorted(self.frees)
        """A heap of the minutes in which something may be freed, so that a long forecast stays quick."""

    def begin(self, minute: int) -> None:
        self.total -= self.frees.pop(minute, 0)

    def count(self, minute: int, recipients: float) -> None:
        if minute + SLOTS not in self.frees:
            heappush(self.soonest, minute + SLOTS)
        self.frees[minute + SLOTS] += recipients  # type: ignore[assignment]
        self.total += recipients

    def pass_to(self, minute: int) -> None:
        """Frees the recipients that no longer count at a minute."""
        while self.soonest and self.soonest[0] <= minute:
            self.begin(heappop(self.soonest))

    def next_after(self, minute: int) -> int:
        """Returns the next minute in which room is freed."""
        while self.soonest and (self.soonest[0] <= minute or not self.frees.get(self.soonest[0])):
            heappop(self.soonest)
        return self.soonest[0] if self.soonest else minute + 1


def _by_both(count: int, ahead: int, now: float, pace: float, rooms: Rooms, day: RollingDay) -> Forecast:
    left, minutes, at = float(count + ahead), {}, now
    minute = first = int(now // MINUTE)
    while left > 1e-6 and minute - first < LONGEST_MINUTES:
        free = max(0.0, rooms.at(at) - day.total)
        recipients = min(left, free, pace * ((minute + 1) * MINUTE - at))
        if recipients > 0:
            day.count(minute, recipients)
            left -= recipients
            at += recipients / pace
            own = min(recipients, max(0.0, count - left))
            if own > 0:
                minutes[minute] = own
        if left > 1e-6:
            waits = free <= recipients + 1e-6
            minute = int(min(day.next_after(minute), rooms.next_minute(minute))) if waits else minute + 1
            at = minute * MINUTE
            day.begin(minute)
    return Forecast(at if left <= 1e-6 else None, minutes)
