"""How fast mail is queued: `Outbox.send` and `send_many`, checks and costs included, beside RQ's own `enqueue` and
`enqueue_many`.

RQ does no checking: it gets the arguments of a mail as they are.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from statistics import median
from typing import Any

from rq import Queue
from rq.serializers import JSONSerializer

from benchmarks.measure import Bench, bench, mail, show

CHUNK = 500
ROUNDS = 5
Way = Callable[[Bench, int], None]


def main(scale: float = 1.0) -> list[dict[str, Any]]:
    """Two tables; each way's median of several rounds, all by turns."""
    with bench() as b:
        return [
            _beside(
                b, "Queueing one by one", round(1000 * scale), {"RQ's enqueue": _rq, "Outbox.send": _sesq}
            ),
            _beside(
                b,
                "Queueing many",
                round(5000 * scale),
                {"RQ's enqueue_many": _rq_many, "Outbox.send_many": Bench.queue},
            ),
        ]


def _beside(b: Bench, title: str, count: int, ways: dict[str, Way]) -> dict[str, Any]:
    """Returns a table of these ways, beside the first."""
    paces: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(ROUNDS):
        for name, way in ways.items():
            b.redis.flushall()
            start = time.perf_counter()
            way(b, count)
            paces[name].append(count / (time.perf_counter() - start))
    base = median(next(iter(paces.values())))
    rows = [(name, median(each), median(each) / base, min(each), max(each)) for name, each in paces.items()]
    return show(title, ("way", "messages a second", "of RQ's", "slowest round", "fastest"), rows)


def _sesq(b: Bench, count: int) -> None:
    for i in range(count):
        b.outbox.send(mail(i))


def _rq(b: Bench, count: int) -> None:
    queue = Queue("plain", connection=b.redis, serializer=JSONSerializer)
    for i in range(count):
        queue.enqueue("mails.send", *_arguments(i), description="a mail")


def _rq_many(b: Bench, count: int) -> None:
    queue = Queue("plain", connection=b.redis, serializer=JSONSerializer)
    for start in range(0, count, CHUNK):
        queue.enqueue_many(
            [
                Queue.prepare_data("mails.send", args=_arguments(i), description="a mail")
                for i in range(start, min(count, start + CHUNK))
            ]
        )


def _arguments(number: int) -> tuple[str, ...]:
    return ("Shop <shop@example.com>", f"person{number}@example.org", "Hello", "x" * 1000)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", type=float, default=1.0, help="so many times the usual number of mails")
    main(parser.parse_args().scale)
