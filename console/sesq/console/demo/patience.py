"""All the waiting of the demo: a Ctrl-C ends it at once, and the deadline ends it in any case."""

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
    """Waits, for `seconds` in all."""

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
        """Raises Interrupted or TooLate instead of waiting on."""
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
        """Has SIGINT, SIGTERM and SIGHUP end a wait, but no start and no clean-up."""

        def end(*_: object) -> None:
            self.is_over = True

        before = {each: signal.signal(each, end) for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
