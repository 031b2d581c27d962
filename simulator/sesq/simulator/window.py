"""Counts recipients in rolling windows, exactly, and keeps the largest count."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections import deque

from sesq.simulator.clock import GRACE

DAY = 86_400.0


class Ledger:
    """How many recipients were accepted at which time. The daily quota is judged by it.

    It keeps a time and a running total for each message (16 bytes), and drops none, so that it can answer for any time.
    """

    def __init__(self) -> None:
        self._times = array("d")
        self._totals = array("q")

    def add(self, recipients: int, at: float) -> None:
        so_far = self._totals[-1] if self._totals else 0
        self._times.append(at)
        self._totals.append(so_far + recipients)

    def last_24_hours(self, now: float) -> int:
        """Counts recipients in the 24 hours that end at `now`. Exactly 24 hours old no longer counts."""
        return self._total_until(now) - self._total_until(now - DAY)

    def _total_until(self, moment: float) -> int:
        index = bisect_right(self._times, moment + GRACE)
        return self._totals[index - 1] if index else 0


class Peak:
    """The most recipients in any window of `span` seconds, counted apart from the limiter.

    The window is half open: two messages exactly one second apart are not in the same second.
    """

    def __init__(self, span: float) -> None:
        self._span = span
        self._recent: deque[tuple[float, int]] = deque()
        self._sum = 0
        self.highest = 0

    def add(self, recipients: int, at: float) -> None:
        self._recent.append((at, recipients))
        self._sum += recipients
        while self._recent[0][0] <= at - self._span + GRACE:
            self._sum -= self._recent.popleft()[1]
        self.highest = max(self.highest, self._sum)
