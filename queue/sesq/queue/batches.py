"""The batches of one account as Redis has them: to look up, to pause, resume and cancel, and each recipient's fate."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

from redis import Redis

from sesq.config.connection import mapped
from sesq.config.errors import InvalidMessage, UnknownBatch, WrongState
from sesq.queue.addresses import spec_of
from sesq.queue.chunks import MOST_CHUNKS, Taken, place_of, read_results, unpack_rows
from sesq.queue.envelope import Envelope
from sesq.queue.fields import Fields
from sesq.queue.job import job_fields
from sesq.queue.keys import Keys
from sesq.queue.replies import read_hash, read_hashes, text, texts
from sesq.queue.scripts import MESSAGES, compose, library
from sesq.queue.states import DAMAGED, SENT_STATES, WAITING_STATES, Lane, State

_log = logging.getLogger("sesq.redis")

BATCH_CHANGE = compose("batch_change.lua", MESSAGES)
UNPARK = compose("unpark.lua", MESSAGES)
CANCEL_ALL = compose("cancel_all.lua", MESSAGES)
CANCEL_CHUNK = compose("cancel_chunk.lua", MESSAGES)
FREE = compose("free.lua", MESSAGES)
MATERIALIZE_SENT_ROW = compose("materialize_sent_row.lua", library("rows.lua", base=MESSAGES))
MARK_DELIVERED = compose("mark_delivered.lua", MESSAGES)

WITHOUT_RECORD = {
    "waiting": State.QUEUED,
    "leaving": State.SENDING,
    "taken": State.SENT,
    "arrived": State.DELIVERED,
}
"""How recipients that have no record of their own are counted, and the state that this is for people."""
CANCEL_AT_ONCE = FREE_AT_ONCE = UNPARK_AT_ONCE = 100
"""So many take some milliseconds, for which Redis answers nobody else."""


@dataclass(frozen=True, slots=True)
class Batch:
    """One batch as it stands. Times are seconds since the epoch by Redis's clock; None: not so (yet).

    `state`: running, paused, done or cancelled. `filled`: all its rows are here. `total`: recipients queued so far.
    `compact`: those of the counts that have no record of their own. `invalid`, `duplicates` and `suppressed` rows were
    left out, which is known once it is filled.
    """

    id: str
    account: str
    name: str
    state: str
    reason: str
    envelope: Envelope
    created: float
    ended: float | None
    starts_at: float | None
    filled: bool
    total: int
    invalid: int
    duplicates: int
    suppressed: int
    chunks: int
    jobs: int
    stop_bounces: float | None
    stop_complaints: float | None
    counts: Mapping[State, int]
    compact: Mapping[State, int]

    @property
    def sent(self) -> int:
        """Recipients that SES has taken."""
        return sum(self.counts[state] for state in SENT_STATES)

    @property
    def compact_waiting(self) -> int:
        """Those of the waiting that are in no lane themselves, only their chunks."""
        return self.compact[State.QUEUED]

    @property
    def left(self) -> int:
        """Recipients that are still to go by themselves."""
        states = (State.QUEUED, State.SCHEDULED, State.SENDING, State.RETRYING)
        return sum(self.counts[state] for state in states)

    @property
    def stuck(self) -> int:
        """Recipients that wait for something other than time: a verification, an event of SES's, a person."""
        return self.counts[State.HELD] + self.counts[State.UNKNOWN]

    @property
    def waiting(self) -> int:
        """Recipients that wait for rate, quota or their turn."""
        return self.counts[State.QUEUED] + self.counts[State.SCHEDULED]


@dataclass(frozen=True, slots=True)
class Recipient:
    """One recipient of a batch. `at` is when it came into its state, None where it is still to be sent."""

    id: str
    to: str
    state: State
    message_id: str | None
    at: float | None
    reason: str

    def as_json(self) -> dict[str, Any]:
        told = {name: getattr(self, name) for name in ("id", "to", "message_id", "at", "reason")}
        return {**told, "state": self.state.value}


class Batches:
    """The batches of one account. Every method raises QueueUnavailable when Redis cannot be reached."""

    def __init__(self, redis: Redis, account: str = "default") -> None:
        self.redis = redis
        self.keys = Keys(account)

    def get(self, id: str) -> Batch:
        """One batch. Raises UnknownBatch."""
        with mapped():
            fields = read_hash(self.redis, self.keys.batch(id))
        if not fields:
            raise UnknownBatch(
                f"no batch {id} in account {self.keys.account}; records are kept for `keep_days` after its end"
            )
        return _batch(id, self.keys.account, fields)

    def all(self) -> list[Batch]:
        """All batches, the newest first."""
        with mapped():
            ids = texts(self.redis.zrevrange(self.keys.batches, 0, -1))
            found = read_hashes(self.redis, (self.keys.batch(id) for id in ids))
            gone = [id for id, fields in zip(ids, found, strict=True) if not fields]
            if gone:
                self.redis.zrem(self.keys.batches, *gone)
        return [
            _batch(id, self.keys.account, fields) for id, fields in zip(ids, found, strict=True) if fields
        ]

    def pause(self, id: str, reason: str) -> None:
        """Nothing more of it is granted, from the next claim on. Raises UnknownBatch, WrongState."""
        self._change(id, "pause", reason, ["running", "starting"])

    def resume(self, id: str, reason: str = "") -> None:
        """It goes on where it was. Raises UnknownBatch, WrongState."""
        self._change(id, "resume", reason, ["paused", "starting"])
        self.unpark(id)
        self.free_resumed(id)

    def unpark(self, id: str) -> None:
        """Puts the chunks of a batch that is paused no longer back to where their rows belong."""
        with mapped():
            while UNPARK.run(self.redis, self.keys.account, id, UNPARK_AT_ONCE):
                pass

    def free_resumed(self, id: str) -> int:
        """Puts those back into their lane that were held with a batch that goes on again. How many."""
        freed = 0
        with mapped():
            while self.redis.hget(self.keys.batch(id), "state") in (b"running", b"done"):
                count = FREE.run(
                    self.redis, self.keys.account, f"batch:{id}", FREE_AT_ONCE, "its batch goes on"
                )
                freed += int(count)
                if count < FREE_AT_ONCE:
                    break
        return freed

    def cancel(self, id: str, reason: str) -> None:
        """Takes back whoever is not being sent yet. Can be done again, where it was cut short. Raises as pause."""
        self._change(id, "cancel", reason, ["running", "paused", "starting", "cancelled"])
        self.unpark(id)
        with mapped():
            materialized = texts(self.redis.sscan_iter(self.keys.materialized(id), count=1000))
        self._cancel_all(materialized, reason)

    def cancel_chunk(self, chunk: str) -> int:
        """Takes back who still waits in one chunk, as RQ was told to. How many of them had no record."""
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
            raise WrongState(
                f"batch {id} is {was}; only one that is {' or '.join(allowed)} can be asked to {action}"
            )

    # recipients -------------------------------------------------------------------------------------------------

    def recipients(self, id: str) -> Iterator[Recipient]:
        """Everybody in the batch, each chunk as it is when its turn comes. Raises UnknownBatch."""
        batch = self.get(id)
        with mapped():
            for number in range(batch.chunks):
                yield from self._of_chunk(batch, number)

    def find(self, id: str) -> Recipient | None:
        """The recipient whose mail bears this id; None where no batch has one."""
        place = place_of(id)
        if place is None:
            return None
        with mapped():
            fields = read_hash(self.redis, self.keys.batch(place.batch))
            if not fields:
                return None
            found = self._of_chunk(_batch(place.batch, self.keys.account, fields), place.chunk)
            return next((recipient for recipient in found if recipient.id == id), None)

    def materialize_sent_row(self, id: str) -> bool:
        """Gives a recipient whose mail SES took, and who has none, a record of its own: more is to be said of it."""
        place, found = place_of(id), self.find(id)
        if place is None or found is None or found.message_id is None or found.at is None:
            return False
        envelope = Envelope.from_json(text(self.redis.hget(self.keys.batch(place.batch), "envelope")))
        queue = self.keys.queue(Lane.BULK)
        job = job_fields(id, queue, 0, f"sesq message {id}")
        described = replace(envelope, to=(found.to,)).to_json()
        with mapped():
            done = MATERIALIZE_SENT_ROW.run(
                self.redis,
                self.keys.account,
                id,
                place.chunk_id,
                place.row,
                found.message_id,
                found.at,
                described,
                *job,
            )
        return bool(done)

    def mark_delivered(self, id: str) -> bool:
        """The mail of a recipient without a record was delivered; False where that is not so, or no news."""
        place = place_of(id)
        if place is None:
            return False
        with mapped():
            if self.redis.sismember(self.keys.materialized(place.batch), id):
                return False
            return bool(MARK_DELIVERED.run(self.redis, self.keys.account, place.chunk_id, place.row))

    def _of_chunk(self, batch: Batch, number: int) -> Iterator[Recipient]:
        chunk = f"{batch.id}-{number}"
        leaving = self._leaving(chunk)
        pipeline = self.redis.pipeline(transaction=False)
        for key in (self.keys.rows, self.keys.results, self.keys.log, self.keys.arrived):
            pipeline.get(key(chunk))
        pipeline.hget(self.keys.chunk(chunk), "cancelled")
        packed, results, log, arrived, cancelled = cast("list[bytes | None]", pipeline.execute())
        if packed is None:
            return
        try:
            rows = unpack_rows(packed)
        except InvalidMessage as error:
            _log.error("chunk %s: its recipients cannot be read: %s", chunk, error)
            return
        taken = {**read_results(results or b""), **read_results(log or b"")}
        ids = [f"{chunk}-{row}" for row in range(len(rows))]
        own = self._records(batch.id, ids)
        for row, (id, named) in enumerate(zip(ids, rows, strict=True)):
            to = spec_of(named.to)
            if id in own:
                yield _of_record(id, to, own[id], taken.get(row))
            elif row in taken:
                state = State.DELIVERED if _bit(arrived, row) else State.SENT
                yield Recipient(id, to, state, taken[row].message_id, taken[row].at, "")
            elif row in leaving:
                yield Recipient(id, to, State.SENDING, None, None, "")
            elif cancelled or batch.state == "cancelled":
                yield Recipient(id, to, State.CANCELLED, None, None, text(cancelled) or batch.reason)
            else:
                reason = f"the batch is paused: {batch.reason}" if batch.state == "paused" else ""
                yield Recipient(id, to, State.QUEUED, None, None, reason)

    def _records(self, batch: str, ids: list[str]) -> dict[str, dict[str, str]]:
        """The records of those of a batch's recipients that have one of their own."""
        marks = cast("list[int]", self.redis.smismember(self.keys.materialized(batch), ids)) if ids else []
        own = [id for id, mark in zip(ids, marks, strict=True) if mark]
        return dict(zip(own, read_hashes(self.redis, map(self.keys.message, own)), strict=True))

    def _leaving(self, chunk: str) -> set[int]:
        """The rows of a chunk that are on their way: their records are packed."""
        leased = texts(self.redis.zrange(self.keys.leases, 0, -1))
        ids = [id for id in leased if id.rpartition("-")[0] == chunk]
        pipeline = self.redis.pipeline(transaction=False)
        for id in ids:
            pipeline.hexists(self.keys.message(id), "packed")
        return {
            int(id.rpartition("-")[2]) for id, packed in zip(ids, pipeline.execute(), strict=True) if packed
        }


def _batch(id: str, account: str, given: dict[str, str]) -> Batch:
    fields = Fields(given)
    counts, compact = Counter[State](), Counter[State]()
    for name in given:
        if name.startswith("n:"):
            where, count = name[2:], fields.whole(name)
            state = WITHOUT_RECORD.get(where) or State(where)
            counts[state] += count
            compact[state] += count if where in WITHOUT_RECORD else 0
    read: dict[str, Any] = {
        "name": fields.text("name"),
        "state": fields.text("state") or DAMAGED.value,
        "envelope": fields.envelope(),
        "created": fields.number("created"),
        "ended": fields.optional("ended"),
        "starts_at": fields.optional("starts_at"),
        "filled": fields.text("filled") == "1",
        "stop_bounces": fields.optional("stop:bounces"),
        "stop_complaints": fields.optional("stop:complaints"),
    }
    read["chunks"] = fields.count("chunks", MOST_CHUNKS) or 0
    sizes = ("total", "invalid", "duplicates", "suppressed", "jobs")
    read |= {name: fields.whole(name) for name in sizes}
    read["counts"] = {state: counts[state] for state in State}
    read["compact"] = {state: compact[state] for state in State}
    return Batch(id=id, account=account, reason=fields.reason(), **read)


def _of_record(id: str, to: str, record: dict[str, str], taken: Taken | None) -> Recipient:
    if not record:  # it has expired; what SES said is still here
        state = State.SENT if taken else State.FAILED
        return Recipient(id, to, state, taken.message_id if taken else None, None, "its record has expired")
    message_id = record.get("message_id") or None
    fields = Fields(record)
    state, since = State(fields.text("state") or DAMAGED.value), fields.optional("since")
    return Recipient(id, to, state, message_id, since, fields.reason())


def _bit(bits: bytes | None, number: int) -> bool:
    return bits is not None and number // 8 < len(bits) and bool(bits[number // 8] & (128 >> number % 8))


def _in_parts(items: list[str], size: int) -> Iterator[list[str]]:
    return (items[start : start + size] for start in range(0, len(items), size))
