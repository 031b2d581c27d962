"""Who did what in the web console. What changed limits is in the policy's own history as well."""

from __future__ import annotations

import json
from typing import Any

from redis import Redis

from sesq.config.connection import mapped
from sesq.queue.keys import Keys
from sesq.queue.replies import read_json_list
from sesq.queue.snapshot import redis_now

MOST_ENTRIES = 1000
LONGEST = 500


class Audit:
    """Of one account. Raises QueueUnavailable when Redis cannot be reached."""

    def __init__(self, redis: Redis, account: str) -> None:
        self.redis = redis
        self.key = Keys(account).audit

    def note(self, by: str, what: str) -> None:
        """Writes down one deed; the oldest ones go."""
        entry = json.dumps({"at": redis_now(self.redis), "by": by, "what": what[:LONGEST]})
        with mapped(), self.redis.pipeline() as pipeline:
            pipeline.lpush(self.key, entry)
            pipeline.ltrim(self.key, 0, MOST_ENTRIES - 1)
            pipeline.execute()

    def entries(self, limit: int = 100) -> list[dict[str, Any]]:
        """The newest first: at (seconds since the epoch), by, what."""
        with mapped():
            return read_json_list(self.redis, self.key, limit)
