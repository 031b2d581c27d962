"""Reconcile: a queued message whose RQ job somebody has taken away gets its job, and its place, back.

RQ's own tools can do that: rq-dashboard empties a queue, a stock worker that cannot start fails its jobs. The message
was accepted, so it must not be lost with its job.
"""

from __future__ import annotations

import logging

from redis import Redis
from rq.defaults import RQ_KEY_PREFIX

from sesq.config.batches import Batches
from sesq.config.connection import mapped
from sesq.config.job import DELIVER, DELIVER_CHUNK, job_fields
from sesq.config.keys import Keys, queue_name
from sesq.config.messages import Messages
from sesq.config.replies import texts
from sesq.config.snapshot import redis_now
from sesq.config.states import Lane, State

log = logging.getLogger("sesq.sync")

SETTLED_SECONDS = 60.0
"""A message that has just been queued, or a job that is just being taken out, may be in no list for a moment."""
KEEP_SECONDS = 14 * 86_400
LONGEST_QUEUE = 200_000
"""Longer ones are not compared: the next sync finds them shorter."""


def restore_lost_jobs(redis: Redis, account: str) -> int:
    """Queues again what our records call queued and no queue of RQ's holds. How many there were."""
    keys = Keys(account)
    with mapped():
        pipeline = redis.pipeline(transaction=False)
        pipeline.zcard(keys.state(State.QUEUED))
        for key in _lists(keys):
            pipeline.llen(key)
        recorded, *lengths = pipeline.execute()
        if recorded <= sum(lengths) or sum(lengths) > LONGEST_QUEUE:
            return 0
        old = texts(redis.zrangebyscore(keys.state(State.QUEUED), "-inf", redis_now(redis) - SETTLED_SECONDS))
        present = {id for key in _lists(keys) for id in texts(redis.lrange(key, 0, -1))} | _taken(redis, keys)
    lost = [id for id in old if id not in present]
    for id in lost:
        _restore(redis, account, id)
    if lost:
        log.warning(
            "account %s: %d queued messages had lost their RQ job; they are queued again", account, len(lost)
        )
    return len(lost)


def restore_lost_chunks(redis: Redis, account: str) -> int:
    """The same for the chunks of batches: recipients wait in them, and no queue of RQ's holds their job."""
    keys, lost = Keys(account), 0
    for batch in Batches(redis, account).all():
        if batch.jobs == 0 or batch.state != "running":
            continue
        with mapped():
            pipeline = redis.pipeline(transaction=False)
            ids = [f"{batch.id}-{number}" for number in range(batch.chunks)]
            for id in ids:
                pipeline.hget(keys.chunk(id), "place")
            places = texts(pipeline.execute())
            present = {id for key in _lists(keys) for id in texts(redis.lrange(key, 0, -1))} | _taken(
                redis, keys
            )
            waiting = [id for id, place in zip(ids, places, strict=True) if place == State.QUEUED.value]
            gone = [id for id in waiting if id not in present]
            for id in gone:
                fields = job_fields(
                    DELIVER_CHUNK, account, id, keys.queue(Lane.BULK), KEEP_SECONDS, f"sesq chunk {id}"
                )
                redis.hset(f"{RQ_KEY_PREFIX}:job:{id}", items=[*fields, "status", "queued"])
            if gone:
                redis.rpush(f"{RQ_KEY_PREFIX}:queue:{keys.queue(Lane.BULK)}", *gone)
                log.warning("batch %s: %d of its jobs were lost; they are queued again", batch.id, len(gone))
        lost += len(gone)
    return lost


def _lists(keys: Keys) -> list[str]:
    """Where RQ keeps what waits: its queues, and what its single-queue workers are just taking."""
    queues = [f"{RQ_KEY_PREFIX}:queue:{keys.queue(lane)}" for lane in Lane]
    return [*queues, *(f"{queue}:intermediate" for queue in queues)]


def _taken(redis: Redis, keys: Keys) -> set[str]:
    """What RQ's own workers are running: they take a job out before they ask the gate."""
    started = [f"{RQ_KEY_PREFIX}:wip:{keys.queue(lane)}" for lane in Lane]
    return {entry.partition(":")[0] for key in started for entry in texts(redis.zrange(key, 0, -1))}


def _restore(redis: Redis, account: str, id: str) -> None:
    queue = queue_name(account, Messages(redis, account).get(id).lane)
    with mapped():
        keep = int(texts([redis.hget(Keys(account).message(id), "keep")])[0] or KEEP_SECONDS)
        fields = job_fields(DELIVER, account, id, queue, keep, f"sesq message {id}")
        redis.hset(f"{RQ_KEY_PREFIX}:job:{id}", items=fields)
    Messages(redis, account).restore(id)
