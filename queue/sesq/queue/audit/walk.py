"""Reads long keys of Redis in bounded steps: no command here takes or returns more than some thousand entries."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TypeVar, cast

from redis import Redis

from sesq.queue.replies import text, texts

Item = TypeVar("Item")

STEP = 1000
"""How many entries of a key, or of the keyspace, one command reads."""


def keys_like(redis: Redis, pattern: str) -> Iterator[str]:
    """Returns the names of all keys that match. A name may come twice."""
    return (text(each) for each in redis.scan_iter(pattern, count=STEP))


def zset_entries(redis: Redis, key: str) -> Iterator[str]:
    """Returns the entries of a sorted set. An entry may come twice."""
    return (entry for entry, _ in zset_scores(redis, key))


def zset_scores(redis: Redis, key: str) -> Iterator[tuple[str, float]]:
    """Returns the entries of a sorted set with their scores. An entry may come twice."""
    return ((text(entry), float(score)) for entry, score in redis.zscan_iter(key, count=STEP))


def set_entries(redis: Redis, key: str) -> Iterator[str]:
    """Returns the entries of a set. An entry may come twice."""
    return (text(entry) for entry in redis.sscan_iter(key, count=STEP))


def hash_fields(redis: Redis, key: str) -> Iterator[str]:
    """Returns the names of the fields of a hash. A name may come twice."""
    return (text(field) for field, _ in redis.hscan_iter(key, count=STEP))


def list_entries(redis: Redis, key: str) -> Iterator[str]:
    """Yields the entries of a list, the last first.

    So it misses none that stays in the list while others leave at the head.
    """
    last = -1
    while window := texts(cast("list[bytes]", redis.lrange(key, last - STEP + 1, last))):
        yield from reversed(window)
        last -= STEP


def pages(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """Yields the items in lists of `size`."""
    rest = iter(items)
    while page := list(islice(rest, size)):
        yield page
