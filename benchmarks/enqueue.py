"""How fast mail is queued: `Outbox.send_many`, checks and costs included, beside RQ's own `enqueue_many`."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

from rq import Queue
from rq.serializers import JSONSerializer

from benchmarks.measure import Bench, bench, show

CHUNK = 500
ROUNDS = 5


def main(scale: float = 1.0) -> list[dict[str, Any]]:
    """One table; each sender's best of several rounds, in turn."""
    count = round(5000 * scale)
    with bench() as b:
        ways: dict[str, Callable[[Bench, int], None]] = {"RQ's enqueue_many": _rq, "Outbox.send_many": _sesq}
        best = dict.fromkeys(ways, 0.0)
        for _ in range(ROUNDS):
            for name, way in ways.items():
                b.redis.flushall()
                start = time.perf_counter()
                way(b, count)
                best[name] = max(best[name], count / (time.perf_counter() - start))
    base = best["RQ's enqueue_many"]
    rows = [(name, pace, pace / base) for name, pace in best.items()]
    return [show("Queueing", ("way", "messages a second", "of RQ's"), rows)]


def _sesq(b: Bench, count: int) -> None:
    b.queue(count)


def _rq(b: Bench, count: int) -> None:
    """RQ does no checking: it gets the arguments of a mail as they are."""
    queue = Queue("plain", connection=b.redis, serializer=JSONSerializer)
    for start in range(0, count, CHUNK):
        arguments = (
            ("Shop <shop@example.com>", f"person{i}@example.org", "Hello", "x" * 1000)
            for i in range(start, min(count, start + CHUNK))
        )
        queue.enqueue_many(
            [Queue.prepare_data("mails.send", args=a, description="a mail") for a in arguments]
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", type=float, default=1.0, help="so many times the usual number of mails")
    main(parser.parse_args().scale)
