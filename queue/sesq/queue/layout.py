"""Checks the number of the data layout in Redis: versions of sesq with different layouts must not share one Redis."""

from __future__ import annotations

from redis import Redis

from sesq.config.connection import mapped
from sesq.config.errors import QueueUnavailable, WrongLayout
from sesq.queue.keys import LAYOUT
from sesq.queue.replies import text

NUMBER = "2"
"""It changes with the meaning of a key, a field of a record or an argument of a script. There is no migration."""


def require_layout(redis: Redis, *, writes: bool = True) -> None:
    """Makes sure that the data in Redis has this layout. With `writes`, it notes the layout in an empty Redis.

    Raises WrongLayout, and QueueUnavailable.
    """
    with mapped():
        found = text(redis.get(LAYOUT))
        if not found and writes and not redis.set(LAYOUT, NUMBER, nx=True):
            found = text(redis.get(LAYOUT))
    if found and found != NUMBER:
        raise WrongLayout(_why(found))


def fault_of_layout(redis: Redis) -> str:
    """Says what is wrong with the layout, for the auditor; empty if nothing is."""
    try:
        require_layout(redis, writes=False)
    except QueueUnavailable as error:
        return str(error)
    return ""


def _why(found: str) -> str:
    return (
        f"{LAYOUT} in Redis is {found[:20]!r}, and this version of sesq keeps its data in layout {NUMBER}: run the "
        "same version of sesq everywhere, or give this one a Redis, or a database of it, of its own"
    )
