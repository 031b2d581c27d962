"""What the queue costs beside the sending: sesq's worker, RQ's workers, and a bare loop of boto3, in one run.

RQ's own workers run a plain job that sends one mail, on a queue of their own: no limits, no record, no retry.
"""

from __future__ import annotations

import argparse
import statistics
import time
from typing import Any

from rq import Queue
from rq.serializers import JSONSerializer

from benchmarks.bare_loop import send
from benchmarks.measure import Bench, Cost, bench, beside_the_first, finish, less, running, show, until

THREADS = 16
LATENCY_SECONDS = 0.05
ROUNDS = 5
SESQ = ("-m", "sesq.console", "worker")
PLAIN_QUEUE = "plain"


def main(scale: float = 1.0) -> list[dict[str, Any]]:
    """Returns all tables."""
    with bench() as b:
        return [pace_at_50_ms(b, scale), cost_at_once(b, scale), memory(b, scale), at_rest(b, scale)]


def pace_at_50_ms(b: Bench, scale: float) -> dict[str, Any]:
    """SES answers in 50 ms; one process of each."""
    count = round(4000 * scale)
    bare = _bare(b, count, LATENCY_SECONDS)
    ours = _sesq(b, count, LATENCY_SECONDS)
    few, fewer = max(20, round(200 * scale)), max(5, round(20 * scale))
    simple = _rq(b, few, LATENCY_SECONDS, "rq.worker.SimpleWorker")
    forking = _rq(b, fewer, LATENCY_SECONDS, "rq.worker.Worker")
    paces = [
        (f"bare boto3 loop, {THREADS} threads", count / bare.wall),
        (f"sesq worker, concurrency {THREADS}", count / ours.wall),
        ("RQ's SimpleWorker, a plain job", few / simple.wall),
        ("RQ's Worker (forks), a plain job", fewer / forking.wall),
    ]
    rows = [(name, pace, pace / paces[0][1]) for name, pace in paces]
    return show("SES answers in 50 ms, one process", ("sender", "mails a second", "of the bare loop"), rows)


def cost_at_once(b: Bench, scale: float) -> dict[str, Any]:
    """SES answers at once; CPU a mail, the start of the process taken off. Medians of rounds of all three in turn."""
    count = round(4000 * scale)
    rounds = [
        (_bare(b, count, 0), _sesq(b, count, 0), _sesq(b, count, 0, processes=2)) for _ in range(ROUNDS)
    ]
    few, fewer = max(20, round(500 * scale)), max(5, round(20 * scale))
    simple = _rq(b, few, 0, "rq.worker.SimpleWorker")
    forking = _rq(b, fewer, 0, "rq.worker.Worker")
    names = ("bare boto3 loop", "sesq worker", "sesq worker, two processes")
    rows = beside_the_first(names, rounds, count)
    for name, cost, mails in (
        ("RQ's SimpleWorker, a plain job", simple, few),
        ("RQ's Worker (forks), a plain job", forking, fewer),
    ):
        cpu = cost.cpu / mails * 1000
        rows.append((name, cpu, cpu - rows[0][1], mails / cost.wall, cost.peak_mb))
    columns = ("sender", "CPU ms a mail", "above the bare loop", "mails a second", "MB")
    return show("SES answers at once", columns, rows)


def memory(b: Bench, scale: float) -> dict[str, Any]:
    """Whether a process grows with what it has sent."""
    counts = [round(count * scale) for count in (10_000, 100_000)]
    rows = [(count, _sesq(b, count, 0).peak_mb) for count in counts]
    return show("One sesq worker's memory", ("mails sent", "MB at most"), rows)


def at_rest(b: Bench, scale: float) -> dict[str, Any]:
    """Returns what a worker costs that has nothing to do, and how soon it takes the first mail then."""
    seconds, mails = max(5.0, 60 * scale), 20
    b.set_up()
    rest = (_resting(b, 2 + seconds) - _resting(b, 2)) / seconds
    with running(b, SESQ, 1):
        until(lambda: b.redis.scard("rq:workers"), "the worker is up")
        waits = [_first_mail(b) for _ in range(mails)]
    rows = [(rest * 100, statistics.median(waits) * 1000, max(waits) * 1000)]
    return show("A worker at rest", ("% of a core", "ms to the first mail (median)", "at most"), rows)


def _resting(b: Bench, seconds: float) -> float:
    """Seconds of CPU of a worker that lives so long and has nothing to do."""
    worker = b.start(*SESQ)
    until(lambda: b.redis.scard("rq:workers"), "the worker is up")
    time.sleep(seconds)
    worker.terminate()
    return finish(worker).cpu


def _first_mail(b: Bench) -> float:
    """Seconds from the queueing of a mail, after a rest, to its arrival at SES."""
    time.sleep(0.5)
    queued = b.now()
    b.queue(1)
    calls = until(lambda: b.ses("GET", f"/_sim/messages?since={queued:.6f}"), "it is sent")
    return float(calls[0]["at"]) - queued


def _bare(b: Bench, count: int, latency: float) -> Cost:
    b.set_up(latency=latency)
    start = b.run("-m", "benchmarks.bare_loop", "0", str(THREADS))
    return less(b.run("-m", "benchmarks.bare_loop", str(count), str(THREADS)), start)


def _sesq(b: Bench, count: int, latency: float, processes: int = 1) -> Cost:
    command = [
        *SESQ,
        "--burst",
        "--concurrency",
        str(THREADS),
        "--processes",
        str(processes),
    ]
    b.set_up(latency=latency)
    b.run(*command)  # the account is known from here on
    start = b.run(*command)
    b.queue(count)
    return less(b.run(*command), start)


def _rq(b: Bench, count: int, latency: float, worker_class: str) -> Cost:
    command = [
        "-m",
        "rq.cli",
        "worker",
        "--burst",
        "-S",
        "json",
        "-w",
        worker_class,
        "-q",
        "--url",
        b.redis_url,
        PLAIN_QUEUE,
    ]
    b.set_up(latency=latency)
    start = b.run(*command)
    queue = Queue(PLAIN_QUEUE, connection=b.redis, serializer=JSONSerializer)
    for number in range(count):
        queue.enqueue(send, number)
    return less(b.run(*command), start)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", type=float, default=1.0, help="so many times the usual number of mails")
    main(parser.parse_args().scale)
