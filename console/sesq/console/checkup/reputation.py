"""Whether so much mail bounces, or is complained of, that Amazon reviews the account."""

from __future__ import annotations

from collections.abc import Iterator

from redis import Redis

from sesq.console.checkup.check import Check, fail, warn
from sesq.queue.reputation import PAUSE, REVIEW, WORDS, Reputation, Standing

CURE = (
    "see on the console's page Reputation where they come from, and send no more to those who do not want it"
)


def check_reputation(redis: Redis, account: str) -> Iterator[Check]:
    """Of the last week: from 5 % bounces or 0.1 % complaints on."""
    week = Reputation(redis, account).read()
    for kind in REVIEW:
        if week.is_reviewed(kind):
            judge = fail if kind in week.alarming else warn
            yield judge("reputation", _told(week, kind), CURE, f"reputation:{kind}")


def _told(week: Standing, kind: str) -> str:
    lines = f"Amazon reviews an account at {REVIEW[kind]:.1%}, and may pause it at {PAUSE[kind]:.1%}"
    return f"{week.rate(kind):.2%} {WORDS[kind]} of {week.sent:,} recipients in a week; {lines}"
