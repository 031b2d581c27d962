"""What the benchmarks share: a Redis and a simulated SES of their own, processes measured by the kernel, tables."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table

from sesq.config.embedded import EmbeddedRedis
from sesq.producer import Message, Outbox
from sesq.queue.careful_redis import connect

PATIENCE_SECONDS = 120.0
ENDLESS = 1e6
"""Recipients a second and a day's worth: limits that nothing here meets."""


@dataclass(frozen=True)
class Cost:
    """One finished process: seconds by the clock, seconds of CPU, megabytes at its largest."""

    wall: float
    cpu: float
    peak_mb: float


class Bench:
    """A Redis and a SES, each in a process of its own."""

    def __init__(self, redis_url: str, ses_url: str) -> None:
        self.redis_url = redis_url
        self.ses_url = ses_url
        self.redis = connect(redis_url)
        self.outbox = Outbox(self.redis)
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("SESQ_", "AWS_"))},
            "SESQ_REDIS_URL": redis_url,
            "SESQ_LOG_LEVEL": "WARNING",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "bench",
            "AWS_SECRET_ACCESS_KEY": "bench",
            "AWS_ENDPOINT_URL_SESV2": ses_url,
        }

    def ses(self, method: str, path: str, body: Any = None) -> Any:
        """Returns a call of the simulator's control."""
        data = json.dumps(body).encode() if body is not None else b""
        request = urllib.request.Request(
            self.ses_url + path, data, {"content-type": "application/json"}, method=method
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.loads(answer.read() or b"null")

    def set_up(
        self, rate: float = ENDLESS, daily: float = -1, latency: float = 0.0, tenants: int = 0
    ) -> None:
        """An empty queue, and an account with these limits, and so many tenants, whose answers take so many seconds."""
        self.redis.flushall()
        self.ses("POST", "/_sim/reset")
        limits = {
            "production_access": True,
            "max_send_rate": rate,
            "max_24_hour_send": daily,
            "burst": max(1.0, rate),
        }
        self.ses("PUT", "/_sim/account", limits)
        self.ses("POST", "/_sim/identities/example.com/verify")
        for number in range(tenants):
            self.ses("POST", f"/_sim/tenants/{tenant_name(number)}")
        slow = {"probability": 1, "seconds": latency, "when": "after"}
        self.ses("PUT", "/_sim/faults", {"slow": slow} if latency else {})

    def queue(self, count: int, lane: str = "transactional", tenants: int = 0) -> None:
        """So many small mails, of so many tenants in turn; 0: of none."""
        self.outbox.send_many(mail(i, lane, i % tenants if tenants else None) for i in range(count))

    def run(self, *command: str, timeout: float = 900) -> Cost:
        """Returns a process from its start to its end. RuntimeError where it fails."""
        return finish(self.start(*command), timeout)

    def start(self, *command: str) -> subprocess.Popen[bytes]:
        """Returns a Python process with this bench's settings."""
        return subprocess.Popen([sys.executable, *command], env=self.environment, stdout=subprocess.DEVNULL)

    def now(self) -> float:
        """SES's clock, in seconds since the epoch."""
        return float(self.ses("GET", "/_sim/clock")["now"])

    def report(self) -> dict[str, Any]:
        """SES's own record."""
        report: dict[str, Any] = self.ses("GET", "/_sim/report")
        return report


def mail(number: int, lane: str = "transactional", tenant: int | None = None) -> Message:
    """Returns a small mail to somebody, of one of the tenants or of none."""
    to, named = f"person{number}@example.org", None if tenant is None else tenant_name(tenant)
    return Message(
        sender="Shop <shop@example.com>", to=to, subject="Hello", text="x" * 1000, lane=lane, tenant=named
    )


def tenant_name(number: int) -> str:
    return f"tenant-{number}"


def finish(process: subprocess.Popen[bytes], timeout: float = 900) -> Cost:
    """Waits for the end of a process, children that it waited for included."""
    started = time.monotonic()
    while (ended := os.wait4(process.pid, os.WNOHANG))[0] == 0:
        if time.monotonic() - started > timeout:
            process.kill()
            raise RuntimeError(f"not done after {timeout:g} s: {process.args}")
        time.sleep(0.005)
    process.returncode = os.waitstatus_to_exitcode(ended[1])
    if process.returncode:
        raise RuntimeError(f"{process.args} ended with status {process.returncode}")
    usage = ended[2]
    return Cost(time.monotonic() - started, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def less(cost: Cost, start: Cost) -> Cost:
    """Returns what a process has cost beyond its start."""
    return Cost(max(1e-9, cost.wall - start.wall), cost.cpu - start.cpu, cost.peak_mb)


def beside_the_first(
    names: Sequence[str], rounds: Sequence[Sequence[Cost]], count: int
) -> list[tuple[Any, ...]]:
    """Returns a row for each sender of `count` mails: name, CPU (ms) a mail, that above the first one's, mails a
    second, MB.

    Each figure is the median of all rounds. Differences are taken within a round, so that a machine whose speed drifts
    does not make them.
    """
    rows: list[tuple[Any, ...]] = []
    for name, costs in zip(names, zip(*rounds, strict=True), strict=True):
        cpu = [cost.cpu / count * 1000 for cost in costs]
        above = [own - of_first[0].cpu / count * 1000 for own, of_first in zip(cpu, rounds, strict=True)]
        pace = median(count / cost.wall for cost in costs)
        rows.append((name, median(cpu), median(above), pace, median(cost.peak_mb for cost in costs)))
    return rows


_servers: dict[str, str] = {}
"""URL -> the Redis that was measured with, and how it keeps its data: speeds depend on both."""


def describe(url: str) -> str:
    """`Valkey 9.1.2, append-only file (always)`."""
    with connect(url) as redis:
        info, config = redis.info("server"), redis.config_get("append*")
    version = info.get("valkey_version") or info["redis_version"]
    name = "Valkey" if "valkey_version" in info else "Redis"
    kept = f"append-only file ({config['appendfsync']})" if config["appendonly"] == "yes" else "not kept"
    return f"{name} {version}, {kept}"


@contextmanager
def bench() -> Iterator[Bench]:
    """Both servers, gone afterwards."""
    with (
        tempfile.TemporaryDirectory(prefix="sesq-bench-") as folder,
        EmbeddedRedis(Path(folder) / "redis") as redis,
    ):
        command = [sys.executable, "-m", "sesq.simulator", "--port", "0", "--production"]
        ses = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        try:
            assert ses.stdout is not None
            _servers[redis.url] = describe(redis.url)
            yield Bench(redis.url, ses.stdout.readline().split()[-1])
        finally:
            ses.terminate()
            ses.wait()


@contextmanager
def running(b: Bench, command: Sequence[str], count: int) -> Iterator[list[int]]:
    """So many processes of a command that does not end by itself; their ids."""
    workers = [b.start(*command) for _ in range(count)]
    try:
        yield [worker.pid for worker in workers]
    finally:
        for worker in workers:
            worker.kill()
            worker.wait()


def cpu_of(pids: Sequence[int]) -> float:
    """Seconds of CPU of running processes, so far; of Linux alone."""
    ticks = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def until(look: Callable[[], Any], what: str) -> Any:
    """Returns what `look` sees, once that is something. RuntimeError after five minutes."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (seen := look()):
        if time.monotonic() > deadline:
            raise RuntimeError(f"not within {PATIENCE_SECONDS:g} s: {what}")
        time.sleep(0.05)
    return seen


def show(
    title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]], notes: Sequence[str] = ()
) -> dict[str, Any]:
    """Prints a table; the same as JSON, with the machine it was measured on."""
    table = Table(*columns, title=title)
    for row in rows:
        table.add_row(*(_shown(cell) for cell in row))
    console = Console()
    console.print(table)
    servers = sorted(set(_servers.values()))
    for server in servers:
        console.print(f"  Redis: {server}", highlight=False)
    for note in notes:
        console.print(f"  {note}", highlight=False)
    machine = {"python": platform.python_version(), "machine": platform.machine(), "cores": os.cpu_count()}
    return {
        "title": title,
        **machine,
        "redis": servers,
        "rows": [dict(zip(columns, row, strict=True)) for row in rows],
        "notes": [*notes],
    }


def _shown(cell: Any) -> str:
    """Three digits of a fraction, all of a large number."""
    if not isinstance(cell, float):
        return str(cell)
    return f"{cell:,.0f}" if abs(cell) >= 1000 else f"{cell:.3g}"
