"""Rates of bounces and complaints by the recipients' domain, and by each tag of the mail.

SES's events are counted for them (`lua/origins.lua`): nothing on the way of a mail counts domains or tags. So the rates
have the same source as the account's, and mail without events has none.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import cast

from redis import Redis

from sesq.config.connection import mapped
from sesq.queue.keys import Keys
from sesq.queue.replies import text
from sesq.queue.reputation import REVIEW, Standing
from sesq.queue.snapshot import redis_now

DAYS = 7
"""Today and the six days before, by UTC."""
CANDIDATES = 200
"""So many names of a day, those with the most bounces or complaints, are compared by their rates."""
OTHERS = ""
"""In place of a name: all names that had to make room, since there are too many."""


@dataclass(frozen=True, slots=True)
class Origin:
    """A domain, or a tag `name=value`, and how much of its mail bounced or was complained of. An empty name: OTHERS."""

    name: str
    standing: Standing


def read_origins(redis: Redis, account: str, what: str, most: int) -> tuple[Origin, ...]:
    """Lists those with bounces or complaints, at most so many, the worst first; OTHERS come last and count extra.

    `what`: domain or tag. Raises QueueUnavailable.
    """
    keys, today = Keys(account), int(redis_now(redis) // 86_400)
    days = range(today - DAYS + 1, today + 1)
    with mapped():
        names = _worst(redis, {kind: [keys.origins(what, kind, day) for day in days] for kind in REVIEW})
        found = {
            kind: _counts(redis, [keys.origins(what, kind, day) for day in days], [*names, OTHERS])
            for kind in ("sent", *REVIEW)
        }
    origins = {
        name: Origin(name, Standing(**{kind: counts[name] for kind, counts in found.items()}))
        for name in (*names, OTHERS)
    }
    others = origins.pop(OTHERS)
    worst = heapq.nlargest(most, origins.values(), key=lambda each: each.standing.badness)
    return (*worst, others) if others.standing != Standing(0, 0, 0) else tuple(worst)


def _worst(redis: Redis, sets: Mapping[str, Iterable[str]]) -> list[str]:
    """Finds the names with the most bounces and complaints, so that a page takes no longer with more of them."""
    badness: dict[str, float] = {}
    for kind, keys in sets.items():
        pipeline = redis.pipeline(transaction=False)
        for key in keys:
            pipeline.zrange(key, 0, CANDIDATES - 1, desc=True, withscores=True)
        for found in cast("list[list[tuple[bytes, float]]]", pipeline.execute()):
            for name, n in found:
                badness[text(name)] = badness.get(text(name), 0) + n / REVIEW[kind]
    badness.pop(OTHERS, None)
    return heapq.nlargest(CANDIDATES, badness, key=lambda name: badness[name])


def _counts(redis: Redis, sets: Iterable[str], names: list[str]) -> Counter[str]:
    """Adds up these names of all sets."""
    pipeline = redis.pipeline(transaction=False)
    for key in sets:
        pipeline.zmscore(key, names)
    total = Counter[str]()
    for found in cast("list[list[float | None]]", pipeline.execute()):
        for name, n in zip(names, found, strict=True):
            total[name] += int(n or 0)
    return total
