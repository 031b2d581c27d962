"""Messages as people see them in a list."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sesq.console.tables import Cell, Column, table
from sesq.console.times import local_cell
from sesq.queue.record import Record
from sesq.queue.short_ids import shortened

COLUMNS = (
    Column("id"),
    Column("state"),
    Column("to", worth=9, cut=True),
    Column("subject", worth=7, cut=True),
    Column("since", worth=6),
    Column("why", worth=8, cut=True),
    Column("MessageId", worth=1),
    Column("lane", worth=2),
)


def as_table(records: Sequence[Record], now: float, *, wide: bool) -> Any:
    """A line each message."""
    short = shortened([record.id for record in records])
    return table(COLUMNS, [_row(record, short[record.id], now) for record in records], wide=wide)


def _row(record: Record, short_id: str, now: float) -> tuple[object, ...]:
    recipients = record.envelope.recipients
    more = f" and {len(recipients) - 1} more" if recipients[1:] else ""
    return (
        Cell(record.id, short_id),
        record.state.value,
        "".join(recipients[:1]) + more,
        record.envelope.subject,
        local_cell(record.since, now),
        reason_of(record),
        record.message_id,
        record.lane,
    )


def reason_of(record: Record) -> str:
    """Why it is in its state. Of a mail that was sent the record has its MessageId there, which is no reason."""
    return "" if record.reason == record.message_id else record.reason
