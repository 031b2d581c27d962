"""The simulator's time: it runs with the host's, and can be moved forward or frozen."""

from __future__ import annotations

import time
from collections.abc import Callable

LATEST = 32_503_680_000.0  # the year 3000: much later times cannot be written as dates
# A double holds today's epoch seconds to a quarter of a microsecond. Times that are closer than this are equal.
GRACE = 1e-6


def steady_epoch() -> Callable[[], float]:
    """Returns a source of epoch seconds that begins at the host's time and, unlike that, never goes back."""
    start = time.time() - time.monotonic()
    return lambda: start + time.monotonic()


class Clock:
    """Epoch seconds that never go back.

    `source` gives the running time; a test passes its own.
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
        """Moves forward by `seconds`, 0 or more: the limits need a time that never goes back. Raises ValueError."""
        if not 0 <= seconds <= LATEST - self.now():
            raise ValueError("a clock is advanced by 0 or more seconds, and not beyond the year 3000")
        if self._frozen_at is not None:
            self._frozen_at += seconds
        else:
            self._offset += seconds

    def freeze(self) -> None:
        """Stops the clock until `run`. `advance` still moves it."""
        self._frozen_at = self.now()

    def run(self) -> None:
        """Lets the clock run on from where it stands."""
        if self._frozen_at is not None:
            self._offset = self._frozen_at - self._source()
            self._frozen_at = None
