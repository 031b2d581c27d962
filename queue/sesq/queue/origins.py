"""Reads the rates of bounces and complaints by the recipients' domain, and by each tag of the mail.

They are counted from SES's events (`lua/origins.lua`), as the account's rates are. Sending a mail counts nothing for
them, so mail without events has no rates.
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
"""How many names of a day are compared by their rates: those with the most bounces or complaints."""
OTHERS = ""
"""Stands for all names that were dropped because there were too many."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Names a domain, or a tag `name=value`, and counts its mail, bounces and complaints. Empty name: OTHERS."""

    name: str
    standing: Standing


def read_origins(redis: Redis, account: str, what: str, most: int) -> tuple[Origin, ...]:
    """Lists names with bounces or complaints, the worst first, at most `most`; OTHERS come after these.

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
    """Finds the names with the most bounces and complaints. It takes the same time for any number of names."""
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
    """Adds up the counts of these names in all sets."""
    pipeline = redis.pipeline(transaction=False)
    for key in sets:
        pipeline.zmscore(key, names)
    total = Counter[str]()
    for found in cast("list[list[float | None]]", pipeline.execute()):
        for name, n in zip(names, found, strict=True):
            total[name] += int(n or 0)
    return total
