"""Keeps one webhook in Redis: who delivers for it, its health, and its events.

One process at a time delivers. It holds a lease, and may change the webhook only with that lease.
"""

from __future__ import annotations

import math
import re
from contextlib import suppress
from typing import Any

from redis import Redis
from redis.client import Pipeline

from sesq.config.connection import mapped
from sesq.queue.consumers import consumers
from sesq.queue.events import OF_WEBHOOK
from sesq.queue.replies import text, text_hash, texts
from sesq.queue.webhook_queue import WebhookQueue
from sesq.queue.webhook_records import Health, failing_from

COUNTS = ("delivered", "dropped")
_DIGITS = re.compile("[0-9]{1,15}")


def known_webhooks(redis: Redis, account: str) -> list[str]:
    """Returns the names of the webhooks for which events are kept."""
    names = [each.name for each in consumers(redis, account)]
    return [name.removeprefix(OF_WEBHOOK) for name in names if name.startswith(OF_WEBHOOK)]


class WebhookStore(WebhookQueue):
    """Keeps one webhook. Every method raises QueueUnavailable."""

    # who delivers

    def hold(self, token: str, seconds: float) -> bool:
        """Takes or renews the lease for so many seconds. Returns whether the process with that token has it."""
        milliseconds = round(seconds * 1000)
        with mapped():
            if self.redis.set(self._runner, token, nx=True, px=milliseconds):
                self.redis.hsetnx(self._health, "delivered", "0")
                return True
            if text(self.redis.get(self._runner)) != token:
                return False
            return bool(self.redis.pexpire(self._runner, milliseconds))

    def leave(self, token: str) -> None:
        """Gives up the lease, so that another process can deliver at once."""

        def change(pipeline: Pipeline) -> None:
            pipeline.multi()
            pipeline.delete(self._runner)

        self._changed(change, token)

    def mend(self, now: float) -> None:
        """Repairs a webhook after damage: resets bad counts, and restores the places and times of its events."""
        with mapped():
            found = text_hash(self.redis.hgetall(self._health))
            wrong = [name for name in COUNTS if name in found and _count(found[name]) is None]
            if wrong:
                self.redis.hset(self._health, mapping=dict.fromkeys(wrong, "0"))
        super().mend(now)

    # its health

    def health(self) -> Health:
        """Reads the health of the webhook."""
        with mapped():
            pipeline = self.redis.pipeline(transaction=False)
            pipeline.hgetall(self._health)
            pipeline.hlen(self._waiting)
            pipeline.llen(self._dead)
            pipeline.exists(self._runner)
            fields, waiting, dead, runs = pipeline.execute()
        found = text_hash(fields)
        times = {name: _time(found.get(name)) for name in ("last_ok", "failing_since", "disabled_at")}
        words = {name: found.get(name, "") for name in ("why", "disabled_because")}
        counts = {name: _count(found.get(name)) or 0 for name in COUNTS}
        of_lists: dict[str, Any] = {"waiting": waiting, "dead": dead, "is_running": bool(runs)}
        return Health(**times, **words, **counts, **of_lists)  # type: ignore[arg-type]

    def note_delivered(self, count: int, now: float) -> None:
        """Notes that so many events were delivered."""
        with mapped():
            pipeline = self.redis.pipeline()
            pipeline.hincrby(self._health, "delivered", count)
            pipeline.hset(self._health, "last_ok", f"{now:.3f}")
            pipeline.hdel(self._health, "failing_since", "failed_at", "why")
            pipeline.execute()

    def note_failure(self, why: str, now: float) -> float:
        """Notes that a delivery failed. Returns since when all deliveries fail without a gap (s)."""
        with mapped():
            since, last = map(_time, texts(self.redis.hmget(self._health, "failing_since", "failed_at")))
            since = failing_from(since, last, now)
            told = ["failing_since", f"{since:.3f}", "failed_at", f"{now:.3f}", "why", why]
            self.redis.hset(self._health, items=told)
            return since

    def disable(self, because: str, now: float) -> None:
        """Stops deliveries until `enable`. Waiting events are kept."""
        with mapped():
            self.redis.hset(self._health, items=["disabled_at", f"{now:.3f}", "disabled_because", because])

    def enable(self, now: float) -> bool:
        """Lets deliveries go on, with the waiting events at once. Returns whether it was disabled."""
        with mapped():
            ids = texts(self.redis.zrange(self._due, 0, -1))
            pipeline = self.redis.pipeline()
            pipeline.hdel(
                self._health, "disabled_at", "disabled_because", "failing_since", "failed_at", "why"
            )
            for id in ids:
                pipeline.zadd(self._due, {id: now}, xx=True)
            return bool(pipeline.execute()[0])

    def delete(self) -> bool:
        """Deletes the webhook's keys with all its events. Returns whether there were any."""
        with mapped():
            return bool(
                self.redis.delete(
                    self._health, self._waiting, self._order, self._due, self._dead, self._runner
                )
            )


def _time(value: str | None) -> float | None:
    """Reads a time (s); None if it is missing or damaged."""
    with suppress(ValueError):
        found = float(value or "")
        return found if math.isfinite(found) else None
    return None


def _count(value: str | None) -> int | None:
    """Reads a count; None if it is missing or damaged."""
    return int(value) if value and _DIGITS.fullmatch(value) else None
