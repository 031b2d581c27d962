"""Checks whether bounces or complaints are so many that Amazon reviews the account."""

from __future__ import annotations

from collections.abc import Iterator

from redis import Redis

from sesq.config.numbers import number_of
from sesq.console.checkup.check import Check, fail, warn
from sesq.queue.reputation import PAUSE, REVIEW, Reputation, Standing

CURE = "the console's page Reputation shows where they come from; send no more to people who do not want it"


def check_reputation(redis: Redis, account: str) -> Iterator[Check]:
    """Checks the last week: warns from 5 % bounces or 0.1 % complaints on."""
    week = Reputation(redis, account).read()
    for kind in REVIEW:
        if week.is_reviewed(kind):
            judge = fail if kind in week.alarming else warn
            yield judge("reputation", _told(week, kind), CURE, f"reputation:{kind}")


def _told(week: Standing, kind: str) -> str:
    lines = f"Amazon reviews an account at {REVIEW[kind]:.1%}, and may pause it at {PAUSE[kind]:.1%}"
    return f"{week.told(kind)} of {number_of(week.sent, 'recipient')} in a week; {lines}"
