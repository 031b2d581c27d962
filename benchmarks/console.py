"""How long the web console takes with a million messages: pages, searches step by step, and the report of a batch."""

from __future__ import annotations

import argparse
import html
import re
import tempfile
import time
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from statistics import median
from typing import Any
from urllib.parse import urlencode

from benchmarks.console_pile import Pile, fill
from benchmarks.measure import Bench, bench, cpu_of, running, show, until
from sesq.console.times import utc

MESSAGES, ROWS = 900_000, 100_000
ROUNDS, REPORTS = 20, 5
PORT = 19_796
SITE = f"http://127.0.0.1:{PORT}"
AT = f"{SITE}/accounts/default"
LIMIT_MS = 200
PAUSES = {"sandbox": 1.1}
"""Seconds between two visits of a page that asks SES: SES answers one such question a second."""


def main(scale: float = 1.0) -> list[dict[str, Any]]:
    """Returns all tables."""
    with bench() as b, tempfile.TemporaryDirectory(prefix="sesq-bench-") as folder:
        b.set_up(rate=14, daily=50_000)
        pile = fill(b, round(MESSAGES * scale), round(ROWS * scale))
        with running(b, ("-m", "sesq.console", "console", "--port", str(PORT)), 1) as (pid,):
            until(_is_up, "the console answers")
            return [
                pages(b, pile, pid, scale),
                searches(b, pile, pid, scale),
                reports(b, pile, pid, Path(folder)),
            ]


def pages(b: Bench, pile: Pile, pid: int, scale: float) -> dict[str, Any]:
    """Returns each page many times, by HTTP, from one process."""
    rows = [(name, *_measure(b, url, pid, PAUSES.get(name, 0))) for name, url in _pages(pile).items()]
    note = (
        f"{(MESSAGES + ROWS) * scale:,.0f} messages; an answer is to take at most {LIMIT_MS} ms; on a machine that is "
        "busy with something else, look at the CPU: the console's, and that of Redis"
    )
    return show(
        "The web console's pages",
        ("page", "median ms", "slowest ms", "CPU ms", "of Redis", "kB"),
        rows,
        [note],
    )


def _pages(pile: Pile) -> dict[str, str]:
    older = re.search(r'rel="next" href="([^"]+)"', _get(f"{AT}/messages").decode())
    names = ("quota", "identities", "test", "suppression", "reputation", "webhooks", "sandbox", "activity")
    return {
        "overview": f"{AT}/overview",
        "messages": f"{AT}/messages",
        "messages, the second page": f"{SITE}{html.unescape(older[1])}" if older else f"{AT}/messages",
        "messages that are held": f"{AT}/messages?state=held",
        "one message": f"{AT}/messages/{pile.id}",
        "one recipient of a batch": f"{AT}/messages/{pile.batch}-{pile.rows // 1000}-7",
        "batches": f"{AT}/batches",
        "one batch": f"{AT}/batches/{pile.batch}",
        **{name: f"{AT}/{name}" for name in names},
        "metrics": f"{SITE}/metrics",
    }


def searches(b: Bench, pile: Pile, pid: int, scale: float) -> dict[str, Any]:
    """Returns each search as a browser continues it, to its end."""
    rows = [(name, *_search(b, given, pid)) for name, given in _searches(pile).items()]
    columns = (
        "search",
        "steps",
        "first ms",
        "median ms",
        "slowest ms",
        "seconds",
        "CPU s",
        "of Redis",
        "looked at",
    )
    return show("Searches", columns, rows, [f"{(MESSAGES + ROWS) * scale:,.0f} messages"])


def _searches(pile: Pile) -> dict[str, Mapping[str, str]]:
    nobody = "0100018bcfe56800-0123abcd-5678-4abc-8def-0123456789ab-000000"
    times = {"since": utc(pile.middle - 60) or "", "until": utc(pile.middle + 60) or ""}
    return {
        "recipient": {"q": "person77@example.org"},
        "recipient, of a batch": {"q": f"reader{pile.rows // 2}@"},
        "recipient, none": {"q": "nobody@example.net"},
        "MessageId": {"message_id": pile.message_id},
        "MessageId, of a batch": {"message_id": pile.message_id_of_row},
        "MessageId, none": {"message_id": nobody},
        "subject": {"subject": "order 77"},
        "subject, of a batch": {"subject": f"bern {pile.rows // 2}"},
        "subject, none": {"subject": "no such words"},
        "tag, none": {"tag": "kind=none"},
        "two minutes": times,
        "two minutes, recipient, none": {"q": "nobody@example.net", **times},
        "state": {"state": "failed"},
    }


def _search(b: Bench, given: Mapping[str, str], pid: int) -> tuple[Any, ...]:
    times: list[float] = []
    before, address = _spent(b, pid), f"{AT}/messages?{urlencode(given)}"
    while address:
        started = time.perf_counter()
        page = _get(address).decode()
        times.append((time.perf_counter() - started) * 1000)
        going_on = re.search(r'data-goes-on rel="next" href="([^"]+)"', page)
        address = f"{SITE}{html.unescape(going_on[1])}" if going_on else ""
    looked = re.search(r"Looked through ([\d,]+)", page)
    cpu, of_redis = (now - then for now, then in zip(_spent(b, pid), before, strict=True))
    figures = (len(times), times[0], median(times), max(times), sum(times) / 1000, cpu, of_redis)
    return *figures, looked[1] if looked else "-"


def reports(b: Bench, pile: Pile, pid: int, folder: Path) -> dict[str, Any]:
    """Returns a batch's report over the web and at the command line, by turns; medians."""
    web, line = [], []
    file = folder / "report.csv"
    for _ in range(REPORTS):
        before, started = cpu_of([pid]), time.perf_counter()
        size = len(_get(f"{AT}/batches/{pile.batch}/report.csv"))
        web.append((time.perf_counter() - started, cpu_of([pid]) - before))
        cost = b.run("-m", "sesq.console", "batch", "report", pile.batch, "--output", str(file))
        line.append((cost.wall, cost.cpu))
        if file.stat().st_size != size:
            raise RuntimeError("the two reports are not the same")
    rows = [
        (name, *(median(column) for column in zip(*costs, strict=True)))
        for name, costs in (("web", web), ("command line, with its start", line))
    ]
    note = f"a batch of {pile.rows:,} recipients; the CPU is that of the process alone, without Redis"
    return show("A batch's report", ("from", "seconds", "CPU s"), rows, [note])


def _measure(b: Bench, url: str, pid: int, pause: float) -> tuple[float, ...]:
    size, times, before = len(_get(url)), [], _spent(b, pid)
    for _ in range(ROUNDS):
        time.sleep(pause)
        started = time.perf_counter()
        _get(url)
        times.append((time.perf_counter() - started) * 1000)
    spent = [(now - then) / ROUNDS * 1000 for now, then in zip(_spent(b, pid), before, strict=True)]
    return median(times), max(times), *spent, size / 1000


def _spent(b: Bench, pid: int) -> tuple[float, float]:
    """Seconds of CPU that the console and Redis have taken so far."""
    of_redis = b.redis.info("cpu")
    return cpu_of([pid]), of_redis["used_cpu_user"] + of_redis["used_cpu_sys"]


def _get(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=60) as answer:
        return bytes(answer.read())


def _is_up() -> bool:
    try:
        return bool(_get(f"{SITE}/login"))
    except OSError:
        return False


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", type=float, default=1.0, help="so many times a million messages")
    main(parser.parse_args().scale)
