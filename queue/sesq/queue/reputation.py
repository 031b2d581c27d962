"""How much of the account's mail bounces or is complained of, and how near that is to what Amazon acts on.

Source: SES developer guide, "Sending review process FAQs". A bounce rate of 5 % puts the account under review, at 10 %
its sending may be paused; complaints 0.1 % and 0.5 %. Hard bounces count, mail to the mailbox simulator and to
addresses on the account's suppression list does not. SES takes "a representative volume" and no fixed time: here it is
a week.
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
"""Where bulk mail is paused here."""
A_STEP = {"bounced": 0.01, "complained": 0.0005}
"""What a person has let pass, by letting bulk mail go on, must get worse by so much before it is paused again."""
LEAST_SENT = 500
"""Below so many recipients a rate says little."""
LEAST_OF_A_PART = {"bounced": 50, "complained": 1000}
"""The same of a part of the mail, such as a domain's: from there on, more than two bounces or one complaint make the
rate at which Amazon reviews."""
ROUNDING = 1e-9
READ_AT = "read_at"
"""Its field in the key of the account's counts."""
WINDOW_HOURS = 7 * 24
BRAKE = "sesq events"
"""The name in the history of the limits when the brake has paused bulk mail."""
ONE = {"bounced": "bounce", "complained": "complaint"}
WORDS = {kind: f"{one}s" for kind, one in ONE.items()}


class Level(str, Enum):
    """How bad it is. The value is what Redis and JSON show."""

    FINE = "fine"
    WARN = "warn"
    PAUSE = "pause"

    def __str__(self) -> str:
        return self.value


class Passed(str, Enum):
    """Which of Amazon's thresholds the rate of a part of the mail has reached. The value is what JSON shows."""

    TOO_FEW = "too_few"  # to judge by
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
    """Recipients of the last week."""

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
        """Whether Amazon reviews an account for as much of `bounced` or `complained`."""
        return self.sent >= LEAST_SENT and self._reaches(kind, REVIEW[kind])

    def passed(self, kind: str) -> Passed:
        """Tells which threshold a part of the mail would have reached for `bounced` or `complained`, if it were all
        mail of an account.
        """
        if self.sent < LEAST_OF_A_PART[kind] or self.rate(kind) is None:
            return Passed.TOO_FEW
        reached = [(PAUSE[kind], Passed.PAUSE), (REVIEW[kind], Passed.REVIEW), (0.0, Passed.NONE)]
        return next(passed for threshold, passed in reached if self._reaches(kind, threshold))

    @property
    def badness(self) -> tuple[float, int]:
        """Sorts parts of the mail: the worse of both rates beside the threshold of a review, where it can be judged;
        then the number of bounces and complaints.
        """
        judged = (kind for kind in REVIEW if self.passed(kind) is not Passed.TOO_FEW)
        worse = max(((self.rate(kind) or 0.0) / REVIEW[kind] for kind in judged), default=0.0)
        return worse, self.bounced + self.complained

    @property
    def alarming(self) -> dict[str, float]:
        """The rates at which bulk mail is paused here, by kind."""
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
        lines = {
            kind: f" (reviewed at {REVIEW[kind]:.1%}, paused at {PAUSE[kind]:.1%})"
            for kind in REVIEW
            if self.rate(kind) is not None
        }
        told = [self.told(kind) + lines.get(kind, "") for kind in REVIEW]
        few = f"; below {LEAST_SENT} that says little" if self.sent < LEAST_SENT else "; Amazon acts on that"
        return f"{' and '.join(told)} of {number_of(self.sent, 'recipient')} in a week" + few

    def told(self, kind: str) -> str:
        """Tells the rate of `bounced` or `complained`, or their number and why there is no rate."""
        rate = self.rate(kind)
        if rate is None:
            few = "fewer were" if self.sent else "none was"
            return f"{number_of(getattr(self, kind), ONE[kind])} (no rate: {few} counted as sent)"
        return f"{rate:.2%} {WORDS[kind]}"


class Reputation:
    """One account's counts, or those of one tenant. Raises QueueUnavailable when Redis cannot be reached."""

    def __init__(self, redis: Redis, account: str = "default", tenant: str = "") -> None:
        self.redis = redis
        self.account = account
        self.key = Keys(account).tenant_reputation(tenant) if tenant else Keys(account).reputation

    def read(self) -> Standing:
        """Returns the last week, to the hour. Hours before it are forgotten."""
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
        """Writes the level down; True for the first who finds it worse than it was."""
        order = list(Level)
        with mapped():
            before = text(LEVEL.run(self.redis, self.account, level.value))
        return before not in order or order.index(level) > order.index(Level(before))

    def is_worse(self, standing: Standing, fresh: Collection[str]) -> bool:
        """Whether a rate is alarming. Where it was let pass it must be a step worse, by events of that kind that have
        just come: a rate also rises when good mail is a week old.
        """
        with mapped():
            passed = read_hash(self.redis, self.key)
        return any(
            kind not in passed
            or (kind in fresh and rate - Fields(passed).number(kind) >= A_STEP[kind] - ROUNDING)
            for kind, rate in standing.alarming.items()
        )

    def acknowledge(self, standing: Standing) -> None:
        """Remembers what is alarming: bulk mail is paused for it, and goes on when a person has seen it."""
        if standing.alarming:
            with mapped():
                self.redis.hset(self.key, mapping=cast("dict[Any, Any]", standing.alarming))

    def forget_good(self, standing: Standing) -> None:
        """Forgets what was let pass of a rate that Amazon would not even review any more."""
        good = [kind for kind in REVIEW if not standing.is_reviewed(kind)]
        if good:
            with mapped():
                self.redis.hdel(self.key, *good)


def share(rate: float | None) -> str:
    """Writes a rate as every screen does: `5.00%`, or `-` if there is none."""
    return "-" if rate is None else f"{rate:.2%}"


def tenant_standings(redis: Redis, account: str) -> dict[str, Standing]:
    """Returns the last week of each tenant's mail, by the tenant's name.

    It pauses nothing: SES itself stops a tenant.
    """
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
    """Of a field; of one that is no hour's it never passes."""
    hour = name.partition(":")[0]
    return int(hour) if hour.isdecimal() else math.inf
