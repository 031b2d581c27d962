"""The audit trail: who did what, in the console, over its API and at the command line.

Changes of limits and pauses are not here: the policy's own history has them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from redis import Redis
from redis.client import Pipeline

from sesq.config.connection import mapped
from sesq.queue.keys import Keys
from sesq.queue.replies import read_entries
from sesq.queue.snapshot import redis_now
from sesq.queue.suppression import Suppressed

Change = Mapping[str, Mapping[str, str]]
"""`before` and `after`: name -> the old value, and the new value."""
UNKNOWN: Change = {}
MOST_ENTRIES = 1000
LONGEST = 500


class Audit:
    """The audit trail of one account. Raises QueueUnavailable when Redis cannot be reached."""

    def __init__(self, redis: Redis, account: str) -> None:
        self.redis = redis
        self.key = Keys(account).audit

    def note(self, by: str, what: str, **facts: Any) -> None:
        """Writes down one act, with those facts that are not None, and removes the oldest entries."""
        now = redis_now(self.redis)
        with mapped(), self.redis.pipeline() as pipeline:
            self.add_to(pipeline, now, by, what, **facts)
            pipeline.execute()

    def add_to(self, pipeline: Pipeline, at: float, by: str, what: str, **facts: Any) -> None:
        """Does the same as a part of a pipeline."""
        told = {name: value for name, value in facts.items() if value is not None}
        pipeline.lpush(self.key, json.dumps({"at": at, "by": by, "what": shortened(what), **told}))
        pipeline.ltrim(self.key, 0, MOST_ENTRIES - 1)

    def entries(self, limit: int = 100) -> list[dict[str, Any]]:
        """Lists the entries, the newest first: at (seconds since the epoch), by, what, and facts. Leaves out those that
        are damaged.
        """
        with mapped():
            return read_entries(self.redis, self.key, limit, "by", "what")


def shortened(what: str) -> str:
    """Returns the text, or so much of it as an entry may have."""
    return what if len(what) <= LONGEST else f"{what[: LONGEST - 1]}…"


def listed(what: str, names: Sequence[str]) -> str:
    """Returns the text with the names that are whole in an entry, and how many more there are."""
    shown, room = 0, LONGEST - len(what) - len(f" and {len(names)} more")
    for name in names:
        room -= len(name) + len(", ")
        if room < 0:
            break
        shown += 1
    more = f" and {len(names) - shown} more" if shown < len(names) else ""
    return f"{what}{', '.join(names[:shown])}{more}"


def change_in(name: str, before: str, after: str) -> Change:
    """Returns the change of one value."""
    return {"before": {name: before}, "after": {name: after}}


def suppression_change(before: Suppressed | None, after: Suppressed | None) -> Change:
    """Returns the change of an entry of the suppression list."""
    return change_in("suppressed", *(entry.reason if entry else "no" for entry in (before, after)))
