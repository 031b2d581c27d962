"""Waits for the demo. Ctrl-C ends a wait at once, and so does the deadline of the demo."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sesq.config.errors import SesqError

SLICE_SECONDS = 0.05


class Interrupted(Exception):
    """Somebody asked the demo to stop."""


class TooLate(SesqError):
    """The deadline has passed, and the demo is not over."""


class Patience:
    """Waits, for `seconds` in total."""

    def __init__(
        self,
        seconds: float,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.seconds, self.is_over = seconds, False
        self._clock, self._sleep, self._start = clock, sleep, clock()

    @property
    def elapsed(self) -> float:
        """Seconds since the start."""
        return self._clock() - self._start

    def wait(self, seconds: float) -> None:
        """Waits. Raises Interrupted, and TooLate after the deadline."""
        until = self.elapsed + seconds
        while not self.is_over and (left := until - self.elapsed) > 0 and self.elapsed <= self.seconds:
            self._sleep(min(left, SLICE_SECONDS))
        if self.is_over:
            raise Interrupted
        if self.elapsed > self.seconds:
            raise TooLate(
                f"the demo did not end within {self.seconds:g} seconds: close other programs, try again"
            )

    @contextmanager
    def ended_by_signals(self) -> Iterator[None]:
        """Lets SIGINT, SIGTERM and SIGHUP end a wait, but neither the start nor the clean-up."""

        def end(*_: object) -> None:
            self.is_over = True

        before = {each: signal.signal(each, end) for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
