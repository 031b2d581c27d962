"""Mail for more recipients than a whole day has room for: it is held until a day has."""

from __future__ import annotations

from redis import Redis

from sesq.config.connection import mapped
from sesq.queue.scripts import GATE, compose

FIT = compose("fit.lua", GATE)

AT_ONCE = 200


def free_fitting(redis: Redis, account: str) -> int:
    """Puts those back into their lanes that fit into a day by the limits in force. How many.

    Raises QueueUnavailable.
    """
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
