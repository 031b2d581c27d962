"""Mends a batch that has lost its hash or fields of it, but still has chunks: writes the required fields anew.

The batch is then paused, because somebody may have stopped it before. Rows of it may be missing, too: to queue the same
batch again adds those.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from redis import Redis
from redis.exceptions import WatchError

from sesq.queue.audit.walk import keys_like
from sesq.queue.chunks import MOST_CHUNKS
from sesq.queue.fields import Fields
from sesq.queue.job import KEEP_SECONDS
from sesq.queue.keys import Keys
from sesq.queue.replies import read_hash
from sesq.queue.snapshot import redis_now
from sesq.queue.states import Lane

REASON = "its state in Redis was lost; see that nobody had stopped it, then resume it"


def lost_fields(fields: Mapping[str, str]) -> list[str]:
    """Returns the required fields of a batch that are missing or cannot be read."""
    read = Fields(fields)
    there = {
        "state": bool(fields.get("state")),
        "chunks": read.count("chunks", MOST_CHUNKS) is not None,
        "filled": fields.get("filled") in ("0", "1"),
        "created": read.optional("created") is not None,
        "keep": read.optional("keep") is not None,
        "queue": bool(fields.get("queue")),
    }
    return [name for name, is_there in there.items() if not is_there]


def chunk_numbers(redis: Redis, keys: Keys, id: str, fields: Mapping[str, str]) -> Collection[int]:
    """Returns the numbers of its chunks, from its hash, or else from the names of their keys."""
    told = Fields(fields).count("chunks", MOST_CHUNKS)
    if told is not None:
        return range(told)
    names = (key.rpartition("-")[2] for key in keys_like(redis, keys.chunk(f"{id}-*")))
    return sorted({int(name) for name in names if name.isdecimal() and int(name) < MOST_CHUNKS})


def rebuild(redis: Redis, keys: Keys, id: str) -> list[str]:
    """Writes the lost fields. Returns what was done, in words. `mend_batch.lua` then mends its counts and lists."""
    key = keys.batch(id)
    with redis.pipeline() as pipeline:
        pipeline.watch(key)  # type: ignore[no-untyped-call]
        fields = read_hash(redis, key)
        lost, numbers = lost_fields(fields), chunk_numbers(redis, keys, id, fields)
        if not lost or not (fields or numbers):
            return []
        plain = _plain(redis, keys, id, fields, numbers)
        pipeline.multi()
        pipeline.hset(key, mapping={name: plain[name] for name in lost})
        if "state" in lost:
            pipeline.hset(key, "reason", REASON)
        pipeline.hdel(keys.damaged, key)
        try:
            pipeline.execute()
        except WatchError:  # it is in use; the next look will tell
            return []
    return [f"{name} is {plain[name]}" for name in lost]


def _plain(
    redis: Redis, keys: Keys, id: str, fields: Mapping[str, str], numbers: Collection[int]
) -> dict[str, str | float]:
    """Returns a value for each field that may be lost."""
    begun = redis.zscore(keys.batches, id)
    ended = "cancelled" if Fields(fields).whole("n:cancelled") else "done"
    return {
        "state": ended if "ended" in fields else "paused",
        "chunks": max(numbers, default=-1) + 1,
        "filled": 1 if "ended" in fields else 0,
        "created": redis_now(redis) if begun is None else begun,
        "keep": KEEP_SECONDS,
        "queue": keys.queue(Lane.BULK),
    }
