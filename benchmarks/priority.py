"""How long a transactional mail waits while 100,000 bulk mails are queued.

The wait is from when the queue has the mail until SES has it; both clocks are this host's.
"""

from __future__ import annotations

import random
import statistics
import time
from typing import Any

from benchmarks.measure import Bench, bench, mail, running, show, until
from sesq.queue.states import State

RATE = 14.0
BULK = 100_000
URGENT_A_SECOND = 1.5
SECONDS = 90.0
LATENCY_SECONDS = 0.02
TARGET_MS = (1 / RATE + 0.15) * 1000
SEED = 14
TENANTS = (1, 10, 1000)
"""Whose the bulk mail is; the urgent mail is of none."""
SESQ = ("-m", "sesq.console", "worker")


def main(scale: float = 1.0) -> list[dict[str, Any]]:
    """Returns one table."""
    bulk = round(BULK * scale)
    with bench() as b:
        rows = [
            (name, *_waits(b, processes, bulk, SECONDS * scale, tenants))
            for name, processes, tenants in (
                ("sesq worker", 1, 0),
                ("sesq worker, 4 processes", 4, 0),
                *((f"sesq worker, {tenants:,} tenants", 1, tenants) for tenants in TENANTS),
            )
        ]
    columns = ("worker", "urgent mails", "p50 ms", "p99 ms", "most ms", "bulk sent meanwhile", "throttles")
    notes = [
        f"{bulk:,} bulk mails queued at {RATE:g} a second; {URGENT_A_SECOND:g} urgent ones a second at random times",
        f"target for p99: 1/rate + 150 ms = {TARGET_MS:.0f} ms",
    ]
    return [show("How long an urgent mail waits behind the bulk", columns, rows, notes)]


def _waits(b: Bench, processes: int, bulk: int, seconds: float, tenants: int) -> tuple[Any, ...]:
    b.set_up(rate=RATE, latency=LATENCY_SECONDS, tenants=tenants)
    b.queue(bulk, lane="bulk", tenants=tenants)
    with running(b, SESQ, processes):
        until(lambda: b.redis.scard("rq:workers") >= processes, "all processes are up")
        until(lambda: b.report()["accepted"] > 2 * RATE, "the bulk flows")
        before = b.report()["accepted"]
        ids = _send_urgent(b, seconds)
        until(
            lambda: all(b.outbox.status(id).state is State.SENT for id in ids), "all that is urgent is sent"
        )
        report = b.report()
    arrived = {
        call["tags"]["sesq-id"]: call["at"] for call in b.ses("GET", "/_sim/messages") if call["accepted"]
    }
    waits = [(arrived[id] - b.outbox.status(id).history[0].at) * 1000 for id in ids]
    percentiles = statistics.quantiles(waits, n=100, method="inclusive")
    sent = report["accepted"] - before - len(ids)
    return len(ids), percentiles[49], percentiles[98], max(waits), sent, report["throttles"]


def _send_urgent(b: Bench, seconds: float) -> list[str]:
    """Mails at random times, as independent people cause them."""
    dice = random.Random(SEED)
    ids: list[str] = []
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(dice.expovariate(URGENT_A_SECOND))
        ids.append(b.outbox.send(mail(len(ids))))
    return ids


if __name__ == "__main__":
    main()
