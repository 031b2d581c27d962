"""A batch whose hash is lost, or fields of it, while its chunks are here: what it has to have is written anew.

It waits for a person then, as nobody knows whether somebody had stopped it. That all its rows are here is not known
either: whoever queues it again adds what is missing.
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
    """Returns those without which a batch cannot be judged, and that are not there, or cannot be read."""
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
    """Returns the numbers of its chunks: as its hash has them, or else as their keys are named."""
    told = Fields(fields).count("chunks", MOST_CHUNKS)
    if told is not None:
        return range(told)
    names = (key.rpartition("-")[2] for key in keys_like(redis, keys.chunk(f"{id}-*")))
    return sorted({int(name) for name in names if name.isdecimal() and int(name) < MOST_CHUNKS})


def rebuild(redis: Redis, keys: Keys, id: str) -> list[str]:
    """Returns what was done, in words. Its counts and its lists are for `mend_batch.lua`, once it is there."""
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
    """Returns what each lost field becomes."""
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
