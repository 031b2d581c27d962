"""Renders the mail of one row of a batch, from its template and the row in Redis."""

from __future__ import annotations

import threading
import time
import zlib
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from math import inf
from typing import Any

from redis import Redis

from sesq.config.connection import mapped
from sesq.config.errors import InputError, InvalidMessage, MissingPart, SesqError
from sesq.producer.batch.csv_rows import RECIPIENT
from sesq.producer.batch.template import Template, TemplateRenderer
from sesq.queue.addresses import spec_of
from sesq.queue.chunks import Place, Row
from sesq.queue.envelope import Envelope, SimpleContent
from sesq.queue.keys import Keys
from sesq.queue.rows import KEPT_SECONDS, Remembered, Rows, row_place, still_there

MOST_TEMPLATES = 8

AHEAD_ROWS, AHEAD_BYTES, AHEAD_SECONDS = 4, 64 * 1024, 0.002
"""How many small mails are rendered together, for the threads that send the next ones. To render each by itself,
between two calls of SES, costs several times as much.
"""
MOST_RENDERED = 64


class TemplateUnusable(SesqError):
    """No row of a batch can be rendered here: its template is damaged, gone, or needs a part that is not installed."""


class RowRenderer:
    """Renders the rows of one account. Remembers the templates used last. Safe for several threads."""

    def __init__(
        self, redis: Redis, account: str, rows: Rows, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.redis = redis
        self.rows = rows
        self.clock = clock
        self.keys = Keys(account)
        self._templates = Remembered(self._read_template, MOST_TEMPLATES, lambda: self.clock())
        self._lock = threading.Lock()
        self._rendered: OrderedDict[str, tuple[float, SimpleContent]] = OrderedDict()

    def mail(self, id: str, envelope: Envelope) -> SimpleContent | bytes:
        """Renders the content for one row.

        Raises InvalidMessage for a row that is gone, or that the template cannot render; TemplateUnusable if that is
        so for all rows of the batch.
        """
        place = row_place(id)
        template = self.template(place.batch)
        with self._lock:
            rendered_at, content = self._rendered.pop(id, (-inf, None))
        if content is None or self.clock() - rendered_at > KEPT_SECONDS:
            content = self._render(place, template)
        return template.mail(envelope, content)

    def subject(self, id: str) -> str:
        """Renders the subject for one row. Raises as `mail` does."""
        place = row_place(id)
        return self.template(place.batch).subject(values_of(self.rows.row(place)))

    def template(self, batch: str) -> TemplateRenderer:
        """Reads the template of a batch. Raises TemplateUnusable, or InvalidMessage if it is gone or damaged."""
        try:
            return self._templates[batch]
        except (InputError, MissingPart) as error:
            raise TemplateUnusable(str(error)) from error

    def _render(self, place: Place, template: TemplateRenderer) -> SimpleContent:
        rows = self.rows.of_chunk(place.chunk_id)
        content = _content(template, rows[place.row])
        if content.size * AHEAD_ROWS <= AHEAD_BYTES:
            with suppress(Exception):  # a faulty row gets its error when it is sent
                self._render_ahead(place, template, rows[place.row + 1 : place.row + AHEAD_ROWS])
        return content

    def _render_ahead(self, after: Place, template: TemplateRenderer, rows: list[Row]) -> None:
        ends_at = self.clock() + AHEAD_SECONDS
        for number, row in enumerate(rows, after.row + 1):
            if self.clock() > ends_at:
                return
            content = _content(template, row)
            with self._lock:
                self._rendered[f"{after.chunk_id}-{number}"] = (ends_at, content)
                if len(self._rendered) > MOST_RENDERED:
                    self._rendered.popitem(last=False)

    def _read_template(self, batch: str) -> TemplateRenderer:
        with mapped():
            packed = self.redis.get(self.keys.template(batch))
        try:
            return Template.from_bytes(still_there(packed, "template")).renderer
        except (zlib.error, KeyError, TypeError, ValueError) as error:
            raise InvalidMessage("template", f"of batch {batch} cannot be read: {error}") from error


def _content(template: TemplateRenderer, row: Row) -> SimpleContent:
    return template.content(values_of(row))


def values_of(row: Row) -> dict[str, Any]:
    """Returns the variables of a template for one row."""
    return {**row.values, RECIPIENT: spec_of(row.to)}
