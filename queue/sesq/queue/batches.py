"""Reads, pauses, resumes and cancels the batches of one account, and tells the state of each recipient."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import cast

from redis import Redis

from sesq.config.connection import mapped
from sesq.config.errors import InvalidMessage, UnknownBatch, WrongState
from sesq.queue.addresses import spec_of
from sesq.queue.batch import Batch, Recipient, read_batch, recipient_of_record
from sesq.queue.chunks import CHUNK_ROWS, Row, given_back, place_of, read_results, unpack_rows
from sesq.queue.envelope import Envelope
from sesq.queue.fields import Fields
from sesq.queue.keys import Keys
from sesq.queue.replies import read_hash, read_hashes, text, text_hash, texts
from sesq.queue.rows import made_of_row
from sesq.queue.scripts import MESSAGES, compose, library, run_many
from sesq.queue.states import WAITING_STATES, Lane, State

_log = logging.getLogger("sesq.redis")

BATCH_CHANGE = compose("batch_change.lua", MESSAGES)
UNPARK = compose("unpark.lua", MESSAGES)
CANCEL_ALL = compose("cancel_all.lua", MESSAGES)
CANCEL_CHUNK = compose("cancel_chunk.lua", MESSAGES)
FREE = compose("free.lua", MESSAGES)
MATERIALIZE_SENT_ROW = compose("materialize_sent_row.lua", library("rows.lua", base=MESSAGES))
MARK_DELIVERED = compose("mark_delivered.lua", MESSAGES)
TAKE_LOST_ROW = compose("take_lost_row.lua", MESSAGES)

CANCEL_AT_ONCE = FREE_AT_ONCE = UNPARK_AT_ONCE = 100
"""So many take some milliseconds, during which Redis answers nobody else."""


class Batches:
    """Reads and changes the batches of one account. Every method raises QueueUnavailable."""

    def __init__(self, redis: Redis, account: str = "default") -> None:
        self.redis = redis
        self.keys = Keys(account)

    def get(self, id: str) -> Batch:
        """Returns one batch. Raises UnknownBatch."""
        with mapped():
            fields = read_hash(self.redis, self.keys.batch(id))
        if not fields:
            raise UnknownBatch(
                f"no batch {id} in account {self.keys.account}; records are kept for `keep_days` after its end"
            )
        return read_batch(id, self.keys.account, fields)

    def all(self, most: int = 0) -> list[Batch]:
        """Lists the batches, the newest first; at most `most` of them, or all (0)."""
        with mapped():
            ids = texts(self.redis.zrevrange(self.keys.batches, 0, most - 1))
            found = read_hashes(self.redis, (self.keys.batch(id) for id in ids))
            gone = [id for id, fields in zip(ids, found, strict=True) if not fields]
            if gone:
                self.redis.zrem(self.keys.batches, *gone)
        return [
            read_batch(id, self.keys.account, fields) for id, fields in zip(ids, found, strict=True) if fields
        ]

    def pause(self, id: str, reason: str) -> None:
        """Pauses a batch: the next claim grants nothing of it. Raises UnknownBatch, WrongState."""
        self._change(id, "pause", reason, ["running", "starting"])

    def resume(self, id: str, reason: str = "") -> None:
        """Lets a paused batch go on where it was. Raises UnknownBatch, WrongState."""
        self._change(id, "resume", reason, ["paused", "starting"])
        self.unpark(id)
        self.free_resumed(id)

    def unpark(self, id: str) -> None:
        """Puts parked chunks back into their queue, if the batch is not paused any more."""
        with mapped():
            while UNPARK.run(self.redis, self.keys.account, id, UNPARK_AT_ONCE):
                pass

    def free_resumed(self, id: str) -> int:
        """Frees the messages that were held with a batch, if the batch goes on. Returns how many."""
        freed = 0
        with mapped():
            while self.redis.hget(self.keys.batch(id), "state") in (b"running", b"done"):
                count, *_ = FREE.run(
                    self.redis, self.keys.account, f"batch:{id}", FREE_AT_ONCE, "its batch goes on"
                )
                freed += int(count)
                if count < FREE_AT_ONCE:
                    break
        return freed

    def cancel(self, id: str, reason: str) -> None:
        """Cancels the rows that are not being sent yet. It may be repeated. Raises UnknownBatch, WrongState."""
        self._change(id, "cancel", reason, ["running", "paused", "starting", "cancelled"])
        self.unpark(id)
        self._cancel_windowed(id)
        with mapped():
            materialized = texts(self.redis.sscan_iter(self.keys.materialized(id), count=1000))
        self._cancel_all(materialized, reason)

    def _cancel_windowed(self, id: str) -> None:
        """Cancels the chunks of a cancelled batch that wait for their window: no claim reads them before that."""
        with mapped():
            waiting = texts(self.redis.zrange(self.keys.windowed, 0, -1))
            own = [chunk for chunk in waiting if chunk.rpartition("-")[0] == id]
            run_many(self.redis, self.keys.account, [(CANCEL_CHUNK, (chunk,)) for chunk in own])

    def cancel_chunk(self, chunk: str) -> int:
        """Cancels the rows that wait in a chunk whose RQ job was cancelled. Returns how many of them had no record."""
        with mapped():
            count, why = CANCEL_CHUNK.run(self.redis, self.keys.account, chunk)
            materialized = texts(
                self.redis.sscan_iter(self.keys.materialized(chunk.rpartition("-")[0]), count=1000)
            )
        self._cancel_all([id for id in materialized if id.startswith(f"{chunk}-")], text(why))
        return int(count)

    def _cancel_all(self, ids: list[str], reason: str) -> None:
        waiting = ",".join(state.value for state in WAITING_STATES)
        with mapped():
            for some in _in_parts(ids, CANCEL_AT_ONCE):
                CANCEL_ALL.run(self.redis, self.keys.account, reason, waiting, *some)

    def _change(self, id: str, action: str, reason: str, allowed: Sequence[str]) -> None:
        with mapped():
            was = text(BATCH_CHANGE.run(self.redis, self.keys.account, id, action, reason))
        if not was:
            self.get(id)
        if was not in allowed:
            raise WrongState(f"batch {id} is {was}; {action} needs one that is {' or '.join(allowed)}")

    # recipients -------------------------------------------------------------------------------------------------

    def recipients(self, id: str) -> Iterator[Recipient]:
        """Yields all recipients of a batch, and reads each chunk only when it needs it. Raises UnknownBatch."""
        batch = self.get(id)
        with mapped():
            for number in range(batch.chunks):
                yield from self._of_chunk(batch, number)

    def recipients_of_chunk(self, batch: Batch, number: int) -> list[Recipient]:
        """Lists the recipients of one chunk, in their order."""
        with mapped():
            return list(self._of_chunk(batch, number))

    def find(self, id: str) -> Recipient | None:
        """Finds the recipient with this id; None if no batch has one."""
        place = place_of(id)
        if place is None:
            return None
        with mapped():
            fields = read_hash(self.redis, self.keys.batch(place.batch))
            if not fields:
                return None
            found = self._of_chunk(read_batch(place.batch, self.keys.account, fields), place.chunk)
            return next((recipient for recipient in found if recipient.id == id), None)

    def materialize_sent_row(self, id: str) -> bool:
        """Makes a record for a recipient without one whose mail SES took, so that more can be noted about it."""
        place, found = place_of(id), self.find(id)
        if place is None or found is None or found.message_id is None or found.at is None:
            return False
        envelope = Envelope.from_json(text(self.redis.hget(self.keys.batch(place.batch), "envelope")))
        made = made_of_row(id, self.keys.queue(Lane.BULK), replace(envelope, to=(found.to,)))
        with mapped():
            done = MATERIALIZE_SENT_ROW.run(
                self.redis,
                self.keys.account,
                id,
                place.chunk_id,
                place.row,
                found.message_id,
                found.at,
                json.dumps(made),
            )
        return bool(done)

    def mark_delivered(self, id: str, message_id: str) -> bool:
        """Notes a delivery to a recipient without a record. False if it has a record, or if this is known already."""
        place = place_of(id)
        if place is None:
            return False
        with mapped():
            if self.redis.sismember(self.keys.materialized(place.batch), id):
                return False
            return bool(
                MARK_DELIVERED.run(self.redis, self.keys.account, place.chunk_id, place.row, message_id)
            )

    def take_lost_row(self, id: str, message_id: str) -> bool:
        """Notes that SES took the mail of a recipient whose chunk was lost. False for any other recipient."""
        place = place_of(id)
        if place is None:
            return False
        with mapped():
            return bool(
                TAKE_LOST_ROW.run(self.redis, self.keys.account, place.chunk_id, place.row, message_id)
            )

    def _of_chunk(self, batch: Batch, number: int) -> Iterator[Recipient]:
        chunk = f"{batch.id}-{number}"
        leaving = self._leaving(chunk)
        pipeline = self.redis.pipeline(transaction=False)
        for key in (self.keys.rows, self.keys.results, self.keys.log, self.keys.arrived):
            pipeline.get(key(chunk))
        pipeline.hgetall(self.keys.chunk(chunk))
        packed, results, log, arrived, told = pipeline.execute()
        fields = text_hash(told)
        rows = _rows(chunk, packed, fields)
        again = given_back(fields.get("redo", ""))
        taken = {**read_results(results or b""), **read_results(log or b"")}
        ids = [f"{chunk}-{row}" for row in range(len(rows))]
        own = self._records(batch.id, ids)
        for row, (id, named) in enumerate(zip(ids, rows, strict=True)):
            to = spec_of(named.to)
            if id in own:
                yield recipient_of_record(id, to, own[id], taken.get(row))
            elif row in taken:
                state = State.DELIVERED if _bit(arrived, row) else State.SENT
                yield Recipient(id, to, state, taken[row].message_id, taken[row].at, "")
            elif row in leaving:
                yield Recipient(id, to, State.SENDING, None, None, "")
            elif fields.get("lost") and row not in again:
                yield Recipient(id, to, State.FAILED, None, None, fields["lost"])
            elif fields.get("cancelled") or batch.state == "cancelled":
                yield Recipient(id, to, State.CANCELLED, None, None, fields.get("cancelled") or batch.reason)
            else:
                reason = f"the batch is paused: {batch.reason}" if batch.state == "paused" else ""
                yield Recipient(id, to, State.QUEUED, None, None, reason)

    def _records(self, batch: str, ids: list[str]) -> dict[str, dict[str, str]]:
        """Reads the records of those recipients that have one."""
        marks = cast("list[int]", self.redis.smismember(self.keys.materialized(batch), ids)) if ids else []
        own = [id for id, mark in zip(ids, marks, strict=True) if mark]
        return dict(zip(own, read_hashes(self.redis, map(self.keys.message, own)), strict=True))

    def _leaving(self, chunk: str) -> set[int]:
        """Finds the rows of a chunk that are on their way: their records are packed."""
        leased = texts(self.redis.zrange(self.keys.leases, 0, -1))
        ids = [id for id in leased if id.rpartition("-")[0] == chunk]
        pipeline = self.redis.pipeline(transaction=False)
        for id in ids:
            pipeline.hexists(self.keys.message(id), "packed")
        return {
            int(id.rpartition("-")[2]) for id, packed in zip(ids, pipeline.execute(), strict=True) if packed
        }


def _rows(chunk: str, packed: bytes | None, fields: Mapping[str, str]) -> Sequence[Row]:
    """Returns the rows of a chunk; without their addresses if Redis has lost those."""
    try:
        return unpack_rows(packed) if packed is not None else _nameless(fields)
    except InvalidMessage as error:
        _log.error("chunk %s: its recipients cannot be read: %s", chunk, error)
        return _nameless(fields)


def _nameless(fields: Mapping[str, str]) -> Sequence[Row]:
    return [Row("", {})] * (Fields(fields).count("n", CHUNK_ROWS) or 0)


def _bit(bits: bytes | None, number: int) -> bool:
    return bits is not None and number // 8 < len(bits) and bool(bits[number // 8] & (128 >> number % 8))


def _in_parts(items: list[str], size: int) -> Iterator[list[str]]:
    return (items[start : start + size] for start in range(0, len(items), size))
