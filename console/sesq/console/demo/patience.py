"""All the waiting of the demo: a Ctrl-C ends it at once, and the deadline ends it in any case."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from types import FrameType
from typing import TYPE_CHECKING, Any

from sesq.config.errors import SesqError

if TYPE_CHECKING:
    from typing_extensions import Self

SLICE_SECONDS = 0.05


class Interrupted(Exception):
    """Somebody asked the demo to stop."""


class TooLate(SesqError):
    """The deadline has passed, and the demo is not over."""


class Patience:
    """As a context manager it takes SIGINT, SIGTERM and SIGHUP: they end a wait, never a start or a clean-up."""

    def __init__(
        self,
        seconds: float,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.seconds = seconds
        self._clock, self._sleep = clock, sleep
        self._start = clock()
        self._stop = False
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            self._before[number] = signal.signal(number, self._ask_to_stop)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    @property
    def elapsed(self) -> float:
        """Seconds since the start."""
        return self._clock() - self._start

    def wait(self, seconds: float) -> None:
        """Raises Interrupted or TooLate instead of waiting on."""
        until = self.elapsed + seconds
        while True:
            if self._stop:
                raise Interrupted
            if self.elapsed > self.seconds:
                raise TooLate(f"the demo did not end within its {self.seconds:g} seconds")
            left = until - self.elapsed
            if left <= 0:
                return
            self._sleep(min(left, SLICE_SECONDS))

    def _ask_to_stop(self, _signal: int, _frame: FrameType | None) -> None:
        self._stop = True
