"""Keeps the progress of each batch over time: at most 240 cells of 24 bytes a batch, however long it lasts.

Workers note it at each sync of the account, if it has changed. Sending a mail does not touch it.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import cast

from redis import Redis

from sesq.config.connection import mapped
from sesq.queue.batch import Batch
from sesq.queue.batches import Batches
from sesq.queue.keys import Keys
from sesq.queue.scripts import JOBS, Call, compose, run_many
from sesq.queue.snapshot import redis_now
from sesq.queue.states import State

NOTE_PROGRESS = compose("note_progress.lua", JOBS)
LOOKED_AT_SECONDS = 3 * 86_400
"""How long after its end a batch is still noted: deliveries, bounces and complaints come later."""
MOST_BATCHES = 500
"""How many batches are noted, the newest first, so that a sync stays short with any number of batches."""
_cell = struct.Struct("<6I")


@dataclass(frozen=True, slots=True)
class Progress:
    """Counts the recipients of a batch at one time (seconds since the epoch).

    `sent`: SES took their mail, whatever happened to it later. `failed`: they get no mail, because it failed, or was
    refused, suppressed, cancelled or too late.
    """

    at: float
    sent: int = 0
    delivered: int = 0
    bounced: int = 0
    complained: int = 0
    failed: int = 0

    @classmethod
    def of(cls, batch: Batch, at: float) -> Progress:
        """Returns the progress of a batch now."""
        return cls(
            at,
            batch.sent,
            delivered=batch.counts[State.DELIVERED],
            bounced=batch.counts[State.BOUNCED],
            complained=batch.counts[State.COMPLAINED],
            failed=max(0, batch.total - batch.sent - batch.left - batch.stuck),
        )

    @property
    def counts(self) -> tuple[int, ...]:
        """All counts, in the order in which they are kept."""
        return self.sent, self.delivered, self.bounced, self.complained, self.failed


def note_progress(redis: Redis, account: str) -> None:
    """Notes the progress of the newest batches, except those that ended long ago. Raises QueueUnavailable."""
    now = redis_now(redis)
    batches = (
        each
        for each in Batches(redis, account).all(MOST_BATCHES)
        if each.ended is None or now - each.ended < LOOKED_AT_SECONDS
    )
    calls: list[Call] = [(NOTE_PROGRESS, (each.id, *Progress.of(each, now).counts)) for each in batches]
    with mapped():
        run_many(redis, account, calls)


def read_progress(redis: Redis, batch: Batch, now: float) -> list[Progress]:
    """Reads the progress of a batch from its beginning until now, or until its last change if it has ended.

    Raises QueueUnavailable.
    """
    with mapped():
        packed = cast("bytes", redis.get(Keys(batch.account).progress(batch.id)) or b"")
    whole = packed[: len(packed) // _cell.size * _cell.size]
    noted = [Progress(*cell) for cell in _cell.iter_unpack(whole)]
    until = now if batch.ended is None else max([batch.ended, *(each.at for each in noted[-1:])])
    return [Progress(batch.created), *noted, Progress.of(batch, until)]
