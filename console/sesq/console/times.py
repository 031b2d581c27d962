"""Reads and writes times and durations for people."""

from __future__ import annotations

import re
from contextvars import ContextVar
from datetime import datetime, timedelta, timezone, tzinfo

from sesq.config.errors import InputError
from sesq.console.tables import Cell
from sesq.producer.moments import FIRST, LAST

ZONE: ContextVar[tzinfo | None] = ContextVar("zone", default=None)
"""The zone of the person who looks; None: this machine's."""

LONGEST_DAYS = 3650
"""Days of the longest duration. A longer one is probably a typing error."""
_EARLIEST = datetime(1, 1, 3, tzinfo=timezone.utc).timestamp()
_LATEST = datetime(9999, 12, 29, tzinfo=timezone.utc).timestamp()
"""The first and the last time that Python's calendar has in every zone (s since the epoch)."""
GRACE_SECONDS = 60
"""A time that has passed by less than this is accepted: typing takes time, and clocks differ."""
UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
DURATIONS_ALLOWED = "a number with s, m, h or d, such as 90s, 10m, 2h or 1d12h"
_PART = r"(\d+(?:\.\d+)?)([smhd])"
_is_duration = re.compile(rf"(?:{_PART})+").fullmatch


def parse_duration(text: str, option: str) -> float:
    """Reads `10m` or `1d12h`, ten years at most. Returns seconds. Raises InputError, which names the option."""
    if not _is_duration(text):
        raise InputError(f"{option}: {text!r} is no duration; allowed: {DURATIONS_ALLOWED}")
    seconds = sum(float(number) * UNITS[unit] for number, unit in re.findall(_PART, text))
    if seconds > LONGEST_DAYS * UNITS["d"]:
        raise InputError(f"{option}: {text!r} is too long; allowed: at most {LONGEST_DAYS}d")
    return seconds


def parse_moment(text: str, option: str, now: datetime | None = None) -> datetime:
    """Reads `+10m` from now, or ISO 8601 from 1970 to 9000. Without a zone, it is in the zone of the page's reader,
    or in the local zone. Raises InputError.
    """
    if text.startswith("+"):
        after = timedelta(seconds=parse_duration(text[1:], option))
        return (now or datetime.now(timezone.utc)) + after
    try:
        # fromisoformat takes "Z" from Python 3.11 on
        written = datetime.fromisoformat(re.sub("[Zz]$", "+00:00", text))
        zone = ZONE.get()
        moment = written.replace(tzinfo=zone) if zone and written.tzinfo is None else written.astimezone()
    except (ValueError, OverflowError, OSError) as error:
        raise InputError(
            f"{option}: {text!r} is no time; allowed: ISO 8601 such as 2026-11-30T09:00, or +10m, +2h"
        ) from error
    if not FIRST <= moment < LAST:
        raise InputError(f"{option}: {text!r} is too far away; allowed: from 1970 to 9000")
    there = moment.astimezone(timezone.utc).astimezone(moment.tzinfo)
    if written.tzinfo is None and there.replace(tzinfo=None) != written:
        raise InputError(
            f"{option}: {text!r} is not on the clock here: daylight saving time skips that hour; "
            f"give another time, or a zone, as in {text}+00:00"
        )
    return moment


def parse_past(text: str, option: str, now: float) -> float:
    """Reads `2h` or `1d12h` ago, or ISO 8601 as `parse_moment`. Returns seconds since the epoch. Raises InputError."""
    if _is_duration(text):
        return now - parse_duration(text, option)
    return parse_moment(text, option, datetime.fromtimestamp(now, timezone.utc)).timestamp()


def ahead(moment: datetime, option: str) -> datetime:
    """Returns the moment. Raises InputError if it is more than a minute ago, which is probably a typing error."""
    if moment < datetime.now(timezone.utc) - timedelta(seconds=GRACE_SECONDS):
        raise InputError(
            f"{option}: {moment:%Y-%m-%d %H:%M %Z} is over already; leave {option} out to send now"
        )
    return moment


def utc(seconds: float | None) -> str | None:
    """Writes ISO 8601 in UTC, for JSON; None stays None. A time outside the calendar becomes its first or last days."""
    if seconds is None:
        return None
    return _moment(round(_bounded(seconds), 3)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def local(seconds: float | None, now: float | None = None) -> str:
    """Writes `14:03:05`, with its day if that is not today; with `now` also how far away it is. A time outside the
    calendar becomes its first or last days.
    """
    if seconds is None:
        return ""
    zone, seconds = ZONE.get(), _bounded(seconds)
    moment = _moment(seconds).astimezone(zone)
    today = (datetime.now(timezone.utc) if now is None else _moment(now)).astimezone(zone)
    text = moment.strftime("%H:%M:%S" if moment.date() == today.date() else "%d %b %H:%M:%S")
    if moment.year != today.year:
        text = moment.strftime("%Y-%m-%d %H:%M:%S")
    return text if now is None else f"{text} ({relative(seconds - now)})"


def local_cell(seconds: float | None, now: float) -> Cell:
    """Does the same for a table. A narrow terminal shows only how far away the time is."""
    return Cell(local(seconds, now), "" if seconds is None else relative(_bounded(seconds) - now))


def _bounded(seconds: float) -> float:
    return min(max(_EARLIEST, seconds), _LATEST)


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, timezone.utc)


def relative(seconds: float) -> str:
    """Writes `in 2 h`, `5 min ago` or `now`."""
    if abs(seconds) < 1:
        return "now"
    return f"in {span(seconds)}" if seconds > 0 else f"{span(-seconds)} ago"


def span(seconds: float) -> str:
    """Writes a length of time in the largest unit of which there are at least two: `90 s`, `3 h`, `2 d`."""
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "min")):
        if round(seconds) >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
