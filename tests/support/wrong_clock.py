"""Runs a module in a process whose host's clock is wrong: `python -m wrong_clock SECONDS MODULE ARGUMENT…`."""

from __future__ import annotations

import datetime
import runpy
import sys
import time


def shift_clock(seconds: float) -> None:
    """Makes the time of day wrong in this process, from now on. Durations stay right."""
    of_day, of_day_ns, step = time.time, time.time_ns, datetime.timedelta(seconds=seconds)

    class WrongDatetime(datetime.datetime):
        @classmethod
        def now(cls, tz: datetime.tzinfo | None = None) -> WrongDatetime:
            return super().now(tz) + step

        @classmethod
        def utcnow(cls) -> WrongDatetime:
            return cls.now(datetime.timezone.utc).replace(tzinfo=None)

    time.time = lambda: of_day() + seconds
    time.time_ns = lambda: of_day_ns() + round(seconds * 1e9)
    datetime.datetime = WrongDatetime  # type: ignore[misc]


if __name__ == "__main__":
    shift_clock(float(sys.argv[1]))
    sys.argv = sys.argv[2:]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
