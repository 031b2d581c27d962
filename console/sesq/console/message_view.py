"""Shows messages to people and scripts: lists, JSON, and lines of CSV."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from sesq.console.csv_output import csv_line
from sesq.console.tables import Cell, Column, table
from sesq.console.times import local_cell, utc
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


EXPLAINED = ("waits_because", "goes_at")
ADDRESSES = ("to", "cc", "bcc")
CSV_COLUMNS = (
    "id", "state", "since", "from", *ADDRESSES, "subject", "reason", "message_id", "lane", "tags", "tenant", "created"
)  # fmt: skip


def as_table(records: Sequence[Record], now: float, *, wide: bool) -> Any:
    """Returns a table with a line for each message."""
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
    """Says why it is in its state. For sent mail, the record has the MessageId in this field, which is no reason."""
    return "" if record.reason == record.message_id else record.reason


def listed_as_json(record: Record) -> dict[str, Any]:
    """Returns JSON for a list, which does not say why each message waits."""
    return {name: value for name, value in as_json(record).items() if name not in EXPLAINED}


def as_json(record: Record) -> dict[str, Any]:
    """Returns `Record.as_json` with its times in ISO 8601."""
    told = record.as_json()
    for name in ("created", "since", "send_at", "expires_at", "goes_at"):
        told[name] = utc(told[name])
    told["history"] = [event | {"at": utc(event["at"])} for event in told["history"]]
    return told


def lines(records: Iterable[Record], *, jsonl: bool) -> Iterator[str]:
    """Yields one line for each message: JSON, or CSV with a heading and with formulas made harmless."""
    if jsonl:
        yield from (f"{json.dumps(listed_as_json(record))}\n" for record in records)
        return
    yield csv_line(CSV_COLUMNS)
    for record in records:
        told = listed_as_json(record)
        told |= {name: ", ".join(told[name]) for name in ADDRESSES}
        told["tags"] = ", ".join(f"{name}={value}" for name, value in told["tags"].items())
        told["reason"] = reason_of(record)
        yield csv_line(told[name] for name in CSV_COLUMNS)
