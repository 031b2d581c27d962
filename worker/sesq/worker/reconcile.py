"""Reconciles messages with RQ's jobs, which people may change with RQ's tools.

A message whose job was cancelled is cancelled. A message whose job was removed gets its job, and its place, back: RQ's
tools may remove it (rq-dashboard empties a queue); so may a stock RQ worker that is killed with the job. The message
was accepted, so it must not be lost with its job. The ids are compared page by page.
"""

from __future__ import annotations

import heapq
import logging
import time
from collections.abc import Sequence
from contextlib import suppress

from redis import Redis

from sesq.config.connection import mapped
from sesq.config.errors import UnknownMessage, WrongState
from sesq.queue.batch import Batch
from sesq.queue.batches import Batches
from sesq.queue.job import job_fields, rq_key
from sesq.queue.keys import Keys
from sesq.queue.messages import Messages
from sesq.queue.replies import text
from sesq.queue.scripts import MESSAGES, Call, compose, run_many
from sesq.queue.shares import give_turns
from sesq.queue.snapshot import redis_now
from sesq.queue.states import Lane, State
from sesq.worker.rq_lists import PAGE, Ids, registered, standing, take_from_the_dead

RESTORE = compose("restore.lua", MESSAGES)

log = logging.getLogger("sesq.sync")

SETTLED_SECONDS = 60.0
"""A message that is just being queued, or a job that is just being taken out, may be in no list for a moment."""
PLACES = {
    "queue": (State.QUEUED,),
    "scheduled": (State.SCHEDULED, State.RETRYING),
    "deferred": (State.HELD, State.UNKNOWN),
}
"""RQ's registry of waiting jobs -> the states that belong there."""
ENDS = {
    "failed": (State.REFUSED, State.FAILED, State.SUPPRESSED, State.EXPIRED),
    "canceled": (State.CANCELLED,),
}
"""RQ's registry of ended jobs -> the states that belong there."""
MOST_RESTORED = 10_000
"""Jobs restored in one pass. The next pass goes on."""
RESTORED_AT_ONCE = 100
SHORT_PASS_SECONDS, SHARE_OF_TIME = 0.5, 0.01
"""After a longer pass there is a pause, so that all passes take at most this share of the time."""


def reconcile_in_turn(redis: Redis, account: str) -> None:
    """Reconciles, unless a long pass has ended a short time ago."""
    keys, began = Keys(account), time.monotonic()
    with mapped():
        if redis.exists(keys.reconciled):
            return
    reconcile(redis, account)
    took = time.monotonic() - began
    if took > SHORT_PASS_SECONDS:
        with mapped():
            redis.set(keys.reconciled, 1, px=int(took / SHARE_OF_TIME * 1000))


def reconcile(redis: Redis, account: str) -> int:
    """Puts the jobs of an account where its messages and chunks are, and cancels what RQ was told to cancel.

    Returns how many jobs were lost, or in a wrong place.
    """
    keys = Keys(account)
    settled = redis_now(redis) - SETTLED_SECONDS
    with mapped():
        taken = take_from_the_dead(redis, keys, settled + SETTLED_SECONDS)
        give_turns(redis, keys)
        queued = Ids(standing(redis, keys))
        lost = _lost_messages(redis, keys, settled, queued)
        elsewhere = _ended_elsewhere(redis, keys)
    lost += _lost_chunks(redis, account, queued)
    found = list(dict.fromkeys([*lost, *elsewhere, *sorted(taken)]))
    restored = _restore(redis, account, found, taken, settled)
    if restored:
        log.warning(
            "account %s: %d jobs were not where RQ should have them; they are again", account, restored
        )
    return restored


def _lost_messages(redis: Redis, keys: Keys, settled: float, queued: Ids) -> list[str]:
    """Returns messages that wait for long, but are not in RQ's registry for their state: the oldest of each kind.

    RQ's tools may have put a message into its queue. That is not lost: its record changes when it goes.
    """
    lost: list[str] = []
    for registry, states in PLACES.items():
        there = Ids(registered(redis, keys, registry)) if registry != "queue" else queued
        waiting = (
            (at, id)
            for state in states
            for id, at in redis.zscan_iter(keys.state(state), count=PAGE)
            if at <= settled
        )
        missing = ((at, id) for at, id in waiting if id not in there and id not in queued)
        lost += [text(id) for _, id in heapq.nsmallest(MOST_RESTORED, missing)]
    return lost


def _ended_elsewhere(redis: Redis, keys: Keys) -> list[str]:
    """Returns jobs that RQ lists as failed or cancelled, but whose messages have another state."""
    found: list[str] = []
    for registry, states in ENDS.items():
        ended = Ids(id for state in states for id, _ in redis.zscan_iter(keys.state(state), count=PAGE))
        others = (text(id) for id in registered(redis, keys, registry) if id not in ended)
        found += heapq.nsmallest(MOST_RESTORED, others)
    return found


def _lost_chunks(redis: Redis, account: str, queued: Ids) -> list[str]:
    """Returns the chunks in which rows wait, but whose jobs are in no RQ queue."""
    going = [batch for batch in Batches(redis, account).all() if batch.ended is None or batch.jobs]
    return [id for batch in going for id in _lost_chunks_of(redis, account, batch, queued)]


def _lost_chunks_of(redis: Redis, account: str, batch: Batch, queued: Ids) -> list[str]:
    keys = Keys(account)
    with mapped():
        if not batch.jobs and not redis.exists(keys.parked(batch.id)):
            return []
        Batches(redis, account).unpark(
            batch.id
        )  # the process that resumed it may have died before its chunks were back
    lost: list[str] = []
    for page in _pages([f"{batch.id}-{number}" for number in range(batch.chunks)]):
        waiting = _waiting_chunks(redis, keys, page)
        cancelled = [id for id, (_, status) in waiting.items() if status == "canceled"]
        for id in cancelled:
            count = Batches(redis, account).cancel_chunk(id)
            log.info("batch %s: %d of it cancelled, as the RQ job of their chunk was", batch.id, count)
        lost += [
            id
            for id, (place, _) in waiting.items()
            if place == State.QUEUED.value and id not in cancelled and id.encode() not in queued
        ]
    return lost


def _waiting_chunks(redis: Redis, keys: Keys, ids: Sequence[str]) -> dict[str, tuple[str, str]]:
    """Returns the chunks in which rows wait, with the place of each and RQ's status of its job."""
    with mapped():
        pipeline = redis.pipeline(transaction=False)
        for id in ids:
            pipeline.hget(keys.chunk(id), "place")
            pipeline.hget(rq_key("job", id), "status")
        told = [text(each) for each in pipeline.execute()]
    found = dict(zip(ids, zip(told[::2], told[1::2], strict=True), strict=True))
    return {id: each for id, each in found.items() if each[0] in (State.QUEUED.value, State.HELD.value)}


def _restore(redis: Redis, account: str, ids: Sequence[str], taken: set[str], settled: float) -> int:
    """Puts jobs where they belong, and cancels messages that RQ was told to cancel. Returns how many jobs it moved.

    Jobs that a stock RQ worker had taken go back to the head of their queue, the last of them first.
    """
    front = [id for id in ids if id in taken]
    restored = 0
    for page in _pages([id for id in ids if id not in taken]):
        answers = _run(redis, account, page, settled, front=False)
        front += [id for id, answer in zip(page, answers, strict=True) if answer == b"front"]
        restored += answers.count(1)
    for page in _pages(front[::-1]):
        restored += _run(redis, account, page, settled, front=True).count(1)
    return restored


def _run(redis: Redis, account: str, ids: Sequence[str], settled: float, *, front: bool) -> list[int | bytes]:
    with mapped():
        calls = [_restoring(account, id, settled, front=front) for id in ids]
        answers = run_many(redis, account, calls)
    for id, answer in zip(ids, answers, strict=True):
        if answer == b"canceled":
            _cancel(redis, account, id)
    return answers


def _restoring(account: str, id: str, settled: float, *, front: bool) -> Call:
    """Returns the call that restores a message. The script itself finds out which lane it is in."""
    fields = job_fields(id, Keys(account).queue(Lane.BULK), f"sesq message {id}")
    return RESTORE, (id, settled, int(front), *fields)


def _cancel(redis: Redis, account: str, id: str) -> None:
    """Cancels a message, unless it has changed or gone meanwhile."""
    with suppress(WrongState, UnknownMessage):
        Messages(redis, account).cancel(id, "RQ's own cancel")
        log.info("account %s: message %s: cancelled, as its RQ job was", account, id)


def _pages(ids: Sequence[str]) -> list[Sequence[str]]:
    return [ids[start : start + RESTORED_AT_ONCE] for start in range(0, len(ids), RESTORED_AT_ONCE)]
