"""Batches: how fast rows are taken, what a recipient costs in Redis and in CPU, how soon a million can be looked at."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.measure import Bench, Cost, bench, beside_the_first, less, show

THREADS = 16
ROWS = 1_000_000
SENT = 10_000
ROUNDS = 7


def main(scale: float = 1.0) -> list[dict[str, Any]]:
    """Returns all tables."""
    with bench() as b, tempfile.TemporaryDirectory(prefix="sesq-bench-") as folder:
        return [take_in(b, Path(folder), round(ROWS * scale)), sending(b, Path(folder), round(SENT * scale))]


def take_in(b: Bench, folder: Path, rows: int) -> dict[str, Any]:
    """`sesq batch send` of so many rows: the file is read twice, once to check all of it and once to queue it."""
    b.set_up()
    before = _memory(b)
    cost = b.run(*_command("send", folder, rows))
    each = (_memory(b) - before) / rows
    (batch,) = json.loads(_output(b, "list", "--json"))
    started = time.monotonic()
    _output(b, "show", batch["id"], "--json")
    shown = time.monotonic() - started
    table = [(rows, cost.wall, cost.cpu, cost.peak_mb, each, shown)]
    columns = (
        "rows",
        "seconds to take",
        "of CPU",
        "MB at most",
        "bytes of Redis a recipient",
        "seconds of `batch show`",
    )
    return show("A CSV is taken in", columns, table)


def sending(b: Bench, folder: Path, count: int) -> dict[str, Any]:
    """SES answers at once; CPU a recipient, the start of the process taken off. Medians of rounds of both in turn."""
    rounds, memory = [], []
    for _ in range(ROUNDS):
        b.set_up()
        start = b.run("-m", "benchmarks.bare_loop", "0", str(THREADS))
        bare = less(b.run("-m", "benchmarks.bare_loop", str(count), str(THREADS)), start)
        ours, each = _sesq(b, folder, count)
        rounds.append((bare, ours))
        memory.append(each)
    bare_row, our_row = beside_the_first(("bare boto3 loop", "sesq worker, a batch"), rounds, count)
    columns = (
        "sender",
        "CPU ms a recipient",
        "above the bare loop",
        "a second",
        "MB",
        "bytes of Redis, finished",
    )
    rows = [(*bare_row, ""), (*our_row, median(memory))]
    return show("A batch is sent; SES answers at once", columns, rows)


def _sesq(b: Bench, folder: Path, count: int) -> tuple[Cost, float]:
    """Returns what a batch costs one worker, and how many bytes of Redis a recipient that is done."""
    worker = ("-m", "sesq.console", "worker", "--burst", "--concurrency", str(THREADS))
    b.set_up()
    b.run(*worker)  # the account is known from here on
    start = b.run(*worker)
    before = _memory(b)
    b.run(*_command("send", folder, count))
    cost = less(b.run(*worker), start)
    b.run(*worker)  # the last chunk is packed now
    sent = b.report()["accepted"]
    if sent != count:
        raise RuntimeError(f"{sent} of {count} were sent")
    return cost, (_memory(b) - before) / count


def _command(action: str, folder: Path, rows: int) -> tuple[str, ...]:
    template = folder / "news"
    template.mkdir(exist_ok=True)
    (template / "subject.txt").write_text("Hello {{ name }}")
    (template / "body.txt").write_text("Hello {{ name }}, the new {{ tea }} is here.\n" + "x" * 950)
    path = folder / f"{rows}.csv"
    if not path.exists():
        with path.open("w") as file:
            file.write("email,name,tea\n")
            file.writelines(f"person{i}@example{i % 977}.org,Person {i},Tea {i % 31}\n" for i in range(rows))
    return ("-m", "sesq.console", "batch", action, str(template), str(path), "--from", "shop@example.com")


def _output(b: Bench, *command: str) -> str:
    words = [sys.executable, "-m", "sesq.console", "batch", *command]
    return subprocess.run(words, env=b.environment, capture_output=True, text=True, check=True).stdout


def _memory(b: Bench) -> int:
    return int(b.redis.info("memory")["used_memory"])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", type=float, default=1.0, help="so many times the usual number of rows")
    main(parser.parse_args().scale)
