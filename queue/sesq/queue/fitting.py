"""Frees messages that are held because they have more recipients than the daily quota."""

from __future__ import annotations

from redis import Redis

from sesq.config.connection import mapped
from sesq.queue.scripts import GATE, compose

FIT = compose("fit.lua", GATE)

AT_ONCE = 200


def free_fitting(redis: Redis, account: str) -> int:
    """Queues the messages again that fit the daily quota now. Returns how many. Raises QueueUnavailable."""
    place, total = 0, 0
    with mapped():
        while True:
            looked, freed = map(
                int, FIT.run(redis, account, place, AT_ONCE, "a whole day has room for it now")
            )
            place += looked - freed
            total += freed
            if looked < AT_ONCE:
                return total
