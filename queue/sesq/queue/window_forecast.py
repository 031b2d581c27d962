"""Forecasts when waiting mail will have gone if some of it has send windows. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from sesq.config.send_windows import Opening
from sesq.queue.forecast import (
    LONGEST_MINUTES,
    MINUTE,
    QUARTER,
    Forecast,
    Limits,
    RollingDay,
    forecast,
    rooms_of,
)
from sesq.queue.windows import Openings

FIRST_DAYS, LATER_DAYS = 9, 366
MOST_LOOKS, LEAST_STEPS = 400_000, 20_000
"""The forecast has MOST_LOOKS steps, divided by the number of groups, but not fewer than LEAST_STEPS. If it needs more,
the mail counts as never gone."""
ENOUGH = 1e-6


@dataclass(frozen=True, slots=True)
class Waiting:
    """Is a number of recipients, and the times at which they may go (None: any time)."""

    count: float
    openings: Openings | None = None


def forecast_windows(
    own: Sequence[Waiting],
    ahead: Sequence[Waiting],
    now: float,
    limits: Limits,
    sent: Mapping[int, int],
    others: float = 0.0,
    behind: Sequence[Waiting] = (),
) -> Forecast:
    """Computes when all of `own` will have gone. Of mail that may go, `ahead` goes before it, and `behind` after it.

    See `forecast`.
    """
    if not any(each.openings for each in (*own, *ahead)):
        count, before = (round(sum(each.count for each in some)) for some in (own, ahead))
        return forecast(count, before, now, limits, sent, others)
    if sum(each.count for each in own) <= ENOUGH:
        return Forecast(now, {})
    if limits.pace <= 0 or (limits.daily is not None and rooms_of(limits).last < 1):
        return Forecast(None, {})
    groups = [*_groups(ahead, now), *_groups(own, now, are_own=True), *_groups(behind, now)]
    return _Play(groups, now, limits, sent, others).run()


class _Group:
    """Holds recipients with the same openings."""

    def __init__(self, waiting: Waiting, now: float, *, is_own: bool) -> None:
        self.left, self.is_own = float(waiting.count), is_own
        self._openings = _always(now) if waiting.openings is None else _from(waiting.openings, now)
        self.start, self.end = next(self._openings, (math.inf, math.inf))

    def come_to(self, at: float) -> None:
        """Skips the openings that are over at that time."""
        while self.end <= at:
            self.start, self.end = next(self._openings, (math.inf, math.inf))

    def next_change(self, at: float) -> float:
        """Returns when it next opens or closes."""
        return self.start if self.start > at else self.end


def _groups(waiting: Sequence[Waiting], now: float, *, are_own: bool = False) -> list[_Group]:
    return [_Group(each, now, is_own=are_own) for each in waiting if each.count > 0]


def _always(now: float) -> Iterator[Opening]:
    yield now, math.inf


def _from(openings: Openings, now: float) -> Iterator[Opening]:
    """Yields the openings in two steps, because most forecasts end within some days."""
    first = now + FIRST_DAYS * 86_400
    yield from openings(now, first)
    yield from openings(first, now + LATER_DAYS * 86_400)


class _Play:
    """Simulates the limits: the first open group sends, until a group opens or closes."""

    def __init__(
        self,
        groups: list[_Group],
        now: float,
        limits: Limits,
        sent: Mapping[int, int],
        others: float,
    ) -> None:
        self.groups = groups
        self.at, self.pace = now, limits.pace
        self.rooms = None if limits.daily is None else rooms_of(limits)
        self.day = RollingDay(sent, others, int(now // MINUTE))
        self.minutes: dict[int, float] = {}
        self.last = now + LONGEST_MINUTES * MINUTE

    def run(self) -> Forecast:
        """Runs until no own recipients are left."""
        for _ in range(max(LEAST_STEPS, MOST_LOOKS // len(self.groups))):
            self.groups = [group for group in self.groups if group.left > ENOUGH]
            if not any(group.is_own for group in self.groups):
                return Forecast(self.at, self.minutes)
            if not self.step():
                break
        return Forecast(None, self.minutes)

    def step(self) -> bool:
        """Advances to the next change; False at the end of the forecast."""
        for group in self.groups:
            group.come_to(self.at)
        change = min(group.next_change(self.at) for group in self.groups)
        going = next((group for group in self.groups if group.start <= self.at), None)
        if going is None:
            self.at = change
        else:
            self._send(going, change)
        if self.at < self.last:
            self.day.pass_to(int(self.at // MINUTE))
        return self.at < self.last

    def _send(self, group: _Group, change: float) -> None:
        minute = int(self.at // MINUTE)
        end, most = change, group.left
        if self.rooms is not None:
            end = min(change, (minute + 1) * MINUTE)
            most = min(most, self.rooms.at(self.at) - self.day.total)
            if most <= ENOUGH:
                freed = min(self.day.next_after(minute), self.rooms.next_minute(minute))
                self.at = min(change, freed * MINUTE)
                return
        count = min(most, (end - self.at) * self.pace)
        stop = end if count < most else min(end, self.at + count / self.pace)
        if self.rooms is not None:
            self.day.count(minute, count)
        if group.is_own:
            self._note(self.at, stop)
        group.left -= count
        self.at = max(stop, math.nextafter(self.at, math.inf))

    def _note(self, start: float, stop: float) -> None:
        """Notes the recipients that go between two times, by quarters of an hour."""
        while start < stop:
            quarter = int(start // MINUTE) // QUARTER * QUARTER
            end = min(stop, (quarter + QUARTER) * MINUTE)
            self.minutes[quarter] = self.minutes.get(quarter, 0.0) + (end - start) * self.pace
            start = max(end, math.nextafter(start, math.inf))
