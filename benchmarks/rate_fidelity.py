"""How exactly the rate is kept: from 1 to 8 worker processes as one sender, a strict SES being the judge.

The time runs from one arrival at SES to another, once all processes are up. SES lets one second's worth through at
once, and answers after 20 ms.
"""

from __future__ import annotations

import time
from dataclasses import astuple, dataclass
from typing import Any

from benchmarks.measure import Bench, bench, cpu_of, running, show, until
from sesq.queue.gate import Gate

LATENCY_SECONDS = 0.02
SECONDS = 30.0
QUICK_SECONDS = 8.0
RATES = (0.5, 1.0, 14.0, 100.0, 500.0)
PROCESSES = (1, 2, 4, 8)
QUICK_RATES, QUICK_PROCESSES = (1.0, 14.0, 500.0), (1, 4)
TENANTS, OF_TENANTS = (1, 10, 1000), (100.0, 2)
"""How many send, at which rate and with how many processes."""
START_SECONDS = 20.0
"""So many seconds' worth more are queued, for what goes while the processes start."""

SESQ = ("-m", "sesq.console", "worker")
COLUMNS = (
    "sender",
    "rate (1/s)",
    "processes",
    "share of the rate",
    "throttles",
    "most in 1 s",
    "claims a mail",
    "Redis reads a mail",
    "% of a core",
)


@dataclass(frozen=True)
class Seen:
    """What the judge and the counters said between two arrivals."""

    share: float
    throttles: int
    most: int
    claims: float
    reads: float
    cpu: float


def main(scale: float = 1.0) -> list[dict[str, Any]]:
    """Returns one table; below full scale fewer rates and processes, for a shorter time."""
    quick = scale < 1
    rates, counts = (QUICK_RATES, QUICK_PROCESSES) if quick else (RATES, PROCESSES)
    seconds = QUICK_SECONDS if quick else SECONDS
    rows: list[tuple[Any, ...]] = []
    with bench() as b:
        runs = [("sesq worker", rate, count, 0) for rate in rates for count in counts]
        runs += [(f"sesq worker, {tenants:,} tenants", *OF_TENANTS, tenants) for tenants in TENANTS]
        for sender, rate, count, tenants in runs:
            seen = _measure(b, rate, count, seconds, tenants)
            rows.append((sender, rate, count, *astuple(seen)))
    notes = [
        f"SES answers after {LATENCY_SECONDS * 1000:g} ms; each row over at least {seconds:g} s",
        "share: recipients that SES took, of those that the rate allows in the time between the two arrivals",
        "% of a core: of all worker processes together",
        "Redis reads: all round trips of all processes to Redis, a pipeline being one or a few",
    ]
    return [show("How exactly the rate is kept", COLUMNS, rows, notes)]


def _measure(b: Bench, rate: float, count: int, seconds: float, tenants: int) -> Seen:
    b.set_up(rate=rate, latency=LATENCY_SECONDS, tenants=tenants)
    b.queue(round(rate * (seconds + START_SECONDS)) + 20, lane="bulk", tenants=tenants)
    with running(b, SESQ, count) as pids:
        until(lambda: b.redis.scard("rq:workers") >= count, "all processes are up")
        first = _next_arrival(b, since=0.0)
        first = _next_arrival(b, since=first + 1.0)  # what had gathered while nobody asked is gone
        before, used = _counters(b), cpu_of(pids)
        last = _next_arrival(b, since=first + seconds)
        used = cpu_of(pids) - used
        claims, reads = (now - then for now, then in zip(_counters(b), before, strict=True))
        report = b.report()
    calls = b.ses("GET", f"/_sim/messages?since={first:.6f}")
    taken = sum(call["recipients"] for call in calls if call["accepted"] and first < call["at"] <= last)
    return Seen(
        share=taken / (last - first) / rate,
        throttles=report["throttles"],
        most=report["max_recipients_in_1s"],
        claims=claims / taken,
        reads=reads / taken,
        cpu=used / (last - first) * 100,
    )


def _next_arrival(b: Bench, since: float) -> float:
    """Returns the time of SES's first accepted call at or after `since`."""

    def look() -> list[float]:
        calls = b.ses("GET", f"/_sim/messages?since={max(since, b.now() - 1.0):.6f}")
        return [call["at"] for call in calls if call["accepted"] and call["at"] >= since]

    time.sleep(max(0.0, since - b.now()))
    return float(min(until(look, "SES takes a mail")))


def _counters(b: Bench) -> tuple[int, int]:
    """Claims so far, and how often Redis has read from a socket."""
    return Gate(b.redis).usage().claims, int(b.redis.info("stats")["total_reads_processed"])


if __name__ == "__main__":
    main()
