"""How long one call of sesq-sendmail takes, from its start to its end, with the mail in Redis."""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from typing import Any

from benchmarks.measure import bench, show
from sesq.queue.messages import Messages
from sesq.queue.states import State

CALLS = 40
TARGET_SECONDS = 0.4
MAIL = b"From: shop@example.com\nTo: ada@example.org\nSubject: Hello\n\n" + (b"x" * 50 + b"\n") * 20


def main(scale: float = 1.0) -> list[dict[str, Any]]:
    """RuntimeError where a mail is not in Redis."""
    calls = max(10, round(CALLS * scale))
    with bench() as b, tempfile.TemporaryDirectory() as folder:
        environment = {**b.environment, "SESQ_DATA_DIR": folder}
        seconds = sorted(_call(environment) for _ in range(calls))
        queued = Messages(b.redis).counts()[State.QUEUED]
    if queued != calls:
        raise RuntimeError(f"{calls} mails were sent, and {queued} are in Redis")
    middle, slowest = seconds[len(seconds) // 2], seconds[-1]
    reached = "reached" if middle <= TARGET_SECONDS else "NOT REACHED"
    note = f"wanted: at most {TARGET_SECONDS:g} s; {reached} by the median"
    return [
        show(
            "One call of sesq-sendmail",
            ("calls", "median s", "slowest s"),
            [(calls, middle, slowest)],
            [note],
        )
    ]


def _call(environment: dict[str, str]) -> float:
    start = time.perf_counter()
    command = [sys.executable, "-m", "sesq.producer.sendmail", "-t", "-i"]
    subprocess.run(command, env=environment, input=MAIL, check=True)
    return time.perf_counter() - start


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", type=float, default=1.0, help="so many times the usual number of calls")
    main(parser.parse_args().scale)
