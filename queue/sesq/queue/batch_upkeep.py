"""Does the upkeep of batches, once a second: starts batches that are due, packs results, lets ended ones expire."""

from __future__ import annotations

from typing import cast

from redis import Redis

from sesq.config.connection import mapped
from sesq.config.errors import UnknownBatch, WrongState
from sesq.queue.batches import Batches
from sesq.queue.chunks import pack_results
from sesq.queue.keys import Keys
from sesq.queue.replies import texts
from sesq.queue.scripts import JOBS, MESSAGES, compose
from sesq.queue.snapshot import redis_now

KEEP = compose("keep.lua", MESSAGES)
PACK = compose("pack.lua", JOBS)

START_AT_ONCE, PACK_AT_ONCE = 10, 50


def tend_batches(redis: Redis, account: str) -> None:
    """Does a small part of all upkeep. Raises QueueUnavailable."""
    with mapped():
        _start_due(redis, account)
        KEEP.run(redis, account)
        _pack(redis, account)


def _start_due(redis: Redis, account: str) -> None:
    """Starts the batches that were paused until a time which has come."""
    keys, batches = Keys(account), Batches(redis, account)
    due = redis.zrangebyscore(keys.starting, "-inf", redis_now(redis), 0, START_AT_ONCE)
    for id in texts(cast("list[bytes]", due)):
        _start(batches, id)


def _start(batches: Batches, id: str) -> None:
    try:
        batches.resume(id)
    except (UnknownBatch, WrongState):  # Redis has lost it, or somebody was faster
        batches.redis.zrem(batches.keys.starting, id)


def _pack(redis: Redis, account: str) -> None:
    """Packs the results of each finished chunk into one small string."""
    keys = Keys(account)
    for chunk in texts(cast("list[bytes]", redis.srandmember(keys.unpacked, PACK_AT_ONCE))):
        taken = cast("bytes", redis.get(keys.log(chunk)) or b"")
        before = cast("bytes", redis.get(keys.results(chunk)) or b"")
        PACK.run(redis, account, chunk, len(taken), pack_results(taken, before))
