"""How many mails a second one submission server takes, on one core, over twenty connections.

The server is one process with its usual log, held to one core where the system can; what it has said 250 to is counted
in Redis. The clients are another process, and write ready-made conversations: each command after the reply to the last.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from benchmarks.measure import Bench, bench, show
from sesq.queue.messages import Messages
from sesq.queue.states import State

TARGET_PER_SECOND = 500
BODY_LINES = 20
CONNECTIONS = 20
MAILS = 5000
ROUNDS = 3
COLUMNS = ("mails", "connections", "mails a second", "median ms", "99% ms")


def content(number: int) -> bytes:
    head = f"From: Shop <shop@example.com>\r\nTo: person{number}@example.org\r\nSubject: Order {number}\r\n"
    mime = "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"
    return (head + mime + ("x" * 50 + "\r\n") * BODY_LINES).encode()


async def connection(port: int, numbers: Iterator[int], seconds: list[float]) -> None:
    """One client that sends until there are no numbers left; RuntimeError for a reply that it did not hope for."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)

    async def hear(code: bytes) -> None:
        while (line := await reader.readline())[3:4] == b"-":
            pass
        if not line.startswith(code):
            raise RuntimeError(f"the server said {line!r}")

    async def say(words: bytes, code: bytes) -> None:
        writer.write(words)
        await hear(code)

    await hear(b"220")
    await say(b"EHLO benchmark\r\n", b"250")
    for number in numbers:
        start = time.perf_counter()
        await say(b"MAIL FROM:<shop@example.com>\r\n", b"250")
        await say(b"RCPT TO:<person%d@example.org>\r\n" % number, b"250")
        await say(b"DATA\r\n", b"354")
        await say(content(number) + b".\r\n", b"250")
        seconds.append(time.perf_counter() - start)
    await say(b"QUIT\r\n", b"221")
    writer.close()


async def load(port: int, mails: int, connections: int = CONNECTIONS) -> tuple[int, int, float, float, float]:
    """A row: mails a second, and how long one took from MAIL to its 250."""
    numbers, seconds = iter(range(mails)), list[float]()
    start = time.perf_counter()
    await asyncio.gather(*(connection(port, numbers, seconds) for _ in range(connections)))
    took = time.perf_counter() - start
    seconds.sort()
    middle, late = (seconds[len(seconds) * share // 100] * 1000 for share in (50, 99))
    return mails, connections, mails / took, middle, late


@contextmanager
def running_server(b: Bench) -> Iterator[int]:
    """`sesq submission` on one core; its port."""
    command = [sys.executable, "-m", "sesq.console", "submission", "--port", "0"]
    environment = {**b.environment, "SESQ_LOG_LEVEL": "INFO"}
    process = subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(process.pid, {min(os.sched_getaffinity(0))})
    assert process.stdout is not None
    try:
        yield int(process.stdout.readline().rpartition(":")[2])
    finally:
        process.terminate()
        process.wait(timeout=20)


def main(scale: float = 1.0) -> list[dict[str, Any]]:
    """RuntimeError where a mail that was answered with 250 is not in Redis."""
    mails = round(MAILS * scale)
    with bench() as b, running_server(b) as port:
        asyncio.run(load(port, mails // 10))
        b.redis.flushall()
        rows = [asyncio.run(load(port, mails)) for _ in range(ROUNDS)]
        queued = Messages(b.redis).counts()[State.QUEUED]
    if queued != mails * ROUNDS:
        raise RuntimeError(f"{mails * ROUNDS} mails were taken, and {queued} are in Redis")
    reached = min(row[2] for row in rows) >= TARGET_PER_SECOND
    note = f"wanted: {TARGET_PER_SECOND} a second; {'reached' if reached else 'NOT REACHED'} in every round"
    return [show("submission server on one core", COLUMNS, rows, [note])]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", type=float, default=1.0, help="so many times the usual number of mails")
    main(parser.parse_args().scale)
