"""Reads the rows of batches from their chunks in Redis. Remembers the chunks that were read last."""

from __future__ import annotations

import threading
import time
import zlib
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Generic, TypeVar

from redis import Redis

from sesq.config.connection import mapped
from sesq.config.errors import InvalidMessage
from sesq.queue.chunks import Place, Row, place_of, unpack_rows
from sesq.queue.envelope import Envelope
from sesq.queue.job import job_fields
from sesq.queue.keys import Keys

KEPT_SECONDS = 60.0
"""Not longer: once a batch is gone, a new one with the same key may have the same id."""
MOST_CHUNKS = MOST_BATCHES = 8

Kept = TypeVar("Kept")


class Remembered(Generic[Kept]):
    """Keeps the values that were read last, by name: at most `most`, for a minute. Safe for several threads."""

    def __init__(self, read: Callable[[str], Kept], most: int, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._read = read
        self._most = most
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, tuple[float, Kept]] = OrderedDict()

    def __getitem__(self, name: str) -> Kept:
        with self._lock:
            read_at, found = self._kept.get(name, (None, None))
            if read_at is None or self._clock() - read_at > KEPT_SECONDS:
                found = self._read(name)
                self._kept[name] = (self._clock(), found)
                while len(self._kept) > self._most:
                    self._kept.popitem(last=False)
            self._kept.move_to_end(name)
            return self._kept[name][1]


class Rows:
    """Reads rows of one account. Safe for several threads. Raises InvalidMessage for lost or unreadable rows."""

    def __init__(self, redis: Redis, account: str, clock: Callable[[], float] = time.monotonic) -> None:
        self.redis = redis
        self.keys = Keys(account)
        self.clock = clock
        self._chunks = Remembered(self._read_rows, MOST_CHUNKS, lambda: self.clock())
        self._envelopes = Remembered(self._read_envelope, MOST_BATCHES, lambda: self.clock())

    def of_chunk(self, chunk: str) -> list[Row]:
        """Reads all rows of a chunk, in their order."""
        return self._chunks[chunk]

    def row(self, place: Place) -> Row:
        """Reads one row."""
        rows = self.of_chunk(place.chunk_id)
        if place.row >= len(rows):
            raise InvalidMessage("rows", f"of chunk {place.chunk_id}: there is none with number {place.row}")
        return rows[place.row]

    def envelope(self, id: str) -> Envelope:
        """Makes the envelope of a row. Its `kind` is "row": the content is rendered when it is sent."""
        place = row_place(id)
        return replace(self._envelopes[place.batch], to=(self.row(place).to,))

    def _read_rows(self, chunk: str) -> list[Row]:
        with mapped():
            packed = self.redis.get(self.keys.rows(chunk))
        try:
            return unpack_rows(still_there(packed, "rows"))
        except (zlib.error, KeyError, TypeError, ValueError) as error:
            raise InvalidMessage("rows", f"of chunk {chunk} cannot be read: {error}") from error

    def _read_envelope(self, batch: str) -> Envelope:
        with mapped():
            envelope = self.redis.hget(self.keys.batch(batch), "envelope")
        return Envelope.from_json(still_there(envelope, "batch"))


def made_of_row(id: str, queue: str, envelope: Envelope) -> dict[str, list[Any]]:
    """Returns what the scripts need to make a row a message: its envelope and its RQ job, each [name, value, …]."""
    job = job_fields(id, queue, f"sesq message {id}")
    return {"envelope": envelope.to_fields(), "job": job}


def row_place(id: str) -> Place:
    """Finds the place of a row by its id. Raises InvalidMessage if it is not the id of a row."""
    place = place_of(id)
    if place is None:
        raise InvalidMessage("content", f"{id} is no recipient of a batch")
    return place


def still_there(reply: object, what: str) -> bytes:
    """Returns what Redis has at a key. Raises InvalidMessage if it has nothing."""
    if not isinstance(reply, bytes):
        raise InvalidMessage(what, "is gone from Redis, so there is nothing to send")
    return reply
