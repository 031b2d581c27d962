"""How long the web console's pages take with a million messages: each page many times, by HTTP, from one process."""

from __future__ import annotations

import argparse
import json
import re
import statistics
import time
import urllib.request
from typing import Any

from benchmarks.measure import Bench, bench, mail, running, show, until
from sesq.queue.keys import Keys
from sesq.queue.snapshot import redis_now
from sesq.queue.states import State

MESSAGES = 1_000_000
HELD_FOR = 5000
"""Recipients that messages wait for."""
ROUNDS = 20
SHARES = {State.SENT: 0.9, State.QUEUED: 0.08, State.HELD: 0.01, State.FAILED: 0.01}
PORT = 19_796
LIMIT_MS = 200
CHUNK = 5000


def main(scale: float = 1.0) -> list[dict[str, Any]]:
    """One table: a row a page."""
    count = round(MESSAGES * scale)
    with bench() as b:
        b.set_up(rate=14, daily=50_000)
        id = _fill(b, count)
        with running(b, ("-m", "sesq.console", "console", "--port", str(PORT)), 1):
            site = f"http://127.0.0.1:{PORT}"
            until(lambda: _is_up(site), "the console answers")
            rows = [(name, *_measure(site + path)) for name, path in _pages(id, site).items()]
    note = f"{count:,} messages; a page is to take at most {LIMIT_MS} ms"
    return [show("The web console's pages", ("page", "median ms", "slowest ms", "kB"), rows, [note])]


def _pages(id: str, site: str) -> dict[str, str]:
    at = "/accounts/default"
    older = re.search(r'rel="next" href="([^"]+)"', _get(f"{site}{at}/messages").decode())
    return {
        "overview": f"{at}/overview",
        "messages": f"{at}/messages",
        "messages, the second page": older[1].replace("&amp;", "&") if older else f"{at}/messages",
        "messages, by state": f"{at}/messages?state=held",
        "messages, by recipient (not among the newest)": f"{at}/messages?q=nobody@example.net",
        "messages, by tag (not among the newest)": f"{at}/messages?tag=kind=none",
        "one message": f"{at}/messages/{id}",
        "quota": f"{at}/quota",
        "identities": f"{at}/identities",
        "batches": f"{at}/batches",
        "suppression": f"{at}/suppression",
        "metrics": "/metrics",
    }


def _fill(b: Bench, count: int) -> str:
    """One message is queued as usual; the others are copies of what that wrote, straight into Redis. Its id."""
    id = b.outbox.send(mail(0))
    keys, now = Keys("default"), redis_now(b.redis)
    record = {name.decode(): value.decode() for name, value in b.redis.hgetall(keys.message(id)).items()}
    number = 0
    for state, share in SHARES.items():
        for start in range(0, round(count * share), CHUNK):
            pipeline = b.redis.pipeline(transaction=False)
            batch = range(start, min(start + CHUNK, round(count * share)))
            ids = [f"{number + i:032x}" for i in range(len(batch))]
            for each in ids:
                number += 1
                fields = {**record, "state": state.value, "history": json.dumps([now, state.value, ""])}
                if state is State.HELD:
                    fields["hold"] = f"recipient:person{number % HELD_FOR}@example.org"
                    pipeline.zadd(keys.hold(fields["hold"]), {each: now})
                    pipeline.hset(keys.holds, fields["hold"], "recipient is not verified")
                pipeline.hset(keys.message(each), mapping=fields)
            pipeline.zadd(keys.state(state), {each: now - count + int(each, 16) / 100 for each in ids})
            if state is State.QUEUED:
                pipeline.rpush(f"rq:queue:{record['queue']}", *ids)
            pipeline.execute()
    return id


def _measure(url: str) -> tuple[float, float, float]:
    size, times = len(_get(url)), []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        _get(url)
        times.append((time.perf_counter() - start) * 1000)
    return statistics.median(times), max(times), size / 1000


def _get(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=60) as answer:
        return bytes(answer.read())


def _is_up(site: str) -> bool:
    try:
        return bool(_get(f"{site}/login"))
    except OSError:
        return False


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", type=float, default=1.0, help="so many times a million messages")
    main(parser.parse_args().scale)
