"""Reconcile: what somebody did to RQ's jobs, beside sesq, has its right effect on the messages.

A message whose job was cancelled is cancelled. One whose job was taken away gets its job, and its place, back: RQ's own
tools can do that (rq-dashboard empties a queue, a stock worker that cannot start fails its jobs), and the message was
accepted, so it must not be lost with its job. What is compared are ids, page by page.
"""

from __future__ import annotations

import heapq
import logging
import time
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import cast

from redis import Redis
from rq.intermediate_queue import IntermediateQueue

from sesq.config.connection import mapped
from sesq.config.errors import UnknownMessage, WrongState
from sesq.queue.batches import Batch, Batches
from sesq.queue.job import DELIVER, DELIVER_CHUNK, KEEP_SECONDS, job_fields, rq_key
from sesq.queue.keys import Keys
from sesq.queue.messages import Messages
from sesq.queue.replies import text
from sesq.queue.scripts import LIFECYCLE, Call, compose, run_many
from sesq.queue.snapshot import redis_now
from sesq.queue.states import Lane, State

RESTORE = compose("restore.lua", base=[LIFECYCLE])

log = logging.getLogger("sesq.sync")

SETTLED_SECONDS = 60.0
"""A message that has just been queued, or a job that is just being taken out, may be in no list for a moment."""
PLACES = {
    "queue": (State.QUEUED,),
    "scheduled": (State.SCHEDULED, State.RETRYING),
    "deferred": (State.HELD, State.UNKNOWN),
}
"""Where RQ keeps what waits, and for which states."""
PAGE = 5000
MOST_RESTORED = 10_000
"""In one pass; the next one goes on."""
RESTORED_AT_ONCE = 100
SHORT_PASS_SECONDS, SHARE_OF_TIME = 0.5, 0.01
"""A longer pass than that is followed by a pause, so that all passes take no more than this share of the time."""


class Ids:
    """A set of ids, of which there may be millions: 8 bytes each. Two that look alike are one in 10^13 times."""

    def __init__(self, ids: Iterable[bytes]) -> None:
        self._hashes = array("q", sorted(map(hash, ids)))

    def __contains__(self, id: bytes) -> bool:
        wanted = hash(id)
        place = bisect_left(self._hashes, wanted)
        return place < len(self._hashes) and self._hashes[place] == wanted


def reconcile(redis: Redis, account: str) -> None:
    """Restores what was lost, unless a long pass has just ended."""
    keys, began = Keys(account), time.monotonic()
    with mapped():
        if redis.exists(keys.reconciled):
            return
    restore_lost_jobs(redis, account)
    restore_lost_chunks(redis, account)
    took = time.monotonic() - began
    if took > SHORT_PASS_SECONDS:
        with mapped():
            redis.set(keys.reconciled, 1, px=int(took / SHARE_OF_TIME * 1000))


def restore_lost_jobs(redis: Redis, account: str) -> int:
    """Gives back what waits by our records and not by RQ's, unless RQ was told to cancel it. How many it gave back."""
    keys = Keys(account)
    _clear_intermediate(redis, keys)
    settled = redis_now(redis) - SETTLED_SECONDS
    with mapped():
        queued = Ids(_standing(redis, keys))
        lost = [
            id
            for registry, states in PLACES.items()
            for id in _lost(redis, keys, registry, states, settled, queued)
        ]
    restored = _restore(redis, account, DELIVER, lost, settled)
    if restored:
        log.warning("account %s: %d messages had lost their RQ job; they have it again", account, restored)
    return restored


def _lost(
    redis: Redis, keys: Keys, registry: str, states: tuple[State, ...], settled: float, queued: Ids
) -> list[str]:
    """What has long been in one of these states and is not where RQ keeps such: the first to wait of it.

    By RQ's tools it may also have come into its queue, which our record learns when it goes.
    """
    there = Ids(_registered(redis, keys, registry)) if registry != "queue" else queued
    waiting = (
        (at, id)
        for state in states
        for id, at in redis.zscan_iter(keys.state(state), count=PAGE)
        if at <= settled
    )
    missing = ((at, id) for at, id in waiting if id not in there and id not in queued)
    return [text(id) for _, id in heapq.nsmallest(MOST_RESTORED, missing)]


def _restore(redis: Redis, account: str, function: str, ids: list[str], settled: float) -> int:
    """Gives jobs back, each where it still has none; cancels what RQ was told to cancel. How many it gave back."""
    restored = 0
    for page in _pages(ids):
        with mapped():
            answers = run_many(redis, account, [_restoring(account, function, id, settled) for id in page])
        restored += answers.count(1)
        for id, answer in zip(page, answers, strict=True):
            if answer == b"canceled":
                _cancel(redis, account, id)
    return restored


def _restoring(account: str, function: str, id: str, settled: float) -> Call:
    lane = Lane.BULK if function == DELIVER_CHUNK else Lane.TRANSACTIONAL
    what = "chunk" if function == DELIVER_CHUNK else "message"
    fields = job_fields(function, account, id, Keys(account).queue(lane), KEEP_SECONDS, f"sesq {what} {id}")
    return RESTORE, (id, settled, *fields)


def _cancel(redis: Redis, account: str, id: str) -> None:
    """What changes meanwhile needs it not."""
    with suppress(WrongState, UnknownMessage):
        Messages(redis, account).cancel(id, "RQ's own cancel")
        log.info("account %s: message %s: cancelled, as its RQ job was", account, id)


def _clear_intermediate(redis: Redis, keys: Keys) -> None:
    """Takes out what a worker of RQ's was taking when it was killed, as RQ's own maintenance does after a minute."""
    for lane in Lane:
        taken = IntermediateQueue(rq_key("queue", keys.queue(lane)), redis)
        with mapped():
            for id in taken.get_job_ids():
                if not taken.set_first_seen(id) and taken.should_be_cleaned_up(id):
                    taken.remove(id)
                    redis.delete(taken.get_first_seen_key(id))


def restore_lost_chunks(redis: Redis, account: str) -> int:
    """The same for the chunks of batches: recipients wait in them, and no queue of RQ's holds their job."""
    going = [batch for batch in Batches(redis, account).all() if batch.ended is None or batch.jobs]
    if not going:
        return 0
    with mapped():
        queued = Ids(_standing(redis, Keys(account)))
    return sum(_restore_chunks(redis, account, batch, queued) for batch in going)


def _restore_chunks(redis: Redis, account: str, batch: Batch, queued: Ids) -> int:
    keys, restored = Keys(account), 0
    with mapped():
        if not batch.jobs and not redis.exists(keys.parked(batch.id)):
            return 0
        if batch.state != "paused":  # whoever resumed it may have died before its chunks were back
            Batches(redis, account).unpark(batch.id)
    for page in _pages([f"{batch.id}-{number}" for number in range(batch.chunks)]):
        waiting = _waiting_chunks(redis, keys, page)
        cancelled = [id for id, (_, status) in waiting.items() if status == "canceled"]
        for id in cancelled:
            count = Batches(redis, account).cancel_chunk(id)
            log.info("batch %s: %d of it cancelled, as the RQ job of their chunk was", batch.id, count)
        gone = [
            id
            for id, (place, _) in waiting.items()
            if place == State.QUEUED.value and id not in cancelled and id.encode() not in queued
        ]
        restored += _restore(redis, account, DELIVER_CHUNK, gone, 0.0)
    if restored:
        log.warning("batch %s: %d of its jobs were lost; they are queued again", batch.id, restored)
    return restored


def _waiting_chunks(redis: Redis, keys: Keys, ids: list[str]) -> dict[str, tuple[str, str]]:
    """The chunks in which recipients wait: where RQ should have their jobs, and the status that it gives them."""
    with mapped():
        pipeline = redis.pipeline(transaction=False)
        for id in ids:
            pipeline.hget(keys.chunk(id), "place")
            pipeline.hget(rq_key("job", id), "status")
        told = [text(each) for each in pipeline.execute()]
    found = dict(zip(ids, zip(told[::2], told[1::2], strict=True), strict=True))
    return {id: each for id, each in found.items() if each[0] in (State.QUEUED.value, State.HELD.value)}


def _standing(redis: Redis, keys: Keys) -> Iterator[bytes]:
    """What is in the lanes, or in the hands of RQ's own workers, which take a job out before they ask the gate."""
    for lane in Lane:
        queue = rq_key("queue", keys.queue(lane))
        stale = Ids(cast("Iterator[bytes]", redis.sscan_iter(keys.stale(keys.queue(lane)), count=PAGE)))
        for key in (queue, f"{queue}:intermediate"):
            yield from (id for id in _entries(redis, key) if id not in stale)
    for entry in _registered(redis, keys, "wip"):
        yield entry.partition(b":")[0]


def _entries(redis: Redis, key: str) -> Iterator[bytes]:
    """A whole list. From its end: what is taken from its head, or added to its end meanwhile, makes no gap."""
    last = -1
    while page := cast("list[bytes]", redis.lrange(key, last - PAGE + 1, last)):
        yield from page
        last -= PAGE


def _registered(redis: Redis, keys: Keys, name: str) -> Iterator[bytes]:
    for lane in Lane:
        for id, _ in redis.zscan_iter(rq_key(name, keys.queue(lane)), count=PAGE):
            yield id


def _pages(ids: list[str]) -> Iterator[list[str]]:
    return (ids[start : start + RESTORED_AT_ONCE] for start in range(0, len(ids), RESTORED_AT_ONCE))
