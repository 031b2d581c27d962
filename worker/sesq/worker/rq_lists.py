"""What stands in RQ's queues and registries of an account: page by page, however long they are."""

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
"""RQ keeps the entry of a run this much longer than until the next heartbeat of a living worker is due."""


class Ids:
    """A set of ids, of which there may be millions: 8 bytes each. Two that look alike are one in 10^13 times."""

    def __init__(self, ids: Iterable[bytes]) -> None:
        self._hashes = array("q", sorted(map(hash, ids)))

    def __contains__(self, id: bytes) -> bool:
        wanted = hash(id)
        place = bisect_left(self._hashes, wanted)
        return place < len(self._hashes) and self._hashes[place] == wanted


def standing(redis: Redis, keys: Keys) -> Iterator[bytes]:
    """Yields what is in the lanes, or in the hands of RQ's own workers."""
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
    """Takes out what RQ's own workers had in hand when they were killed. The ids, of sesq's jobs alone."""
    ids: set[str] = set()
    for queue in queues_of(redis, keys):
        ids |= _clear_intermediate(redis, queue)
        ids |= _clear_runs(redis, keys, queue, now)
    return ids


def _clear_intermediate(redis: Redis, queue: str) -> set[str]:
    """Returns what a worker was taking out, as RQ's own maintenance does after a minute."""
    taken, ids = IntermediateQueue(rq_key("queue", queue), redis), set()
    for id in taken.get_job_ids():
        if not taken.set_first_seen(id) and taken.should_be_cleaned_up(id):
            taken.remove(id)
            redis.delete(taken.get_first_seen_key(id))
            ids.add(id)
    return ids


def _clear_runs(redis: Redis, keys: Keys, queue: str, now: float) -> set[str]:
    """Returns what a worker ran that has missed its heartbeat.

    The runs of sesq's own workers have no end in RQ's books.
    """
    wip = rq_key("wip", queue)
    late = cast("list[bytes]", redis.zrangebyscore(wip, -math.inf, now + HEARTBEAT_SECONDS, 0, PAGE))
    runs = {text(run): text(run).rpartition(":")[0] for run in late}
    ours = {run: id for run, id in runs.items() if redis.exists(keys.message(id), keys.chunk(id))}
    if ours:
        redis.zrem(wip, *ours)
    return set(ours.values())


def _entries(redis: Redis, key: str) -> Iterator[bytes]:
    """Yields a whole list. From its end: what is taken from its head, or added to its end meanwhile, makes no gap."""
    last = -1
    while page := cast("list[bytes]", redis.lrange(key, last - PAGE + 1, last)):
        yield from page
        last -= PAGE
