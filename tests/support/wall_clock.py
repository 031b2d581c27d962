"""Says whether a send window is open, as a person with a wall clock would. It shares no code with sesq."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


def shown_by_clock(window: str, moment: float) -> bool:
    """Whether a clock on a wall shows a time in the window. Days are named one by one: `Mon,Tue 09:00-17:00 UTC`."""
    for part in window.split(";"):
        *named, hours, zone = part.split()
        days = named or DAYS
        wall = datetime.fromtimestamp(moment, ZoneInfo(zone))
        start, end = hours.split("-")
        clock, today = wall.strftime("%H:%M"), DAYS[wall.weekday()]
        yesterday = DAYS[(wall.weekday() - 1) % 7]
        if start < end:
            found = _is_among(today, days) and start <= clock < end
        else:
            found = (_is_among(today, days) and clock >= start) or (
                _is_among(yesterday, days) and clock < end
            )
        if found:
            return True
    return False


def _is_among(day: str, days: Sequence[str]) -> bool:
    return any(day in each for each in days)
