"""Renders the subjects of recipients of batches: their records have only the template's subject."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from redis import Redis

from sesq.config.errors import SesqError
from sesq.queue.record import Record
from sesq.queue.rows import Rows


class Subjects:
    """The subjects of one account's messages."""

    def __init__(self, redis: Redis, account: str) -> None:
        from sesq.worker.row_renderer import RowRenderer

        self._renderer = RowRenderer(redis, account, Rows(redis, account))

    def rendered(self, records: Iterable[Record]) -> list[Record]:
        """Returns the records. It renders the subject of a recipient of a batch, if its row and template are there."""
        return [self.of(record) for record in records]

    def of(self, record: Record) -> Record:
        """One of them."""
        if record.envelope.kind != "row" or "{" not in record.envelope.subject:
            return record
        try:
            subject = self._renderer.subject(record.id)
        except SesqError:  # the template's own subject is better than none
            return record
        return replace(record, envelope=replace(record.envelope, subject=subject))
