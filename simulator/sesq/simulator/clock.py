"""The simulator's time: it runs with the host's, and can be moved forward or frozen."""

from __future__ import annotations

import time
from collections.abc import Callable

LATEST = 32_503_680_000.0  # the year 3000: beyond are times that cannot be written down
# A double holds today's epoch to a quarter of a microsecond: times closer than this are the same time.
GRACE = 1e-6


def steady_epoch() -> Callable[[], float]:
    """A source of epoch seconds that starts at the host's time and, unlike it, never steps back."""
    start = time.time() - time.monotonic()
    return lambda: start + time.monotonic()


class Clock:
    """Epoch seconds that never go back.

    `source` is where running time comes from; a test passes its own.
    """

    def __init__(self, source: Callable[[], float] | None = None) -> None:
        self._source = source or steady_epoch()
        self._offset = 0.0
        self._frozen_at: float | None = None

    @property
    def frozen(self) -> bool:
        return self._frozen_at is not None

    def now(self) -> float:
        if self._frozen_at is not None:
            return self._frozen_at
        return self._source() + self._offset

    def advance(self, seconds: float) -> None:
        """Move forward by `seconds`, 0 or more: the limits look back, time does not go back. ValueError."""
        if not 0 <= seconds <= LATEST - self.now():
            raise ValueError("a clock is advanced by 0 or more seconds, and not beyond the year 3000")
        if self._frozen_at is not None:
            self._frozen_at += seconds
        else:
            self._offset += seconds

    def freeze(self) -> None:
        """Stop until `run`; `advance` still moves it."""
        self._frozen_at = self.now()

    def run(self) -> None:
        """Run on from where it stands."""
        if self._frozen_at is not None:
            self._offset = self._frozen_at - self._source()
            self._frozen_at = None
