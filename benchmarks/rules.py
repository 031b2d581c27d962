"""Compares sesq with RQ, Celery and django-ses: do they keep SES's rate, send all mails, and send urgent ones soon?

Two processes send 60 bulk mails through an account that allows 10 recipients a second. While the bulk mail is being
sent, 10 urgent mails are queued. The simulator takes the place of SES: it answers after 50 ms, and the figures come
from its record. Each sender is set up as its documentation says:

- RQ: a job calls `sleep`, then boto3, with `Retry(max=3)`. The workers serve the queue `urgent` before `bulk`, and load
  boto3 before they fork, as RQ's page on workers says.
- Celery: the task has a `rate_limit`, which holds for each worker, `autoretry_for` and `retry_backoff`. Redis is the
  broker; urgent mail has priority, by `queue_order_strategy` and a prefetch of one, as Celery's page on routing says.
- django-ses: its own throttle, AWS_SES_AUTO_THROTTLE, has its default (0.5). It has no queue: each process sends half
  of the bulk mail in a loop, and a second thread sends urgent mail when it comes, as a web application does.

These three call SES with boto3's own retries. RQ and Celery are measured twice: each worker may use the whole rate, or
half of it. In a second run of each sender, one of the two processes is killed in the middle and not replaced. A run
ends when all mails have arrived, or after 40 seconds. The benchmark needs the extra `bench`.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import os
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from rq import Queue, Retry

from benchmarks.measure import Bench, bench, mail, show, until
from benchmarks.rules_mail import address
from benchmarks.rules_rq import QUEUES, mail_job

RATE = 10.0
LATENCY_SECONDS = 0.05
BULK, URGENT = 60, 10
RUN_SECONDS = 40.0
BULK_FIRST = 20
"""How many bulk mails have arrived when the urgent mails are queued."""
WORKERS = 2
WHOLE, HALF = 1.0, 1 / WORKERS
COLUMNS = (
    "sender",
    "throttled calls",
    "not sent in time",
    "of the rate",
    "urgent: p50 s",
    "urgent: most s",
    "one killed: not sent",
    "sent twice",
)
Put = Callable[[Bench, Sequence[int], bool], object]
"""Queues the mails with these numbers; True means that they are urgent."""


@dataclass(frozen=True)
class Sender:
    """A way to send. A process runs `command`, with 0 or 1 for {worker}, and may use the share `each` of the rate."""

    name: str
    command: Sequence[str]
    put: Put
    each: float = WHOLE


@dataclass(frozen=True)
class Run:
    """What SES's record says of one run. Times are seconds."""

    throttles: int
    missing: int
    twice: int
    of_the_rate: float
    waits: list[float]


def main(scale: float = 1.0) -> list[dict[str, Any]]:
    """Returns one table."""
    bulk = max(2 * BULK_FIRST, round(BULK * scale))
    with bench() as b:
        os.environ.update(b.environment)  # Celery's module reads it
        rows = [_row(b, sender, bulk) for sender in SENDERS]
    notes = [
        f"{bulk} bulk mails, {URGENT} urgent ones when {BULK_FIRST} have arrived; {RATE:g} recipients a second; "
        f"{WORKERS} processes; a run takes at most {RUN_SECONDS:g} s",
        "of the rate: what SES took until nine tenths of the mails had arrived, as a share of what it allows",
        "one killed: a second run, in which one of the processes is killed in the middle and not replaced",
        "sent twice: in both runs together",
    ]
    return [show("Who keeps SES's rules", COLUMNS, rows, notes)]


def _row(b: Bench, sender: Sender, bulk: int) -> tuple[Any, ...]:
    calm, killed = run_once(b, sender, bulk, kill=False), run_once(b, sender, bulk, kill=True)
    waits = calm.waits or [RUN_SECONDS]
    return (
        sender.name,
        calm.throttles,
        calm.missing,
        calm.of_the_rate,
        median(waits),
        max(waits),
        killed.missing,
        calm.twice + killed.twice,
    )


def run_once(b: Bench, sender: Sender, bulk: int, *, kill: bool) -> Run:
    """Queues the bulk mail, starts both processes, queues the urgent mail, and reads SES's record at the end."""
    b.set_up(rate=RATE, latency=LATENCY_SECONDS)
    sender.put(b, range(bulk), False)
    numbers = range(bulk, bulk + URGENT)
    with _processes(b, sender) as processes:
        started = time.monotonic()
        until(lambda: b.report()["accepted"] >= BULK_FIRST, f"{sender.name} sends")
        asked = b.now()
        sender.put(b, numbers, True)
        while time.monotonic() < started + RUN_SECONDS and b.report()["accepted"] < bulk + URGENT:
            if kill and b.report()["accepted"] >= bulk // 2:
                _kill(processes[0].pid)
                kill = False
            time.sleep(0.05)
        return judge(b, bulk, numbers, asked)


def judge(b: Bench, bulk: int, urgent: Sequence[int], asked: float) -> Run:
    """Judges a run by SES's record: `bulk` many bulk mails, and urgent mails with these numbers, queued at `asked`."""
    calls = [call for call in b.ses("GET", "/_sim/messages") if call["accepted"]]
    taken = Counter(map(_recipient, calls))
    first: dict[str, float] = {}
    for call in calls:
        first.setdefault(_recipient(call), call["at"])
    most = calls[: max(2, len(calls) * 9 // 10)]
    return Run(
        throttles=b.report()["throttles"],
        missing=bulk + len(urgent) - len(taken),
        twice=sum(taken.values()) - len(taken),
        of_the_rate=(len(most) - 1) / (most[-1]["at"] - most[0]["at"]) / RATE,
        waits=[first[to] - asked for to in map(address, urgent) if to in first],
    )


def _recipient(call: dict[str, Any]) -> str:
    return str([*call["to"], *call["cc"], *call["bcc"]][0])


@contextlib.contextmanager
def _processes(b: Bench, sender: Sender) -> Iterator[list[subprocess.Popen[bytes]]]:
    b.environment["BENCH_RATE"] = str(RATE * sender.each)
    processes = [
        b.start(*(word.format(worker=number) for word in sender.command)) for number in range(WORKERS)
    ]
    try:
        yield processes
    finally:
        for process in processes:
            _kill(process.pid)
            process.wait()


def _kill(pid: int) -> None:
    """Ends a process and its children at once, as a machine that is switched off does."""
    with contextlib.suppress(ProcessLookupError, FileNotFoundError):
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        os.kill(pid, signal.SIGKILL)
        for child in children:
            _kill(int(child))


def _sesq(b: Bench, numbers: Sequence[int], urgent: bool) -> None:
    b.outbox.send_many(mail(number, "transactional" if urgent else "bulk") for number in numbers)


def _rq(b: Bench, numbers: Sequence[int], urgent: bool) -> None:
    queue = Queue(QUEUES[0 if urgent else 1], connection=b.redis)
    for number in numbers:
        queue.enqueue(mail_job, number, retry=Retry(max=3))


def _celery(_: Bench, numbers: Sequence[int], urgent: bool) -> None:
    app = importlib.import_module("benchmarks.rules_celery")  # it reads where Redis is
    for number in numbers:
        app.mail_task.apply_async((number,), priority=app.FIRST if urgent else app.LAST)


def _django(b: Bench, numbers: Sequence[int], urgent: bool) -> None:
    """Gives each process its part of the bulk mail. Either process may take an urgent mail."""
    for number in numbers:
        b.redis.rpush("urgent" if urgent else f"bulk:{number % WORKERS}", number)


CELERY = (
    *("-m", "celery", "--app", "benchmarks.rules_celery", "worker", "--hostname", "worker{worker}@%h"),
    *("--concurrency", "1", "--loglevel", "CRITICAL"),
)
SENDERS = (
    Sender("sesq", ("-m", "sesq.console", "worker"), _sesq),
    Sender("RQ, sleep(1/rate)", ("-m", "benchmarks.rules_rq"), _rq),
    Sender("RQ, sleep(2/rate)", ("-m", "benchmarks.rules_rq"), _rq, HALF),
    Sender("Celery, rate_limit = rate", CELERY, _celery),
    Sender("Celery, rate_limit = rate/2", CELERY, _celery, HALF),
    Sender("django-ses", ("-m", "benchmarks.rules_django", "{worker}"), _django),
)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--scale", type=float, default=1.0, help="multiplies the usual number of bulk mails")
    main(parser.parse_args().scale)
