"""Reads and writes send windows: `Mon-Fri 09:00-17:00 Europe/Berlin`, several with `;` between them. Pure.

A window is open while the local time of its zone is within its hours. When the clocks change, an hour that is skipped
is not a part of it, and an hour that comes twice is a part of it both times.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache
from itertools import groupby
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from sesq.config.errors import InvalidPolicy

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
DAY_MINUTES, MINUTE = 1440, 60
MOST_PARTS, LONGEST_ZONE = 20, 64
HOP_SECONDS = 6 * 3600
"""No zone changes its clocks twice within this time."""
PIECE_SECONDS = 7 * 86_400
"""The length at which an opening is split into pieces."""
ALLOWED = '"Mon-Fri 09:00-17:00 Europe/Berlin", or several such with ; between them'

Opening = tuple[float, float]
"""From when to when something is open: seconds since the epoch; the end is no part of it."""

_part = re.compile(r"(?:(\S+)\s+)?(\d\d):(\d\d)\s*-\s*(\d\d):(\d\d)\s+(\S+)").fullmatch
_zone_name = re.compile(r"[A-Za-z][A-Za-z0-9_+-]*(?:/[A-Za-z0-9_+-]+)*").fullmatch


@dataclass(frozen=True, slots=True)
class WindowPart:
    """Is some hours of some weekdays (0: Monday) in one zone. `start` and `end`: minutes of the day.

    If `end` is not after `start`, it is a time of the next day.
    """

    days: frozenset[int]
    start: int
    end: int
    zone: str

    def __str__(self) -> str:
        days = "" if len(self.days) == len(DAYS) else f"{_written_days(self.days)} "
        return f"{days}{_clock(self.start)}-{_clock(self.end)} {self.zone}"

    def contains(self, moment: datetime) -> bool:
        """Whether it is open at a time on the clocks of its zone."""
        minute, day = moment.hour * 60 + moment.minute, moment.weekday()
        if self.start < self.end:
            return day in self.days and self.start <= minute < self.end
        began_before = minute < self.end and (day - 1) % 7 in self.days
        return began_before or (minute >= self.start and day in self.days)

    def openings(self, since: float, until: float) -> Iterator[Opening]:
        """Yields when it is open between two times, in order. A long opening is split into pieces."""
        zone, at = zone_of(self.zone), since
        began: float | None = None
        while at < until:
            if self.contains(datetime.fromtimestamp(at, zone)):
                began = at if began is None else began
            elif began is not None:
                yield began, at
                began = None
            at = min(until, self._next_change(at, zone))
            if began is not None and at - began >= PIECE_SECONDS:
                yield began, at
                began = None
        if began is not None:
            yield began, at

    def _next_change(self, at: float, zone: ZoneInfo) -> float:
        """Returns the next time at which it may open or close, or at which the zone changes its clocks."""
        local = datetime.fromtimestamp(at, zone)
        minutes = local.hour * 60 + local.minute + (local.second + local.microsecond / 1e6) / MINUTE
        edges = (edge for edge in (self.start, self.end, DAY_MINUTES) if edge > minutes)
        edge = at + (min(edges) - minutes) * MINUTE
        after = min(round(edge), int(at) + HOP_SECONDS)
        after = after if after > at else int(at) + 1
        return _change_of_clocks(at, after, zone) or after


@dataclass(frozen=True, slots=True)
class SendWindow:
    """Says when mail may go: while one of its parts is open. `parse_window` reads what `str` writes."""

    parts: tuple[WindowPart, ...]

    def __str__(self) -> str:
        return "; ".join(map(str, self.parts))

    @property
    def zone(self) -> ZoneInfo:
        """The zone of its first part; people see its times in this zone."""
        return zone_of(self.parts[0].zone)

    def in_zone(self, zone: str) -> SendWindow:
        """Returns the same hours in another zone. Raises InvalidPolicy for a zone that is not known."""
        zone_of(zone)
        return SendWindow(tuple(replace(part, zone=zone) for part in self.parts))

    def openings(self, since: float, until: float) -> Iterator[Opening]:
        """Yields when it is open between two times, in order, without overlaps."""
        return _joined(_in_order([part.openings(since, until) for part in self.parts]))


@lru_cache(maxsize=2048)
def parse_window(text: str) -> SendWindow:
    """Reads a window. Raises InvalidPolicy, which names what is wrong."""
    written = [part.strip() for part in text.split(";")]
    if len(written) > MOST_PARTS:
        raise InvalidPolicy(f"a send window has at most {MOST_PARTS} parts, not {len(written)}")
    return SendWindow(tuple(_read_part(part) for part in written))


def is_zone_like(name: str) -> bool:
    """Whether a text has the form of a zone's name. Such a zone need not exist."""
    return len(name) <= LONGEST_ZONE and _zone_name(name) is not None


@lru_cache(maxsize=2048)
def zone_of(name: str) -> ZoneInfo:
    """Finds a time zone by its IANA name. Raises InvalidPolicy for one that this system does not know."""
    shown = ascii(name[:LONGEST_ZONE])
    if is_zone_like(name) and name.partition("/")[0] not in _NO_ZONES:
        try:
            return ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError):  # OSError: a folder of zones
            pass
    if not _knows_zones():
        raise InvalidPolicy(
            f"{shown}: this system has no time zone data: install its package tzdata, or pip install tzdata"
        )
    raise InvalidPolicy(f"{shown} is no time zone; allowed: an IANA name such as Europe/Berlin, or UTC")


@lru_cache(maxsize=1)
def _knows_zones() -> bool:
    """Whether this system knows any time zone. This reads all of them, which takes long."""
    return bool(available_timezones())


_NO_ZONES = frozenset({"posix", "right", "localtime", "Factory", "posixrules"})
"""Names that a system lists among its zones, but that are no zones, or count leap seconds."""


def both(first: Iterator[Opening], second: Iterator[Opening]) -> Iterator[Opening]:
    """Yields when both are open."""
    one, other = next(first, None), next(second, None)
    while one is not None and other is not None:
        start, end = max(one[0], other[0]), min(one[1], other[1])
        if start < end:
            yield start, end
        if one[1] <= other[1]:
            one = next(first, None)
        else:
            other = next(second, None)


def _read_part(text: str) -> WindowPart:
    found = _part(text)
    if found is None:
        raise InvalidPolicy(f"{text!a} is no send window; allowed: {ALLOWED}")
    days, *clock, zone = found.groups()
    from_hour, from_minute, to_hour, to_minute = map(int, clock)
    start, end = from_hour * 60 + from_minute, to_hour * 60 + to_minute
    if max(from_minute, to_minute) > 59 or start >= DAY_MINUTES or not 0 <= end <= DAY_MINUTES:
        raise InvalidPolicy(f"{text!a}: hours go from 00:00 to 24:00")
    if start == end:
        raise InvalidPolicy(f"{text!a} begins and ends at the same time; write 00:00-24:00 for a whole day")
    zone_of(zone)
    return WindowPart(_read_days(days) if days else frozenset(range(7)), start, end, zone)


def _read_days(text: str) -> frozenset[int]:
    """Reads weekdays: `Mon-Fri`, `Mon,Wed`, `Fri-Mon`."""
    days: set[int] = set()
    for some in text.split(","):
        first, dash, last = some.partition("-")
        from_day, to_day = _day(first, text), _day(last if dash else first, text)
        days.update((from_day + n) % 7 for n in range((to_day - from_day) % 7 + 1))
    return frozenset(days)


def _day(name: str, text: str) -> int:
    if name.capitalize() not in DAYS:
        raise InvalidPolicy(f"{text!a} names no weekdays; allowed: {', '.join(DAYS)}, as Mon-Fri or Mon,Wed")
    return DAYS.index(name.capitalize())


def _written_days(days: frozenset[int]) -> str:
    runs = [
        [day for _, day in run] for _, run in groupby(enumerate(sorted(days)), lambda each: each[1] - each[0])
    ]
    return ",".join(DAYS[run[0]] if len(run) == 1 else f"{DAYS[run[0]]}-{DAYS[run[-1]]}" for run in runs)


def _clock(minutes: int) -> str:
    return f"{minutes // 60:02}:{minutes % 60:02}"


def _change_of_clocks(at: float, after: int, zone: ZoneInfo) -> int | None:
    """Finds the second in (at, after] from which the zone has another UTC offset; None if there is none."""

    def offset(moment: float) -> object:
        return datetime.fromtimestamp(moment, zone).utcoffset()

    before = offset(at)
    if offset(after) == before:
        return None
    same, changed = int(at), after
    while changed - same > 1:
        middle = (same + changed) // 2
        same, changed = (middle, changed) if offset(middle) == before else (same, middle)
    return changed


def _in_order(sources: list[Iterator[Opening]]) -> Iterator[Opening]:
    """Yields the openings of all sources by their beginning. Each source is in order."""
    heads = [next(source, None) for source in sources]
    while True:
        there = [(head, n) for n, head in enumerate(heads) if head is not None]
        if not there:
            return
        head, n = min(there)
        yield head
        heads[n] = next(sources[n], None)


def _joined(openings: Iterable[Opening]) -> Iterator[Opening]:
    last: Opening | None = None
    for start, end in openings:
        if last is None:
            last = (start, end)
        elif start > last[1] or last[1] - last[0] >= PIECE_SECONDS:
            if last[0] < last[1]:
                yield last
            last = (max(start, last[1]), max(end, last[1]))
        else:
            last = (last[0], max(last[1], end))
    if last is not None and last[0] < last[1]:
        yield last
