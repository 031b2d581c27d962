"""Finds RQ's queues: one for each lane of an account, and in a lane, one for each tenant with mail. They take turns."""

from __future__ import annotations

import math
import re
from typing import cast

from redis import Redis
from rq import Queue

from sesq.config.account_names import ACCOUNT_NAME
from sesq.queue.job import rq_key
from sesq.queue.keys import Keys
from sesq.queue.replies import text, texts
from sesq.queue.states import Lane

AT_ONCE = 1000
_QUEUE = re.compile(
    rf"(?P<whole>sesq\.(?P<account>{ACCOUNT_NAME})\.(?P<lane>{'|'.join(Lane)}))(\.(?P<tenant>[\w-]+))?"
)


def tenant_of(queue: str) -> str:
    """Returns the tenant of a queue; empty for a lane's own queue."""
    found = _QUEUE.fullmatch(queue)
    return found["tenant"] or "" if found else ""


def lane_of(queue: str) -> tuple[str, Lane] | None:
    """Returns the account and the lane of a lane's RQ queue; None for one that is a tenant's, or not sesq's."""
    found = _QUEUE.fullmatch(queue)
    return (found["account"], Lane(found["lane"])) if found and not found["tenant"] else None


def lane_queue(queue: str) -> str:
    """Returns the queue of the lane in which a tenant's queue takes its turn; another queue as it is."""
    found = _QUEUE.fullmatch(queue)
    return found["whole"] if found else queue


def queues_without_turns(redis: Redis, keys: Keys) -> set[str]:
    """Returns the queues of tenants that RQ knows, but that take no turns in their lane, now or after a rest.

    A queue with an infinite share is damaged, and counts too: its turn would come always, or never.
    """
    found: set[str] = set()
    for lane in Lane:
        own = keys.queue(lane)
        shares = cast("list[tuple[bytes, float]]", redis.zrange(keys.shares(own), 0, -1, withscores=True))
        turns = {text(queue) for queue, gone in shares if math.isfinite(gone)}
        found |= (
            {*tenant_queues(redis, keys, lane)} - turns - {*texts(redis.zrange(keys.resting(own), 0, -1))}
        )
    return found


def give_turns(redis: Redis, keys: Keys) -> list[str]:
    """Gives turns to queues with mail but without turns, which RQ's tools may have made. Returns these queues."""
    idle = [queue for queue in queues_without_turns(redis, keys) if redis.exists(rq_key("queue", queue))]
    for queue in idle:
        shares = keys.shares(lane_queue(queue))
        redis.zrem(shares, queue)
        least = cast("list[tuple[bytes, float]]", redis.zrange(shares, 0, 0, withscores=True))
        redis.zadd(shares, {queue: least[0][1] if least and math.isfinite(least[0][1]) else 0.0}, nx=True)
    return idle


def queues_of(redis: Redis, keys: Keys) -> list[str]:
    """Returns all queues of an account: those of the lanes, and those of tenants with mail."""
    tenants = [queue for lane in Lane for queue in tenant_queues(redis, keys, lane)]
    return [*map(keys.queue, Lane), *tenants]


def tenant_queues(redis: Redis, keys: Keys, lane: Lane) -> list[str]:
    """Returns the queues of tenants in a lane that may have mail, also those that only RQ knows."""
    own = keys.queue(lane)
    listed = redis.sscan_iter(Queue.redis_queues_keys, rq_key("queue", f"{own}.*"), AT_ONCE)
    by_rq = {text(key).removeprefix(rq_key("queue", "")) for key in listed}
    ours = {*texts(redis.zrange(keys.shares(own), 0, -1)), *texts(redis.zrange(keys.resting(own), 0, -1))}
    return sorted(queue for queue in by_rq | ours if queue != own and lane_queue(queue) == own)
