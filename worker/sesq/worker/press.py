"""The press: prints the mail of one recipient of a batch, from the template and the row that Redis keeps for it."""

from __future__ import annotations

import threading
import zlib
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from redis import Redis

from sesq.config.addresses import spec_of
from sesq.config.chunks import Row, place_of, unpack_rows
from sesq.config.connection import mapped
from sesq.config.envelope import Envelope, SimpleContent
from sesq.config.errors import InvalidMessage
from sesq.config.keys import Keys
from sesq.producer.batch.template import RECIPIENT, Printer, Template

MOST_CHUNKS = 8
MOST_TEMPLATES = 8

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

    def __init__(self, redis: Redis, account: str) -> None:
        self.redis = redis
        self.keys = Keys(account)
        self._lock = threading.Lock()
        self._chunks: OrderedDict[str, list[Row]] = OrderedDict()
        self._orders: OrderedDict[str, _Order] = OrderedDict()

    def envelope(self, id: str) -> Envelope:
        """Who sends it to whom; `kind` is "row": the content is printed when it is sent."""
        row, order = self._find(id)
        return order.envelope.to_one(row.to)

    def envelopes(self, chunk: str, start: int, end: int) -> list[Envelope]:
        """As `envelope`, of a run of rows."""
        shared = self._order(chunk.rpartition("-")[0]).envelope
        return [shared.to_one(row.to) for row in self._rows(chunk)[start:end]]

    def mail(self, id: str, envelope: Envelope) -> SimpleContent | bytes:
        """The content for one recipient."""
        row, order = self._find(id)
        return order.printer.mail(envelope, {**row.values, RECIPIENT: spec_of(row.to)})

    def _find(self, id: str) -> tuple[Row, _Order]:
        place = place_of(id)
        if place is None:
            raise InvalidMessage("content", f"{id} is no recipient of a batch")
        return self._rows(place.chunk_id)[place.row], self._order(place.batch)

    def _rows(self, chunk: str) -> list[Row]:
        return self._kept(self._chunks, chunk, MOST_CHUNKS, self._read_rows)

    def _order(self, batch: str) -> _Order:
        return self._kept(self._orders, batch, MOST_TEMPLATES, self._read_order)

    def _kept(self, among: OrderedDict[str, Kept], name: str, most: int, read: Callable[[str], Kept]) -> Kept:
        with self._lock:
            if name not in among:
                among[name] = read(name)
                while len(among) > most:
                    among.popitem(last=False)
            among.move_to_end(name)
            return among[name]

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
            envelope = self.redis.hget(self.keys.batch(batch), "envelope")
        try:
            template = Template.from_bytes(_there(packed, "template"))
        except (zlib.error, KeyError, TypeError, ValueError) as error:
            raise InvalidMessage("template", f"of batch {batch} cannot be read: {error}") from error
        return _Order(Envelope.from_json(_there(envelope, "batch")), template.printer)


def _there(reply: object, what: str) -> bytes:
    if not isinstance(reply, bytes):
        raise InvalidMessage(what, "is gone from Redis, so there is nothing to send")
    return reply
