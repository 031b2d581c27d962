"""The books of an account, to read: which limits are in force, and what is used of them."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

from redis import Redis

from sesq.config.connection import mapped
from sesq.queue.fields import Fields
from sesq.queue.keys import Keys
from sesq.queue.replies import read_json, text
from sesq.queue.scripts import GATE, compose
from sesq.queue.states import Lane

USAGE = compose("usage.lua", GATE)

LEDGER_SLOTS = 1442
VISIBLE_SLOWNESS = 0.01
SUSPENDED = "all workers are suspended (`rq suspend`)"
"""Said wherever mail waits for `rq resume`: RQ keeps it for all workers on a Redis, whatever their accounts."""


@dataclass(frozen=True, slots=True)
class Usage:
    """The limits in force and what is used of them, as the gate sees it. Times are seconds since the epoch."""

    now: float
    books: str  # which these are: others, after Redis has lost what it knew
    closed: str | None
    """Why nothing goes: suspended (all workers, by RQ), paused (by a person), ses_paused or unsynced."""
    rate: float
    daily: float | None
    burst: float
    reserve: float
    tokens: float
    pace: float
    margin: float
    slow: float
    total: int
    flying: int
    others: float
    remaining: float | None
    claims: int
    throttles: int
    lanes: tuple[dict[str, Any], ...]

    @property
    def last_24h(self) -> int:
        """Recipients in any 24 hours by our own ledger, which errs on the safe side by up to two minutes."""
        return self.total

    @property
    def shown_rate(self) -> float:
        """Recipients a second for people: without our margin, and with what is withheld after a throttle."""
        return self.rate if self.slow < VISIBLE_SLOWNESS else round(self.rate * (1 - self.slow), 1)


def read_usage(redis: Redis, account: str, lanes: Sequence[Lane] = tuple(Lane)) -> Usage:
    """The limits in force and what is used of them. Raises QueueUnavailable."""
    keys = Keys(account)
    with mapped():
        answer = read_json(USAGE.run(redis, account, *(keys.queue(lane) for lane in lanes)))
    told = {field.name: answer.get(field.name) for field in fields(Usage)}  # what is unlimited is left out
    return Usage(**told | {"lanes": tuple(answer["lanes"])})


def read_ledger(redis: Redis, account: str) -> dict[int, int]:
    """What went in the last day: minute of the epoch -> recipients that count. Raises QueueUnavailable."""
    keys = Keys(account)
    with mapped():
        pipeline = redis.pipeline(transaction=False)
        pipeline.get(keys.ledger)
        pipeline.hget(keys.gate, "minute")
        cells, newest = pipeline.execute()
    whole = (cells or b"")[: len(cells or b"") // 4 * 4]
    counts = [count for (count,) in struct.iter_unpack("<I", whole)]
    last = Fields({"minute": text(newest)}).whole("minute")
    minutes = {minute: minute % LEDGER_SLOTS for minute in range(last - LEDGER_SLOTS + 1, last + 1)}
    return {minute: counts[slot] for minute, slot in minutes.items() if slot < len(counts) and counts[slot]}
