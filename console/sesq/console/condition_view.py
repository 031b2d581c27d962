"""The conditions of an account for people and scripts, with those that only lower its limits."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from redis import Redis

from sesq.config.quotas import format_rate
from sesq.console.ramp_view import ramp_sentences
from sesq.console.times import utc
from sesq.queue.conditions import Condition, Kind, read_conditions
from sesq.queue.snapshot import Snapshot
from sesq.queue.usage import VISIBLE_SLOWNESS, Usage
from sesq.queue.windows import WindowView

UNREADABLE = "these credentials may not read the account (ses:GetAccount): the limits of sesq.toml count"


def all_conditions(
    redis: Redis, account: str, usage: Usage, snapshot: Snapshot, window: WindowView | None
) -> tuple[Condition, ...]:
    """Lists all conditions, the worst first. Raises QueueUnavailable."""
    return (*read_conditions(redis, account, usage, snapshot, window), *_limited(usage, snapshot))


def _limited(usage: Usage, snapshot: Snapshot) -> Iterator[Condition]:
    if snapshot.known and not snapshot.readable:
        yield Condition(Kind.UNREADABLE, UNREADABLE)
    if usage.ramp is not None:
        stands = Kind.RAMP if usage.ramp.still_since is None else Kind.RAMP_STANDS_STILL
        first, *more = ramp_sentences(usage)
        yield Condition(stands, first, " ".join(more), usage.ramp.still_because, since=usage.ramp.still_since)
    if usage.slow > VISIBLE_SLOWNESS:
        why = f"SES throttled lately, so the pace is {format_rate(usage.shown_rate)} for a while"
        yield Condition(Kind.THROTTLED, why)


def condition_as_json(condition: Condition) -> dict[str, Any]:
    """Returns a condition for scripts. None: not known, or there is none. `says` has sentences for people."""
    return {
        "kind": condition.kind.value,
        "tenant": condition.tenant or None,
        "reason": condition.reason or None,
        "by": condition.by or None,
        "since": utc(condition.since),
        "says": condition.words,
    }
