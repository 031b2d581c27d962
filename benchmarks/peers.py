"""sesq beside its peers and a bare loop of boto3, all in one run: two processes of 16 threads each.

A peer sends each mail as the bare loop does, by a plain job: it keeps no limits and no record. RQ's SimpleWorker has no
threads, so it is two processes that send one mail at a time. Redis is that of the other benchmarks, and the line
below each table says how it keeps its data. Needs the extra `bench`.
"""

from __future__ import annotations

import argparse
import importlib
import os
import signal
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from rq import Queue
from rq.serializers import JSONSerializer

from benchmarks.bare_loop import send
from benchmarks.measure import Bench, bench, finish, show, until
from sesq.producer import Message
from sesq.producer.batch.template import Template

PROCESSES, THREADS = 2, 16
ROUNDS, FEW_ROUNDS = 5, 2
MAILS, SLOW_MAILS = 4000, 1000
WAITING, BODY = 2000, "The quick brown fox jumps over the lazy dog. " * 12
LATENCY_SECONDS = 0.05
PLAIN_QUEUE = "plain"
COLUMNS = (
    "sender",
    "mails a second",
    "of the bare loop",
    "CPU ms a mail",
    "of the bare loop's",
    "Redis ms a mail",
)
Put = Callable[[Bench, int], object]


@dataclass(frozen=True)
class Sender:
    """Who sends: its command, how many processes of it are started, how a mail is queued, whether it ends by itself."""

    name: str
    command: Sequence[str]
    put: Put
    starts: int = 1
    ends: bool = False
    slow: bool = False
    """It sends one mail at a time: it gets a tenth of the mails where SES is slow."""


@dataclass(frozen=True)
class Run:
    """Mails a second between the first and the last; seconds of CPU of the sender, and of Redis, for all of them."""

    pace: float
    cpu: float
    redis: float


def main(scale: float = 1.0) -> list[dict[str, Any]]:
    """Three tables."""
    with bench() as b:
        os.environ.update(b.environment)  # the peers' modules read them
        senders = [*SENDERS, *_installed()]
        rounds = ROUNDS if scale >= 1 else FEW_ROUNDS
        return [
            _beside(b, "SES answers at once", senders, round(MAILS * scale), 0.0, rounds),
            _beside(b, "SES answers in 50 ms", senders, round(SLOW_MAILS * scale), LATENCY_SECONDS, rounds),
            _memory(b, senders, max(100, round(WAITING * scale))),
        ]


def _beside(
    b: Bench, title: str, senders: Sequence[Sender], count: int, latency: float, rounds: int
) -> dict[str, Any]:
    """Medians of rounds in which each sends once."""
    counts = {s.name: max(20, count // 10) if s.slow and latency else count for s in senders}
    starts = {s.name: run_once(b, s, 1, 0.0) for s in senders}
    runs: dict[str, list[Run]] = {s.name: [] for s in senders}
    for _ in range(rounds):
        for sender in senders:
            runs[sender.name].append(run_once(b, sender, counts[sender.name], latency))
    rows = [_row(name, runs[name], starts[name], counts[name], runs[senders[0].name]) for name in runs]
    first = rows[0][3]
    table = [(name, pace, ratio, cpu, cpu / first, redis) for name, pace, ratio, cpu, redis in rows]
    spread = [
        f"{name}: {min(r.pace for r in each):,.0f} to {max(r.pace for r in each):,.0f} a second in {rounds} rounds"
        for name, each in runs.items()
    ]
    return show(f"{title}; {PROCESSES} processes, {THREADS} threads each", COLUMNS, table, spread)


def _row(
    name: str, runs: list[Run], start: Run, count: int, bare: list[Run]
) -> tuple[str, float, float, float, float]:
    """Name, mails a second, ratio to the bare loop of the same round, CPU and Redis's CPU in ms a mail."""
    ratio = median(own.pace / first.pace for own, first in zip(runs, bare, strict=True))
    cpu = median(run.cpu - start.cpu for run in runs) / count * 1000
    redis = median(max(0.0, run.redis - start.redis) for run in runs) / count * 1000
    return name, median(run.pace for run in runs), ratio, cpu, redis


def run_once(b: Bench, sender: Sender, count: int, latency: float) -> Run:
    """Queues so many mails, then starts the sender, and ends it when they have arrived."""
    b.set_up(latency=latency)
    sender.put(b, count)
    before = _redis_cpu(b)
    command = [word.format(count=count // sender.starts or 1, url=b.redis_url) for word in sender.command]
    processes = [b.start(*command) for _ in range(sender.starts)]
    until(lambda: b.report()["accepted"] >= count, f"{sender.name} has sent {count} mails")
    used = _redis_cpu(b) - before
    cpu = sum(_end(process, by_itself=sender.ends) for process in processes)
    calls = b.ses("GET", "/_sim/messages")
    return Run(count / max(1e-9, calls[-1]["at"] - calls[0]["at"]), cpu, used)


def _end(process: subprocess.Popen[bytes], *, by_itself: bool) -> float:
    if not by_itself:
        process.send_signal(signal.SIGINT)
    return finish(process).cpu


def _redis_cpu(b: Bench) -> float:
    info = b.redis.info("cpu")
    return float(info["used_cpu_user"]) + float(info["used_cpu_sys"])


def _memory(b: Bench, senders: Sequence[Sender], count: int) -> dict[str, Any]:
    """Returns what one waiting mail takes in Redis, with a body of some 500 bytes."""
    rows = []
    for sender in senders:
        b.redis.flushall()
        sender.put(b, 1)
        empty = b.redis.info("memory")["used_memory"]
        sender.put(b, count)
        rows.append((sender.name, (b.redis.info("memory")["used_memory"] - empty) / count))
    return show("Waiting in Redis", ("queue", "bytes a mail"), rows[1:])


def _installed() -> list[Sender]:
    """Returns the peers that the extra `bench` brings."""
    apps = importlib.import_module("benchmarks.peer_apps")
    many = ("--processes", str(PROCESSES), "--threads", str(THREADS))
    return [
        Sender("Dramatiq", ("-m", "dramatiq", "benchmarks.peer_apps", *many), _each(apps.dramatiq_mail.send)),
        Sender(
            "huey",
            (
                "-m",
                "huey.bin.huey_consumer",
                "benchmarks.peer_apps.huey",
                "-q",
                "-k",
                "thread",
                "-w",
                str(THREADS),
            ),
            _each(apps.huey_mail),
            starts=PROCESSES,
        ),
    ]


def _each(put: Callable[..., object]) -> Put:
    def all_of_them(_: Bench, count: int) -> None:
        for number in range(count):
            put(number, *_told(number))

    return all_of_them


def _told(number: int) -> tuple[str, ...]:
    """Returns what a queue has to keep of a mail: sender, recipient, subject, body."""
    return ("Shop <shop@example.com>", f"person{number}@example.org", "Hello", BODY[:500])


def queue_mails(b: Bench, count: int) -> None:
    """So many mails of an application of sesq's."""
    b.outbox.send_many(
        Message(sender=sender, to=to, subject=subject, text=text)
        for sender, to, subject, text in map(_told, range(count))
    )


def _queue_rows(b: Bench, count: int) -> None:
    """The same as one batch, in the bulk lane."""
    template = Template(name="hello", subject="Hello", text=BODY[:500])
    rows = ({"email": f"person{number}@example.org"} for number in range(count))
    b.outbox.send_batch(template, rows, sender="Shop <shop@example.com>")


def _rq(b: Bench, count: int) -> None:
    queue = Queue(PLAIN_QUEUE, connection=b.redis, serializer=JSONSerializer)
    for number in range(count):
        queue.enqueue(send, number, 1, *_told(number), description="a mail")


def _nobody(_: Bench, _count: int) -> None:
    """The bare loop has no queue."""


WORKER = (
    "-m",
    "sesq.console",
    "worker",
    "--burst",
    "--processes",
    str(PROCESSES),
    "--concurrency",
    str(THREADS),
)
RQ_WORKER = (
    *("-m", "rq.cli", "worker", "--burst", "-q", "-S", "json", "-w", "rq.worker.SimpleWorker"),
    *("--url", "{url}", PLAIN_QUEUE),
)
SENDERS = (
    Sender(
        "bare boto3 loop",
        ("-m", "benchmarks.bare_loop", "{count}", str(THREADS)),
        _nobody,
        starts=PROCESSES,
        ends=True,
    ),
    Sender("sesq", WORKER, queue_mails, ends=True),
    Sender("sesq, a batch", WORKER, _queue_rows, ends=True),
    Sender("RQ's SimpleWorker", RQ_WORKER, _rq, starts=PROCESSES, ends=True, slow=True),
)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", type=float, default=1.0, help="so many times the usual number of mails")
    main(parser.parse_args().scale)
