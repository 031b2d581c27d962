"""One webhook in Redis: who delivers for it, how it does, and what waits.

One process at a time delivers; it holds a lease, and each of its changes is made only while it does.
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
    """Returns the names of the webhooks that events are kept for."""
    names = [each.name for each in consumers(redis, account)]
    return [name.removeprefix(OF_WEBHOOK) for name in names if name.startswith(OF_WEBHOOK)]


class WebhookStore(WebhookQueue):
    """Every method raises QueueUnavailable when Redis cannot be reached."""

    # who delivers

    def hold(self, token: str, seconds: float) -> bool:
        """Whether the process of that token delivers, for so many seconds more."""
        milliseconds = round(seconds * 1000)
        with mapped():
            if self.redis.set(self._runner, token, nx=True, px=milliseconds):
                self.redis.hsetnx(self._health, "delivered", "0")
                return True
            if text(self.redis.get(self._runner)) != token:
                return False
            return bool(self.redis.pexpire(self._runner, milliseconds))

    def leave(self, token: str) -> None:
        """Lets another process deliver at once."""

        def change(pipeline: Pipeline) -> None:
            pipeline.multi()
            pipeline.delete(self._runner)

        self._changed(change, token)

    def mend(self, now: float) -> None:
        """Repairs what a damaged key has left: removes bad figures, and gives what waits its time again."""
        with mapped():
            found = text_hash(self.redis.hgetall(self._health))
            wrong = [name for name in COUNTS if name in found and _count(found[name]) is None]
            if wrong:
                self.redis.hset(self._health, mapping=dict.fromkeys(wrong, "0"))
        super().mend(now)

    # how it does

    def health(self) -> Health:
        """Returns what is known of it."""
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
        """So many were delivered: it does not fail."""
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
        """Nothing is delivered until `enable`; what waits is kept."""
        with mapped():
            self.redis.hset(self._health, items=["disabled_at", f"{now:.3f}", "disabled_because", because])

    def enable(self, now: float) -> bool:
        """Delivers again, what waits at once. Returns whether it was disabled."""
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
        """Forgets the webhook and all that waits for it. Returns whether there was anything."""
        with mapped():
            return bool(
                self.redis.delete(
                    self._health, self._waiting, self._order, self._due, self._dead, self._runner
                )
            )


def _time(value: str | None) -> float | None:
    """None also if it is not a time: a damaged value stops nothing."""
    with suppress(ValueError):
        found = float(value or "")
        return found if math.isfinite(found) else None
    return None


def _count(value: str | None) -> int | None:
    """None if it is not a count."""
    return int(value) if value and _DIGITS.fullmatch(value) else None
