"""How many recipients go before a message: by its place in its queue, and by the turns of the queues beside it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from redis import Redis

from sesq.config.connection import mapped
from sesq.queue.chunks import place_of
from sesq.queue.fields import Fields
from sesq.queue.job import rq_key
from sesq.queue.keys import Keys
from sesq.queue.record import Record
from sesq.queue.replies import text, texts
from sesq.queue.shares import tenant_queues
from sesq.queue.states import Lane

MOST_READ = 10_000
"""Jobs before a message that are looked at; each one more counts as one recipient."""


@dataclass(frozen=True, slots=True)
class Ahead:
    """Recipients that go before a message: of its own queue, and of others. A message counts as one recipient."""

    own: int
    others: int

    @property
    def all(self) -> int:
        return self.own + self.others


def count_ahead(redis: Redis, record: Record, lane: Lane) -> Ahead | None:
    """All transactional mail before bulk; what is before it in its queue; and what of other queues has its turn first.

    None where it is in no queue.
    """
    keys = Keys(record.account)
    with mapped():
        own = keys.queue(lane, record.envelope.tenant or "")
        before = _before(redis, keys, record, own)
        if before is None:
            return None
        urgent = _length_of_lane(redis, keys, Lane.TRANSACTIONAL) if lane is Lane.BULK else 0
        return Ahead(before, urgent + _beside(redis, keys, lane, own, before))


def _before(redis: Redis, keys: Keys, record: Record, queue: str) -> int | None:
    """Recipients before it in its own queue."""
    place, key, inside = place_of(record.id), rq_key("queue", queue), 0
    rank = cast("int | None", redis.lpos(key, record.id))
    if rank is None and place is not None:
        rank = cast("int | None", redis.lpos(key, place.chunk_id))
        inside = max(0, place.row - _whole(redis.hget(keys.chunk(place.chunk_id), "cursor")))
    return None if rank is None else inside + _first(redis, keys, queue, rank)


def _beside(redis: Redis, keys: Keys, lane: Lane, own: str, before: int) -> int:
    """Recipients of the lane's other queues that have their turn before it.

    A queue has its turn while fewer recipients of it have gone than of the others (`lua/shares.lua`).
    """
    scores = redis.zrange(keys.shares(keys.queue(lane)), 0, -1, withscores=True)
    gone = {text(queue): count for queue, count in cast("list[tuple[bytes, float]]", scores)}
    if not gone:
        return 0
    least = min(gone.values())
    until = gone.get(own, least) + before
    others = [queue for queue in (keys.queue(lane), *gone) if queue != own]
    turns = {queue: int(until - gone.get(queue, least)) for queue in others}
    return sum(min(turn, _first(redis, keys, queue, turn)) for queue, turn in turns.items() if turn > 0)


def _length_of_lane(redis: Redis, keys: Keys, lane: Lane) -> int:
    queues = [keys.queue(lane), *tenant_queues(redis, keys, lane)]
    pipeline = redis.pipeline(transaction=False)
    for queue in queues:
        pipeline.llen(rq_key("queue", queue))
        pipeline.scard(keys.stale(queue))
    counts = [int(each) for each in pipeline.execute()]
    return sum(counts[::2]) - sum(counts[1::2])


def _first(redis: Redis, keys: Keys, queue: str, jobs: int) -> int:
    """Recipients of the first so many jobs of a queue."""
    if jobs <= 0:
        return 0
    found = texts(redis.lrange(rq_key("queue", queue), 0, min(jobs, MOST_READ) - 1))
    stale = set(texts(redis.smembers(keys.stale(queue))))
    beyond = jobs - MOST_READ if len(found) == MOST_READ else 0
    return _recipients(redis, keys, [id for id in found if id not in stale]) + max(0, beyond)


def _recipients(redis: Redis, keys: Keys, ids: Sequence[str]) -> int:
    """Of chunks of batches those who have not gone yet, unless the batch is stopped; a message is one."""
    chunks = [id for id in ids if id.count("-") == 1]
    batches = {id.partition("-")[0] for id in chunks}
    pipeline = redis.pipeline(transaction=False)
    for batch in batches:
        pipeline.hget(keys.batch(batch), "state")
    for id in chunks:
        pipeline.hmget(keys.chunk(id), "n", "cursor", "redo")
    states, counts = (answers := pipeline.execute())[: len(batches)], answers[len(batches) :]
    going = {batch for batch, state in zip(batches, states, strict=True) if state == b"running"}
    left = sum(
        _left(*count) for id, count in zip(chunks, counts, strict=True) if id.partition("-")[0] in going
    )
    return len(ids) - len(chunks) + left


def _left(n: bytes | None, cursor: bytes | None, redo: bytes | None) -> int:
    """Rows of a chunk that have not been granted, or came back."""
    runs = re.findall(r"(\d+)-(\d+)", text(redo))
    return _whole(n) - _whole(cursor) + sum(int(end) - int(start) for start, end in runs)


def _whole(reply: object) -> int:
    """0 where it is no number."""
    return Fields({"": text(reply)}).whole("")
