"""Renders the subjects of recipients of batches: their records have only the template's subject."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from redis import Redis

from sesq.config.errors import InvalidMessage, SesqError
from sesq.queue.batch import Batch
from sesq.queue.chunks import CHUNK_ROWS, Row
from sesq.queue.record import Record
from sesq.queue.rows import Rows

if TYPE_CHECKING:
    from sesq.producer.batch.template import TemplateRenderer

MOST_CHARACTERS = 10_000
"""Longer subjects are rendered by the template."""

_variable = re.compile(r"\{\{ *([A-Za-z_][A-Za-z0-9_]*) *\}\}")


class Subjects:
    """The subjects of one account's messages."""

    def __init__(self, redis: Redis, account: str) -> None:
        from sesq.worker.row_renderer import RowRenderer

        self._renderer = RowRenderer(redis, account, Rows(redis, account))

    def rendered(self, records: Iterable[Record]) -> list[Record]:
        """Returns the records, with rendered subjects of recipients of batches if rows and template are there."""
        return [self.of(record) for record in records]

    def of(self, record: Record) -> Record:
        """Does the same for one record."""
        if record.envelope.kind != "row" or "{" not in record.envelope.subject:
            return record
        try:
            subject = self._renderer.subject(record.id)
        except SesqError:  # the template's own subject is better than none
            return record
        return replace(record, envelope=replace(record.envelope, subject=subject))

    def rows_with(self, has_words: Callable[[str], bool], batch: Batch, number: int) -> Sequence[int]:
        """Returns the rows of a chunk whose subjects have the words, and at most a few others."""
        own = batch.envelope.subject
        try:
            rows = self._renderer.rows.of_chunk(f"{batch.id}-{number}") if "{" in own else []
            may_have = _decide(self._renderer.template(batch.id), has_words) if rows else None
        except SesqError:  # then each shows the template's own subject
            may_have = None
        if may_have is None:
            return range(CHUNK_ROWS) if has_words(own) else ()
        return [number for number, row in enumerate(rows) if may_have(row)]


def _decide(template: TemplateRenderer, has_words: Callable[[str], bool]) -> Callable[[Row], bool]:
    """Returns what decides whether the subject of a row may have the words."""
    from sesq.producer import header_rules
    from sesq.worker.row_renderer import values_of

    own, joined = template.template.subject, _joined(template)
    owns_words = has_words(own)

    def rendered(row: Row) -> bool:
        try:
            return has_words(template.subject(values_of(row)))
        except SesqError:
            return owns_words

    def quick(row: Row) -> bool:
        subject = joined(row) if joined else None
        if subject is None:
            return rendered(row)
        if has_words(subject):
            return True
        try:
            header_rules.check_line(subject, "subject")
        except InvalidMessage:  # then it shows the template's own subject
            return owns_words
        return False

    return quick


def _joined(template: TemplateRenderer) -> Callable[[Row], str | None] | None:
    """Returns what joins the subject of a row, without jinja2. That gives None if the row needs the template.

    Returns None for a template whose subject has more than text and variables, such as `{{ name }}`.
    """
    parts = _variable.split(template.template.subject)
    names = parts[1::2]
    if any("{" in text or "}" in text for text in parts[::2]) or not template.used.issuperset(names):
        return None

    def join(row: Row) -> str | None:
        values = [row.values.get(name) for name in names]
        if not all(type(value) is str for value in values):
            return None
        filled = parts.copy()
        filled[1::2] = values
        subject = "".join(filled).strip()
        return subject if len(subject) <= MOST_CHARACTERS else None

    return join
