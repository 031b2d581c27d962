"""Reads RQ's queues and registries of an account page by page, however long they are."""

from __future__ import annotations

import math
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from typing import cast

from redis import Redis
from rq.intermediate_queue import IntermediateQueue

from sesq.queue.job import rq_key
from sesq.queue.keys import Keys
from sesq.queue.replies import text
from sesq.queue.shares import queues_of

PAGE = 5000
HEARTBEAT_SECONDS = 60
"""RQ keeps the entry of a run so much longer than the next heartbeat of its worker is due."""


class Ids:
    """Holds a set of millions of ids in 8 bytes each. Two ids look equal about once in 10^13 cases."""

    def __init__(self, ids: Iterable[bytes]) -> None:
        self._hashes = array("q", sorted(map(hash, ids)))

    def __contains__(self, id: bytes) -> bool:
        wanted = hash(id)
        place = bisect_left(self._hashes, wanted)
        return place < len(self._hashes) and self._hashes[place] == wanted


def standing(redis: Redis, keys: Keys) -> Iterator[bytes]:
    """Yields the jobs that are in the lanes, or that stock RQ workers have."""
    for queue in queues_of(redis, keys):
        yield from _standing_in(redis, keys, queue)
    for entry in registered(redis, keys, "wip"):
        yield entry.rpartition(b":")[0]


def _standing_in(redis: Redis, keys: Keys, queue: str) -> Iterator[bytes]:
    stale = Ids(cast("Iterator[bytes]", redis.sscan_iter(keys.stale(queue), count=PAGE)))
    key = rq_key("queue", queue)
    for each in (key, f"{key}:intermediate"):
        yield from (id for id in _entries(redis, each) if id not in stale)


def registered(redis: Redis, keys: Keys, name: str) -> Iterator[bytes]:
    """Yields the jobs in a registry of all lanes, and of tenants' queues, since RQ's tools may put jobs there."""
    for queue in queues_of(redis, keys):
        for id, _ in redis.zscan_iter(rq_key(name, queue), count=PAGE):
            yield id


def take_from_the_dead(redis: Redis, keys: Keys, now: float) -> set[str]:
    """Removes the jobs that stock RQ workers had when they were killed. Returns the ids of sesq's jobs."""
    ids: set[str] = set()
    for queue in queues_of(redis, keys):
        ids |= _clear_intermediate(redis, queue)
        ids |= _clear_runs(redis, keys, queue, now)
    return ids


def _clear_intermediate(redis: Redis, queue: str) -> set[str]:
    """Removes jobs that a worker has been taking out for a minute, as RQ's maintenance does. Returns their ids."""
    taken, ids = IntermediateQueue(rq_key("queue", queue), redis), set()
    for id in taken.get_job_ids():
        if not taken.set_first_seen(id) and taken.should_be_cleaned_up(id):
            taken.remove(id)
            redis.delete(taken.get_first_seen_key(id))
            ids.add(id)
    return ids


def _clear_runs(redis: Redis, keys: Keys, queue: str, now: float) -> set[str]:
    """Removes the runs of a worker that has missed its heartbeat. Returns the ids of sesq's jobs among them.

    The runs of sesq's own workers have no end in RQ's registry.
    """
    wip = rq_key("wip", queue)
    late = cast("list[bytes]", redis.zrangebyscore(wip, -math.inf, now + HEARTBEAT_SECONDS, 0, PAGE))
    runs = {text(run): text(run).rpartition(":")[0] for run in late}
    ours = {run: id for run, id in runs.items() if redis.exists(keys.message(id), keys.chunk(id))}
    if ours:
        redis.zrem(wip, *ours)
    return set(ours.values())


def _entries(redis: Redis, key: str) -> Iterator[bytes]:
    """Yields a whole list from its end, so that entries that others remove or add meanwhile make no gap."""
    last = -1
    while page := cast("list[bytes]", redis.lrange(key, last - PAGE + 1, last)):
        yield from page
        last -= PAGE
