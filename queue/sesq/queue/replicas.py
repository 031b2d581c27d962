"""Waits until a replica of Redis, if there is one, has data that must survive a fail-over."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from math import inf

from redis import Redis
from redis.client import Pipeline
from redis.exceptions import ResponseError

log = logging.getLogger("sesq.redis")

WAIT_MS = 500
ASK_AGAIN_SECONDS = 5.0


class Replicas:
    """Waits for the replicas of one Redis. The master has the data in any case: the wait is for a second copy."""

    def __init__(self, redis: Redis, clock: Callable[[], float] = time.monotonic) -> None:
        self.redis = redis
        self.clock = clock
        self._there = False
        self._asked_at = -inf

    def are_there(self) -> bool:
        """Whether this Redis has a replica. The answer is at most some seconds old."""
        if self.clock() - self._asked_at > ASK_AGAIN_SECONDS:
            self._there, self._asked_at = self._ask(), self.clock()
        return self._there

    def queue_wait(self, pipeline: Pipeline) -> None:
        """Adds the wait to a pipeline; its last answer then goes to `note`."""
        pipeline.execute_command("WAIT", 1, WAIT_MS)  # type: ignore[no-untyped-call]

    def note(self, copies: object) -> None:
        """Notes the answer of a wait. If it failed, there is no wait for some seconds, to keep mail moving."""
        if not isinstance(copies, int) or copies < 1:
            log.warning("no replica of Redis has confirmed a write within %d ms", WAIT_MS)
            self._there, self._asked_at = False, self.clock()

    def _ask(self) -> bool:
        try:
            role = self.redis.execute_command("ROLE")  # type: ignore[no-untyped-call]
        except ResponseError:  # this user may not ask
            return False
        return role[0] in (b"master", "master") and bool(role[2])
