"""Reconcile: what somebody did to RQ's jobs, beside sesq, has its right effect on the messages.

A message whose job was cancelled is cancelled. One whose job was taken away gets its job, and its place, back: RQ's own
tools can do that (rq-dashboard empties a queue, a stock worker that cannot start fails its jobs), and the message was
accepted, so it must not be lost with its job.
"""

from __future__ import annotations

import logging
from contextlib import suppress

from redis import Redis
from rq.intermediate_queue import IntermediateQueue

from sesq.config.batches import Batch, Batches
from sesq.config.connection import mapped
from sesq.config.errors import InvalidMessage, UnknownMessage, WrongState
from sesq.config.job import DELIVER, DELIVER_CHUNK, KEEP_SECONDS, job_fields, rq_key
from sesq.config.keys import Keys, queue_name
from sesq.config.messages import Messages, Record
from sesq.config.replies import text, texts
from sesq.config.snapshot import redis_now
from sesq.config.states import Lane, State

log = logging.getLogger("sesq.sync")

SETTLED_SECONDS = 60.0
"""A message that has just been queued, or a job that is just being taken out, may be in no list for a moment."""
PLACES = {
    "queue": (State.QUEUED,),
    "scheduled": (State.SCHEDULED, State.RETRYING),
    "deferred": (State.HELD, State.UNKNOWN),
}
"""Where RQ keeps what waits, and for which states."""
LONGEST_QUEUE = 200_000
"""Longer ones are not compared: the next sync finds them shorter."""


def restore_lost_jobs(redis: Redis, account: str) -> int:
    """Gives back what waits by our records and not by RQ's, unless RQ was told to cancel it. How many it gave back."""
    _clear_intermediate(redis, Keys(account))
    restored = 0
    for registry, states in PLACES.items():
        lost = _lost(redis, Keys(account), registry, states)
        restored += sum(_settle(redis, account, id, registry) for id in lost)
    if restored:
        log.warning("account %s: %d messages had lost their RQ job; they have it again", account, restored)
    return restored


def _clear_intermediate(redis: Redis, keys: Keys) -> None:
    """Takes out what a worker of RQ's was taking when it was killed, as RQ's own maintenance does after a minute."""
    for lane in Lane:
        taken = IntermediateQueue(rq_key("queue", keys.queue(lane)), redis)
        with mapped():
            for id in taken.get_job_ids():
                if not taken.set_first_seen(id) and taken.should_be_cleaned_up(id):
                    taken.remove(id)
                    redis.delete(taken.get_first_seen_key(id))


def _lost(redis: Redis, keys: Keys, registry: str, states: tuple[State, ...]) -> list[str]:
    """What is in one of these states and not where RQ keeps such. Counts, which cost next to nothing, come first."""
    recorded = [keys.state(state) for state in states]
    places = _lists(keys) if registry == "queue" else _registries(keys, registry)
    with mapped():
        there = sum(map(redis.llen if registry == "queue" else redis.zcard, places))
        there -= _chunks(redis, keys, registry)
        if sum(map(redis.zcard, recorded)) <= there or there > LONGEST_QUEUE:
            return []
        settled = redis_now(redis) - SETTLED_SECONDS
        old = [id for key in recorded for id in texts(redis.zrangebyscore(key, "-inf", settled))]
        present = _queued(redis, keys) | _taken(redis, keys)
        if (
            registry != "queue"
        ):  # by RQ's tools it may have come into its queue, which our record learns when it goes
            present |= {id for key in places for id in texts(redis.zrange(key, 0, -1))}
    return [id for id in old if id not in present]


def _chunks(redis: Redis, keys: Keys, registry: str) -> int:
    """The jobs of batches that stand where messages do."""
    batches = Batches(redis, keys.account).all()
    if registry == "queue":
        return sum(batch.jobs for batch in batches)
    return sum(redis.llen(keys.parked(batch.id)) for batch in batches) if registry == "deferred" else 0


def _settle(redis: Redis, account: str, id: str, registry: str) -> bool:
    """Cancels one, or gives it its job again: then True. What changes meanwhile needs neither."""
    messages = Messages(redis, account)
    with mapped():
        status = redis.hget(rq_key("job", id), "status")
    with suppress(WrongState, UnknownMessage, InvalidMessage):  # the last: of another version of sesq
        if status == b"canceled":
            messages.cancel(id, "RQ's own cancel")
            log.info("account %s: message %s: cancelled, as its RQ job was", account, id)
        else:
            _restore(redis, messages, messages.get(id), registry)
            return True
    return False


def restore_lost_chunks(redis: Redis, account: str) -> int:
    """The same for the chunks of batches: recipients wait in them, and no queue of RQ's holds their job."""
    going = [batch for batch in Batches(redis, account).all() if batch.ended is None or batch.jobs]
    return sum(_restore_chunks(redis, account, batch) for batch in going)


def _restore_chunks(redis: Redis, account: str, batch: Batch) -> int:
    keys = Keys(account)
    with mapped():
        if not batch.jobs and not redis.exists(keys.parked(batch.id)):
            return 0
        if batch.state != "paused":  # whoever resumed it may have died before its chunks were back
            Batches(redis, account).unpark(batch.id)
        waiting = _waiting_chunks(redis, keys, batch)
        cancelled = [id for id, (_, status) in waiting.items() if status == "canceled"]
        for id in cancelled:
            count = Batches(redis, account).cancel_chunk(id)
            log.info("batch %s: %d of it cancelled, as the RQ job of their chunk was", batch.id, count)
        queued = [id for id, (place, _) in waiting.items() if place == State.QUEUED.value]
        if batch.state != "running" or not queued:
            return 0
        present = _queued(redis, keys) | _taken(redis, keys) | set(cancelled)
        gone = [id for id in queued if id not in present]
        for id in gone:
            fields = job_fields(
                DELIVER_CHUNK, account, id, keys.queue(Lane.BULK), KEEP_SECONDS, f"sesq chunk {id}"
            )
            redis.hset(rq_key("job", id), items=[*fields, "status", "queued"])
        if gone:
            redis.rpush(rq_key("queue", keys.queue(Lane.BULK)), *gone)
            log.warning("batch %s: %d of its jobs were lost; they are queued again", batch.id, len(gone))
    return len(gone)


def _waiting_chunks(redis: Redis, keys: Keys, batch: Batch) -> dict[str, tuple[str, str]]:
    """The chunks in which recipients wait: where RQ should have their jobs, and the status that it gives them."""
    ids = [f"{batch.id}-{number}" for number in range(batch.chunks)]
    pipeline = redis.pipeline(transaction=False)
    for id in ids:
        pipeline.hget(keys.chunk(id), "place")
        pipeline.hget(rq_key("job", id), "status")
    told = [text(each) for each in pipeline.execute()]
    found = dict(zip(ids, zip(told[::2], told[1::2], strict=True), strict=True))
    return {id: each for id, each in found.items() if each[0] in (State.QUEUED.value, State.HELD.value)}


def _lists(keys: Keys) -> list[str]:
    """Where RQ keeps what waits: its queues, and what its single-queue workers are just taking."""
    queues = [rq_key("queue", keys.queue(lane)) for lane in Lane]
    return [*queues, *(f"{queue}:intermediate" for queue in queues)]


def _queued(redis: Redis, keys: Keys) -> set[str]:
    return {id for key in _lists(keys) for id in texts(redis.lrange(key, 0, -1))}


def _taken(redis: Redis, keys: Keys) -> set[str]:
    """What RQ's own workers are running: they take a job out before they ask the gate."""
    entries = [entry for key in _registries(keys, "wip") for entry in texts(redis.zrange(key, 0, -1))]
    return {entry.partition(":")[0] for entry in entries}


def _registries(keys: Keys, name: str) -> list[str]:
    return [rq_key(name, keys.queue(lane)) for lane in Lane]


def _restore(redis: Redis, messages: Messages, record: Record, registry: str) -> None:
    id, account = record.id, record.account
    queue = queue_name(account, record.lane)
    with mapped():
        keep = int(texts([redis.hget(messages.keys.message(id), "keep")])[0] or KEEP_SECONDS)
        fields = job_fields(DELIVER, account, id, queue, keep, f"sesq message {id}")
        status = "queued" if registry == "queue" else registry
        redis.hset(rq_key("job", id), items=[*fields, "status", status])
        if registry != "queue":
            # when another try was due, RQ alone knew: it is due now
            due = record.send_at if record.state is State.SCHEDULED else None
            redis.zadd(rq_key(registry, queue), {id: due or redis_now(redis)})
            return
    messages.restore(id)
