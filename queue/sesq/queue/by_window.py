"""Counts recipients that wait, by their send windows."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

from redis import Redis

from sesq.config.connection import mapped
from sesq.queue.fields import Fields
from sesq.queue.keys import Keys
from sesq.queue.replies import text, texts
from sesq.queue.window_forecast import Waiting
from sesq.queue.windows import openings_of

MOST_READ = 10_000
"""How many jobs are read; each further job of a queue counts as one recipient."""
WINDOW_OF_CHUNK = "window"

ByWindow = Counter[str]
"""Send window -> recipients of chunks with it; "": of chunks without a window of their own."""


def groups(counts: Mapping[str, int], account_window: str) -> list[Waiting]:
    """Returns groups of recipients of bulk mail, each with the times at which it may go."""
    return [Waiting(count, openings_of([account_window, window])) for window, count in counts.items()]


def cut(counts: ByWindow, most: int) -> ByWindow:
    """Returns the first `most` recipients."""
    found: ByWindow = Counter()
    for window, count in counts.items():
        found[window] = max(0, min(count, most - found.total()))
    return +found


def of_jobs(redis: Redis, keys: Keys, ids: Sequence[str]) -> ByWindow:
    """Counts the recipients that wait in jobs: in chunks of running batches, and one for each message."""
    chunks = [id for id in ids if id.count("-") == 1]
    batches = {id.partition("-")[0] for id in chunks}
    pipeline = redis.pipeline(transaction=False)
    for batch in batches:
        pipeline.hget(keys.batch(batch), "state")
    states = pipeline.execute()
    going = {batch for batch, state in zip(batches, states, strict=True) if state == b"running"}
    counts: ByWindow = Counter({"": len(ids) - len(chunks)})
    for _, window, left in _read_chunks(redis, keys, [id for id in chunks if id.partition("-")[0] in going]):
        counts[window] += left
    return +counts


def waiting_by_window(redis: Redis, account: str, batch: str, chunks: int) -> ByWindow:
    """Counts the recipients that wait in a batch's chunks, by window; of a huge batch, in its first chunks only."""
    ids = [f"{batch}-{k}" for k in range(min(chunks, MOST_READ))]
    counts: ByWindow = Counter()
    with mapped():
        for _, window, left in _read_chunks(redis, Keys(account), ids):
            counts[window] += left
    return counts


def outside_by_batch(redis: Redis, account: str) -> dict[str, ByWindow]:
    """Counts the recipients that wait until a send window opens, by batch and by window."""
    keys = Keys(account)
    found: dict[str, ByWindow] = {}
    with mapped():
        waiting = texts(redis.zrange(keys.windowed, 0, MOST_READ - 1))
        for chunk, window, left in _read_chunks(redis, keys, waiting):
            found.setdefault(chunk.partition("-")[0], Counter())[window] += left
    return found


def _read_chunks(redis: Redis, keys: Keys, ids: Iterable[str]) -> Iterator[tuple[str, str, int]]:
    """Yields each chunk, its window, and how many of its recipients wait."""
    ids = list(ids)
    pipeline = redis.pipeline(transaction=False)
    for id in ids:
        pipeline.hmget(keys.chunk(id), WINDOW_OF_CHUNK, "n", "cursor", "redo")
    for id, (window, *numbers) in zip(ids, pipeline.execute(), strict=True):
        yield id, text(window), _left(*numbers)


def _left(n: bytes | None, cursor: bytes | None, redo: bytes | None) -> int:
    """Counts the rows of a chunk that were not granted yet, or were put back."""
    runs = re.findall(r"(\d+)-(\d+)", text(redo))
    return whole(n) - whole(cursor) + sum(int(end) - int(start) for start, end in runs)


def whole(reply: object) -> int:
    """Reads a whole number; 0 if it is none."""
    return Fields({"": text(reply)}).whole("")
