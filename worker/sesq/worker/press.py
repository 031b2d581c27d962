"""The press: prints the mail of one recipient of a batch, from the template and the row that Redis keeps for it."""

from __future__ import annotations

import threading
import time
import zlib
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from math import inf
from typing import TypeVar

from redis import Redis

from sesq.config.connection import mapped
from sesq.config.errors import InvalidMessage
from sesq.producer.batch.csv_rows import RECIPIENT
from sesq.producer.batch.template import Printer, Template
from sesq.queue.addresses import spec_of
from sesq.queue.chunks import Place, Row, place_of, unpack_rows
from sesq.queue.envelope import Envelope, SimpleContent
from sesq.queue.keys import Keys

KEPT_SECONDS = 60.0
"""A batch of the same key has the same id, and may be another one once Redis has forgotten the first."""
MOST_CHUNKS = 8
MOST_TEMPLATES = 8

AHEAD_ROWS, AHEAD_BYTES, AHEAD_SECONDS = 4, 64 * 1024, 0.002
"""Small mails are printed so many at a time, for the threads that send the next ones: each by itself, between two calls
of SES, costs several times as much.
"""
MOST_PRINTED = 64

Kept = TypeVar("Kept")


@dataclass(frozen=True, slots=True)
class _Order:
    """What all mails of a batch share."""

    envelope: Envelope
    printer: Printer


class Press:
    """Of one account. Remembers the chunks and templates used last. Safe for several threads.

    Raises InvalidMessage for what is gone from Redis or cannot be read, and for a row that its template cannot print;
    InvalidTemplate and MissingPart (jinja2) for a template that cannot be used here.
    """

    def __init__(self, redis: Redis, account: str, clock: Callable[[], float] = time.monotonic) -> None:
        self.redis = redis
        self.clock = clock
        self.keys = Keys(account)
        self._lock = threading.Lock()
        self._chunks: OrderedDict[str, tuple[float, list[Row]]] = OrderedDict()
        self._orders: OrderedDict[str, tuple[float, _Order]] = OrderedDict()
        self._printed: OrderedDict[str, tuple[float, SimpleContent]] = OrderedDict()

    def envelope(self, id: str) -> Envelope:
        """Who sends it to whom; `kind` is "row": the content is printed when it is sent. It needs no template."""
        place = _place(id)
        row = self._rows(place.chunk_id)[place.row]
        return replace(self._read_envelope(place.batch), to=(row.to,))

    def envelopes(self, chunk: str, start: int, end: int) -> list[Envelope]:
        """As `envelope`, of a run of rows."""
        shared = self._order(chunk.rpartition("-")[0]).envelope
        return [replace(shared, to=(row.to,)) for row in self._rows(chunk)[start:end]]

    def mail(self, id: str, envelope: Envelope) -> SimpleContent | bytes:
        """The content for one recipient."""
        place = _place(id)
        printer = self._order(place.batch).printer
        with self._lock:
            printed_at, content = self._printed.pop(id, (-inf, None))
        if content is None or self._is_old(printed_at):
            content = self._print(place, printer)
        return printer.mail(envelope, content)

    def _print(self, place: Place, printer: Printer) -> SimpleContent:
        rows = self._rows(place.chunk_id)
        content = _content(printer, rows[place.row])
        if content.size * AHEAD_ROWS <= AHEAD_BYTES:
            with suppress(Exception):  # what is wrong with a row is told in its turn
                self._print_ahead(place, printer, rows[place.row + 1 : place.row + AHEAD_ROWS])
        return content

    def _print_ahead(self, after: Place, printer: Printer, rows: list[Row]) -> None:
        ends_at = self.clock() + AHEAD_SECONDS
        for number, row in enumerate(rows, after.row + 1):
            if self.clock() > ends_at:
                return
            content = _content(printer, row)
            with self._lock:
                self._printed[f"{after.chunk_id}-{number}"] = (ends_at, content)
                if len(self._printed) > MOST_PRINTED:
                    self._printed.popitem(last=False)

    def _rows(self, chunk: str) -> list[Row]:
        return self._kept(self._chunks, chunk, MOST_CHUNKS, self._read_rows)

    def _order(self, batch: str) -> _Order:
        return self._kept(self._orders, batch, MOST_TEMPLATES, self._read_order)

    def _kept(
        self, among: OrderedDict[str, tuple[float, Kept]], name: str, most: int, read: Callable[[str], Kept]
    ) -> Kept:
        with self._lock:
            if name not in among or self._is_old(among[name][0]):
                among[name] = (self.clock(), read(name))
                while len(among) > most:
                    among.popitem(last=False)
            among.move_to_end(name)
            return among[name][1]

    def _is_old(self, at: float) -> bool:
        return self.clock() - at > KEPT_SECONDS

    def _read_rows(self, chunk: str) -> list[Row]:
        with mapped():
            packed = self.redis.get(self.keys.rows(chunk))
        try:
            return unpack_rows(_there(packed, "rows"))
        except (zlib.error, KeyError, TypeError, ValueError) as error:
            raise InvalidMessage("rows", f"of chunk {chunk} cannot be read: {error}") from error

    def _read_order(self, batch: str) -> _Order:
        with mapped():
            packed = self.redis.get(self.keys.template(batch))
        try:
            template = Template.from_bytes(_there(packed, "template"))
        except (zlib.error, KeyError, TypeError, ValueError) as error:
            raise InvalidMessage("template", f"of batch {batch} cannot be read: {error}") from error
        return _Order(self._read_envelope(batch), template.printer)

    def _read_envelope(self, batch: str) -> Envelope:
        with mapped():
            envelope = self.redis.hget(self.keys.batch(batch), "envelope")
        return Envelope.from_json(_there(envelope, "batch"))


def _place(id: str) -> Place:
    place = place_of(id)
    if place is None:
        raise InvalidMessage("content", f"{id} is no recipient of a batch")
    return place


def _content(printer: Printer, row: Row) -> SimpleContent:
    return printer.content({**row.values, RECIPIENT: spec_of(row.to)})


def _there(reply: object, what: str) -> bytes:
    if not isinstance(reply, bytes):
        raise InvalidMessage(what, "is gone from Redis, so there is nothing to send")
    return reply
