"""Reads the limits in force for an account, and what is used of them."""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from redis import Redis

from sesq.config.connection import mapped
from sesq.queue.fields import Fields
from sesq.queue.forecast import Limits, Step
from sesq.queue.keys import Keys
from sesq.queue.replies import read_json, text
from sesq.queue.scripts import GATE, compose
from sesq.queue.states import Lane

USAGE = compose("usage.lua", GATE)

LEDGER_SLOTS = 1442
VISIBLE_SLOWNESS = 0.01
SUSPENDED = "all workers are suspended (`rq suspend`)"
"""The reason while mail waits for `rq resume`. RQ suspends all workers on a Redis, whatever their accounts are."""


@dataclass(frozen=True, slots=True)
class Ramp:
    """Describes a ramp, a daily limit that grows. Amounts: recipients in 24 hours. Times: seconds since the epoch.

    `day` counts from 0; on day `days` the cap is `last`. `steps`: (when, cap) of the days to come. There are none after
    the ramp's end, and none while it stands still: `still_since` and `still_because` say since when, and why.
    """

    first: int
    last: int
    days: int
    began: float
    day: int
    cap: int
    steps: tuple[tuple[float, int], ...] = ()
    still_since: float | None = None
    still_because: str = ""

    @classmethod
    def read(cls, told: Mapping[str, Any]) -> Ramp:
        """Reads what `ramp.lua` tells."""
        return cls(
            first=int(told["from"]),
            last=int(told["to"]),
            days=int(told["days"]),
            began=float(told["began"]),
            day=int(told["day"]),
            cap=int(told["cap"]),
            steps=tuple((float(at), int(cap)) for at, cap in told["steps"]),
            still_since=told.get("since"),
            still_because=told.get("why") or "",
        )


@dataclass(frozen=True, slots=True)
class Usage:
    """Holds the limits in force and what is used of them, as the gate has them. Times are seconds since the epoch."""

    now: float
    books: str  # the id of the gate's data: another one after Redis has lost it
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
    ceiling: float | None = None
    """The daily limit without the ramp; None: no other limit."""
    ramp: Ramp | None = None
    reserve_as_set: str = "0"
    """The reserve as people write it: recipients, or a share of the day."""

    @property
    def growth(self) -> tuple[Step, ...]:
        """The later daily limits, as the ramp grows."""
        steps = self.ramp.steps if self.ramp else ()
        dailies = [(at, cap_of(cap, self.ceiling)) for at, cap in steps]
        return tuple(Step(at, daily, reserve_of(self.reserve_as_set, daily)) for at, daily in dailies)

    @property
    def ramp_counts(self) -> bool:
        """Whether the ramp is the limit of the day."""
        return self.ramp is not None and (self.ceiling is None or self.ramp.cap < self.ceiling)

    def limits(self, *, reserve: bool) -> Limits:
        """Returns the limits for a forecast. `reserve`: for bulk mail, which may not use the reserve."""
        if reserve:
            return Limits(self.pace, self.daily, self.reserve, self.growth)
        return Limits(self.pace, self.daily, 0.0, tuple(step._replace(reserve=0.0) for step in self.growth))

    @property
    def last_24h(self) -> int:
        """Recipients of the last 24 hours by sesq's ledger, which counts them up to two minutes longer."""
        return self.total

    @property
    def shown_rate(self) -> float:
        """Recipients a second for people: without the margin, but lowered after a throttle."""
        return self.rate if self.slow < VISIBLE_SLOWNESS else round(self.rate * (1 - self.slow), 1)


def cap_of(cap: float, ceiling: float | None) -> float:
    """Returns the daily limit in force: the smaller of a ramp's cap and the limit without the ramp (None: no limit)."""
    return cap if ceiling is None else min(cap, ceiling)


def reserve_of(text: str, daily: float | None) -> float:
    """Returns how many recipients of a day a reserve keeps: its number, or its share of `daily`."""
    number = Fields({"": text.removesuffix("%")}).number("")
    return float(math.floor((daily or 0.0) * number / 100)) if text.endswith("%") else number


def read_usage(redis: Redis, account: str, lanes: Sequence[Lane] = tuple(Lane)) -> Usage:
    """Reads the limits in force and what is used of them. Raises QueueUnavailable."""
    keys = Keys(account)
    with mapped():
        answer = read_json(USAGE.run(redis, account, *(keys.queue(lane) for lane in lanes)))
    told = {field.name: answer.get(field.name) for field in fields(Usage)}  # unlimited values are left out
    ramp = Ramp.read(answer["ramp"]) if "ramp" in answer else None
    return Usage(**told | {"lanes": tuple(answer["lanes"]), "ramp": ramp})


def read_ledger(redis: Redis, account: str) -> dict[int, int]:
    """Reads the ledger of the last day: minute of the epoch -> recipients. Raises QueueUnavailable."""
    keys = Keys(account)
    with mapped():
        return read_cells(redis, keys.ledger, keys.gate)


def read_cells(redis: Redis, ledger: str, books: str) -> dict[int, int]:
    """Reads any ledger: minute of the epoch -> recipients. `books`: the key of the hash with its newest minute."""
    pipeline = redis.pipeline(transaction=False)
    pipeline.get(ledger)
    pipeline.hget(books, "minute")
    cells, newest = pipeline.execute()
    whole = (cells or b"")[: len(cells or b"") // 4 * 4]
    counts = [count for (count,) in struct.iter_unpack("<I", whole)]
    last = Fields({"minute": text(newest)}).whole("minute")
    minutes = {minute: minute % LEDGER_SLOTS for minute in range(last - LEDGER_SLOTS + 1, last + 1)}
    return {minute: counts[slot] for minute, slot in minutes.items() if slot < len(counts) and counts[slot]}
