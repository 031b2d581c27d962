"""Counts bounces and complaints of the account's mail, and compares their rates with those at which Amazon acts.

Source: SES developer guide, "Sending review process FAQs". A bounce rate of 5 % puts the account under review, at 10 %
its sending may be paused; for complaints, 0.1 % and 0.5 %. Hard bounces count. Mail to the mailbox simulator and to
addresses on the account's suppression list does not count. SES uses "a representative volume" and no fixed time: here
it is a week.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, cast

from redis import Redis

from sesq.config.connection import mapped
from sesq.config.numbers import number_of
from sesq.queue.fields import Fields
from sesq.queue.keys import Keys
from sesq.queue.replies import read_hash, read_hashes, text, texts
from sesq.queue.scripts import JOBS, compose
from sesq.queue.snapshot import redis_now

LEVEL = compose("level.lua", JOBS)

REVIEW = {"bounced": 0.05, "complained": 0.001}
PAUSE = {"bounced": 0.10, "complained": 0.005}
BEFORE_AMAZON = {"bounced": 0.08, "complained": 0.004}
"""The rates at which sesq pauses bulk mail."""
A_STEP = {"bounced": 0.01, "complained": 0.0005}
"""How much a rate must rise, after a person has resumed bulk mail, before sesq pauses it again."""
LEAST_SENT = 500
"""With fewer recipients a rate says little."""
LEAST_OF_A_PART = {"bounced": 50, "complained": 1000}
"""The same for a part of the mail, such as a domain's. With so many recipients, two bounces or one complaint alone do
not exceed the rate at which Amazon reviews."""
ROUNDING = 1e-9
READ_AT = "read_at"
"""The field, beside the account's counts, for when events were last read."""
WINDOW_HOURS = 7 * 24
BRAKE = "sesq events"
"""The name in the history of the limits when sesq itself has paused bulk mail."""
ONE = {"bounced": "bounce", "complained": "complaint"}
WORDS = {kind: f"{one}s" for kind, one in ONE.items()}


class Level(str, Enum):
    """Says how bad the rates are. Redis and JSON have the values."""

    FINE = "fine"
    WARN = "warn"
    PAUSE = "pause"

    def __str__(self) -> str:
        return self.value


class Passed(str, Enum):
    """Says which of Amazon's thresholds the rate of a part of the mail has reached. JSON has the values."""

    TOO_FEW = "too_few"  # recipients to judge by
    NONE = "none"
    REVIEW = "review"
    PAUSE = "pause"

    def __str__(self) -> str:
        return self.value

    @property
    def is_bad(self) -> bool:
        """Tells whether it is a threshold."""
        return self in (Passed.REVIEW, Passed.PAUSE)


@dataclass(frozen=True, slots=True)
class Standing:
    """Counts recipients of the last week."""

    sent: int
    bounced: int
    complained: int

    def rate(self, kind: str) -> float | None:
        """Returns the share of `bounced` or `complained`, 0 to 1. None: there is no rate, since none was counted as
        sent, or fewer than bounced: the mail was sent before its counts began.
        """
        return self._beside_sent(kind) if 0 < self.sent >= getattr(self, kind) else None

    def _beside_sent(self, kind: str) -> float:
        return float(getattr(self, kind)) / self.sent if self.sent else 0.0

    def _reaches(self, kind: str, threshold: float) -> bool:
        # more bounced than was sent: there is no rate, and yet it is no time to go on
        return self._beside_sent(kind) >= threshold

    @property
    def level(self) -> Level:
        """The worse of both."""
        if self.alarming:
            return Level.PAUSE
        return Level.WARN if any(self.is_reviewed(kind) for kind in REVIEW) else Level.FINE

    def is_reviewed(self, kind: str) -> bool:
        """Whether Amazon reviews an account at this rate of `bounced` or `complained`."""
        return self.sent >= LEAST_SENT and self._reaches(kind, REVIEW[kind])

    def passed(self, kind: str) -> Passed:
        """Tells which threshold for `bounced` or `complained` a part of the mail has reached."""
        if self.sent < LEAST_OF_A_PART[kind] or self.rate(kind) is None:
            return Passed.TOO_FEW
        reached = [(PAUSE[kind], Passed.PAUSE), (REVIEW[kind], Passed.REVIEW), (0.0, Passed.NONE)]
        return next(passed for threshold, passed in reached if self._reaches(kind, threshold))

    @property
    def badness(self) -> tuple[float, int]:
        """The key to sort parts of the mail by: first the worse of both rates, as a share of the rate for a review.

        A rate of too few recipients counts as 0. Then the number of bounces and complaints.
        """
        judged = (kind for kind in REVIEW if self.passed(kind) is not Passed.TOO_FEW)
        worse = max(((self.rate(kind) or 0.0) / REVIEW[kind] for kind in judged), default=0.0)
        return worse, self.bounced + self.complained

    @property
    def alarming(self) -> dict[str, float]:
        """The rates that are high enough to pause bulk mail, by kind."""
        if self.sent < LEAST_SENT:
            return {}
        return {
            kind: self._beside_sent(kind)
            for kind, threshold in BEFORE_AMAZON.items()
            if self._reaches(kind, threshold)
        }

    @property
    def words(self) -> str:
        """For people: what was counted, and where Amazon acts."""
        of_all = f"of {number_of(self.sent, 'recipient')} in a week"
        if self.sent < LEAST_SENT:
            counts = " and ".join(number_of(getattr(self, kind), ONE[kind]) for kind in REVIEW)
            return f"too few to judge: {counts} {of_all} (rates count from {LEAST_SENT} on)"
        lines = {
            kind: f" (reviewed at {REVIEW[kind]:.1%}, paused at {PAUSE[kind]:.1%})"
            for kind in REVIEW
            if self.rate(kind) is not None
        }
        told = [self.told(kind) + lines.get(kind, "") for kind in REVIEW]
        return f"{' and '.join(told)} {of_all}; Amazon acts on that"

    def told(self, kind: str) -> str:
        """Tells the rate of `bounced` or `complained`, or their number and why there is no rate."""
        rate = self.rate(kind)
        if rate is None:
            few = "fewer were" if self.sent else "none was"
            return f"{number_of(getattr(self, kind), ONE[kind])} (no rate: {few} counted as sent)"
        return f"{rate:.2%} {WORDS[kind]}"


class Reputation:
    """Reads the counts of one account, or of one tenant. Every method raises QueueUnavailable."""

    def __init__(self, redis: Redis, account: str = "default", tenant: str = "") -> None:
        self.redis = redis
        self.account = account
        self.key = Keys(account).tenant_reputation(tenant) if tenant else Keys(account).reputation

    def read(self) -> Standing:
        """Reads the counts of the last week, to the hour. Deletes those of earlier hours."""
        first = int(redis_now(self.redis) // 3600) - WINDOW_HOURS
        with mapped():
            fields = read_hash(self.redis, self.key)
            stale = [name for name in fields if _hour(name) <= first]
            if stale:
                self.redis.hdel(self.key, *stale)
        return _summed({name: n for name, n in fields.items() if name not in stale})

    def note_reading(self) -> None:
        """Writes down that events are being read now."""
        now = redis_now(self.redis)
        with mapped():
            self.redis.hset(self.key, READ_AT, now)

    def events_read_at(self) -> float | None:
        """Returns when a reader last asked for events, or got one (s); None if none ever did."""
        with mapped():
            found = self.redis.hget(self.key, READ_AT)
        return Fields({READ_AT: text(found)}).number(READ_AT) if found else None

    def risen_to(self, level: Level) -> bool:
        """Notes the level. Returns whether it is worse than the level before: True for one caller only."""
        order = list(Level)
        with mapped():
            before = text(LEVEL.run(self.redis, self.account, level.value))
        return before not in order or order.index(level) > order.index(Level(before))

    def is_worse(self, standing: Standing, fresh: Collection[str]) -> bool:
        """Whether a rate is alarming, and was not acknowledged before.

        An acknowledged rate must be a step worse, and `fresh` events of its kind must have come: a rate also rises when
        good mail becomes older than a week.
        """
        with mapped():
            passed = read_hash(self.redis, self.key)
        return any(
            kind not in passed
            or (kind in fresh and rate - Fields(passed).number(kind) >= A_STEP[kind] - ROUNDING)
            for kind, rate in standing.alarming.items()
        )

    def acknowledge(self, standing: Standing) -> None:
        """Notes the alarming rates, for which bulk mail was paused until a person resumes it."""
        if standing.alarming:
            with mapped():
                self.redis.hset(self.key, mapping=cast("dict[Any, Any]", standing.alarming))

    def forget_good(self, standing: Standing) -> None:
        """Forgets acknowledged rates that Amazon would not review any more."""
        good = [kind for kind in REVIEW if not standing.is_reviewed(kind)]
        if good:
            with mapped():
                self.redis.hdel(self.key, *good)


def share(rate: float | None) -> str:
    """Writes a rate as every screen does: `5.00%`, or `-` if there is none."""
    return "-" if rate is None else f"{rate:.2%}"


def tenant_standings(redis: Redis, account: str) -> dict[str, Standing]:
    """Reads the counts of the last week of each tenant, by name. They pause nothing: SES itself stops a tenant."""
    keys, now = Keys(account), redis_now(redis)
    first = int(now // 3600) - WINDOW_HOURS
    with mapped():
        redis.zremrangebyscore(keys.counted_tenants, "-inf", first * 3600)
        names = sorted(texts(redis.zrange(keys.counted_tenants, 0, -1)))
        found = read_hashes(redis, map(keys.tenant_reputation, names))
    counted = ({name: n for name, n in fields.items() if _hour(name) > first} for fields in found)
    return dict(zip(names, map(_summed, counted), strict=True))


def _summed(fields: Mapping[str, str]) -> Standing:
    sums = dict.fromkeys(("sent", "bounced", "complained"), 0)
    for name in fields:
        kind = name.partition(":")[2]
        if kind in sums:
            sums[kind] += Fields(fields).whole(name)
    return Standing(**sums)


def _hour(name: str) -> float:
    """Reads the hour in a field's name; infinity if it has none."""
    hour = name.partition(":")[0]
    return int(hour) if hour.isdecimal() else math.inf
