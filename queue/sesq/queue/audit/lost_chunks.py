"""Mends a lost chunk of a batch: its rows fail, so that the batch can end.

If its hash is lost, it is written anew. Nobody knows then which of its rows were sent, so none is sent again: all rows
fail that SES is not known to have taken. If its rows are lost, those that wait in it fail. The reason of each failure
says what a person can do.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import cast

from redis import Redis
from redis.exceptions import WatchError

from sesq.config.errors import InvalidMessage
from sesq.queue.addresses import is_mailbox_simulator, spec_of
from sesq.queue.audit.batches import BatchFacts
from sesq.queue.audit.chunks import ChunkFacts
from sesq.queue.audit.lost_batches import lost_fields
from sesq.queue.chunks import CHUNK_ROWS, unpack_rows
from sesq.queue.job import KEEP_SECONDS
from sesq.queue.keys import Keys
from sesq.queue.states import Lane, State


def restore_chunk(redis: Redis, keys: Keys, batch: BatchFacts, id: str) -> list[str]:
    """Writes a lost chunk's hash. Returns what was done, in words. `mend_chunk.lua` then mends its RQ job."""
    lost = next((chunk for chunk in batch.lost if chunk.id == id), None)
    if lost is None or lost_fields(batch.fields):
        return []
    n, counted = _size(redis, keys, batch, lost)
    key, ttl = keys.chunk(id), batch.ttls["batch"]
    fields = _fields(keys, batch, lost, n, counted)
    with redis.pipeline() as pipeline:
        pipeline.watch(key)  # type: ignore[no-untyped-call]
        if pipeline.exists(key):
            return []
        pipeline.multi()
        pipeline.hset(key, items=[part for pair in fields.items() for part in pair])
        pipeline.hdel(keys.damaged, key)
        if ttl >= 0:
            pipeline.expire(key, ttl)
        try:
            pipeline.execute()
        except WatchError:  # another one was faster
            return []
    state = "are cancelled" if "lost" not in fields else "have failed"
    return [f"it is written anew: of its {n} rows those {state} that SES is not known to have taken"]


def give_up_rows(redis: Redis, keys: Keys, chunk: ChunkFacts) -> list[str]:
    """Lets the rows fail that wait in the chunk and are lost. Returns what was done, in words."""
    batch = keys.batch(chunk.id.rpartition("-")[0])
    state, zoned = redis.hget(batch, "state"), bool(redis.hget(batch, "zone_column"))
    if not chunk.rows_lost or state in (None, State.CANCELLED.value.encode()):
        return []
    key = keys.chunk(chunk.id)
    with redis.pipeline() as pipeline:
        pipeline.watch(key)  # type: ignore[no-untyped-call]
        if any(redis.hget(key, name) != chunk.fields.get(name, "").encode() for name in ("cursor", "redo")):
            return []
        pipeline.multi()
        pipeline.hset(key, mapping={"cursor": chunk.number("n"), "redo": ""})
        pipeline.hsetnx(key, "lost", _rows_reason(chunk.id, zoned))
        try:
            pipeline.execute()
        except WatchError:  # it is in use; the next look will tell
            return []
    return [f"the {chunk.waiting} who wait in it have failed"]


def _fields(keys: Keys, batch: BatchFacts, lost: ChunkFacts, n: int, counted: int) -> dict[str, str | int]:
    cancelled = batch.fields["state"] == State.CANCELLED.value
    done = State.CANCELLED if cancelled else State.SENT
    fields: dict[str, str | int] = {
        "batch": batch.id,
        "queue": batch.fields.get("queue") or keys.queue(Lane.BULK),
        "keep": batch.read.whole("keep") or KEEP_SECONDS,
        "n": n,
        "counted": counted,
        "cursor": n,
        "redo": "",
        "out": len(lost.leaving),
        "place": (State.SENDING if lost.leaving else done).value,
    }
    return (
        fields if cancelled else {**fields, "lost": _reason(lost.id, bool(batch.fields.get("zone_column")))}
    )


def _reason(id: str, zoned: bool) -> str:
    return (
        f"Redis lost what it knew of {_rows_of(id, zoned)}: this one may have been sent, or not, and is not sent "
        "again. SES's events tell of those that were; send to the others in a batch of their own"
    )


def _rows_reason(id: str, zoned: bool) -> str:
    what = f"Redis lost the addresses and values of {_rows_of(id, zoned)}"
    return f"{what}: this one was not sent, and cannot be; send to these in a batch of their own"


def _rows_of(id: str, zoned: bool) -> str:
    if zoned:
        return f"up to {CHUNK_ROWS} rows of one time zone"
    first = int(id.rpartition("-")[2]) * CHUNK_ROWS
    return f"rows {first + 1} to {first + CHUNK_ROWS} of the source"


def _size(redis: Redis, keys: Keys, batch: BatchFacts, lost: ChunkFacts) -> tuple[int, int]:
    """Returns how many rows the chunk has, and how many of them count towards the daily quota.

    If its rows are lost too, it has the recipients of the batch that are in no other chunk.
    """
    try:
        rows = unpack_rows(cast("bytes", redis.get(keys.rows(lost.id)) or b""))
    except InvalidMessage:
        n = max(_least(lost), min(CHUNK_ROWS, batch.gap))
        return n, n
    return len(rows), sum(not is_mailbox_simulator(spec_of(row.to)) for row in rows)


def _least(lost: ChunkFacts) -> int:
    known: Collection[int] = lost.taken | lost.leaving | lost.materialized | lost.arrived
    return max(known, default=-1) + 1
