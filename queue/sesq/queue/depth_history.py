"""Keeps how many recipients waited in each minute of the last day: 11 kB an account, however much mail there is.

Workers note it at each sync of the account. The gate's ledger has how many were sent in each minute.
"""

from __future__ import annotations

import struct
from typing import cast

from redis import Redis

from sesq.config.connection import mapped
from sesq.queue.batches import Batches
from sesq.queue.keys import Keys
from sesq.queue.messages import Messages
from sesq.queue.snapshot import redis_now
from sesq.queue.states import WAITING_STATES, State
from sesq.queue.usage import LEDGER_SLOTS

_cell = struct.Struct("<II")
"""The minute (since the epoch) and how many waited. Minute m is in slot m mod 1,442."""
MOST = 2**32 - 1


class DepthHistory:
    """Keeps how many waited in an account. Every method raises QueueUnavailable when Redis cannot be reached."""

    def __init__(self, redis: Redis, account: str = "default") -> None:
        self.redis = redis
        self.account = account
        self.keys = Keys(account)

    def note(self) -> None:
        """Notes how many wait in this minute. The last note of a minute counts."""
        minute, waiting = int(redis_now(self.redis) // 60), min(count_waiting(self.redis, self.account), MOST)
        with mapped():
            self.redis.setrange(
                self.keys.depth_history,
                minute % LEDGER_SLOTS * _cell.size,
                _cell.pack(minute, waiting),
            )

    def waiting(self, since: int) -> dict[int, int]:
        """Returns minute -> how many waited, from the minute `since` on. Minutes in which no worker ran are missing."""
        with mapped():
            packed = cast("bytes", self.redis.get(self.keys.depth_history) or b"")
        whole = packed[: len(packed) // _cell.size * _cell.size]
        return {minute: waiting for minute, waiting in _cell.iter_unpack(whole) if minute >= since}


def count_waiting(redis: Redis, account: str) -> int:
    """Counts the messages, and recipients of batches, that wait to be sent."""
    counts = Messages(redis, account).counts()
    batches = Batches(redis, account).all()
    return sum(counts[state] for state in WAITING_STATES) + sum(
        batch.compact[State.QUEUED] for batch in batches if batch.state in ("running", "paused")
    )
