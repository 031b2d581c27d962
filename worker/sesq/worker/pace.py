"""Measures how fast an account's mail leaves a worker now."""

from __future__ import annotations

import math


class Pace:
    """Measures messages a second, over about the last quarter of a second."""

    WINDOW_SECONDS = 0.25

    def __init__(self) -> None:
        self._rate = 0.0
        self._at = 0.0

    def count(self, done: int, now: float) -> None:
        """Counts messages that are done."""
        passed = max(1e-6, now - self._at)
        fresh = 1 - math.exp(-passed / self.WINDOW_SECONDS)
        self._rate += (done / passed - self._rate) * fresh
        self._at = now

    def in_seconds(self, seconds: float) -> int:
        """Returns how many will be done in that time at this pace."""
        return int(self._rate * seconds)
