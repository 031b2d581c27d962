"""Where Redis has replicas, what has to survive a fail-over is waited for until one of them has it."""

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
    """The replicas of one Redis. What is written is on the master in any case: the wait asks for a second copy."""

    def __init__(self, redis: Redis, clock: Callable[[], float] = time.monotonic) -> None:
        self.redis = redis
        self.clock = clock
        self._there = False
        self._asked_at = -inf

    def are_there(self) -> bool:
        """Whether this Redis has a replica, as it said some seconds ago at most."""
        if self.clock() - self._asked_at > ASK_AGAIN_SECONDS:
            self._there, self._asked_at = self._ask(), self.clock()
        return self._there

    def queue_wait(self, pipeline: Pipeline) -> None:
        """Adds the wait to a pipeline; its last answer then goes to `note`."""
        pipeline.execute_command("WAIT", 1, WAIT_MS)  # type: ignore[no-untyped-call]

    def note(self, copies: object) -> None:
        """What the wait brought. After one in vain it is some seconds until the next, so that nothing stands still."""
        if not isinstance(copies, int) or copies < 1:
            log.warning("no replica of Redis has confirmed a write within %d ms", WAIT_MS)
            self._there, self._asked_at = False, self.clock()

    def _ask(self) -> bool:
        try:
            role = self.redis.execute_command("ROLE")  # type: ignore[no-untyped-call]
        except ResponseError:  # this user may not ask
            return False
        return role[0] in (b"master", "master") and bool(role[2])
