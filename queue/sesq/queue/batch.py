"""Reads a batch, and one of its recipients, as typed values."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sesq.queue.chunks import MOST_CHUNKS, Taken
from sesq.queue.envelope import Envelope
from sesq.queue.fields import Fields
from sesq.queue.states import DAMAGED, SENT_STATES, State

WITHOUT_RECORD = {
    "waiting": State.QUEUED,
    "leaving": State.SENDING,
    "taken": State.SENT,
    "arrived": State.DELIVERED,
}
"""The name of a batch's count of recipients without a record -> the state that people see."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Describes one batch. Times are seconds since the epoch by Redis's clock; None: not set.

    `state`: running, paused, done or cancelled. `filled`: all its rows are here. `total`: recipients queued so far.
    `counts`: recipients by state; `compact`: those without a record. `invalid`, `duplicates`, `suppressed`: rows
    that were left out, known once it is filled. `window`: its send window (empty: none). `zone_column`: the column that
    names each row's time zone for the window.
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
    window: str
    zone_column: str
    counts: Mapping[State, int]
    compact: Mapping[State, int]

    @property
    def sent(self) -> int:
        """Counts the recipients whose mail SES has taken."""
        return sum(self.counts[state] for state in SENT_STATES)

    @property
    def compact_waiting(self) -> int:
        """Counts the waiting recipients without a record: their chunks are in a lane, not they."""
        return self.compact[State.QUEUED]

    @property
    def left(self) -> int:
        """Counts the recipients that still go by themselves: queued, scheduled, sending or retrying."""
        states = (State.QUEUED, State.SCHEDULED, State.SENDING, State.RETRYING)
        return sum(self.counts[state] for state in states)

    @property
    def stuck(self) -> int:
        """Counts the recipients that wait for a verification, an event of SES or a person."""
        return self.counts[State.HELD] + self.counts[State.UNKNOWN]

    @property
    def waiting(self) -> int:
        """Counts the recipients that wait for rate, quota or their turn."""
        return self.counts[State.QUEUED] + self.counts[State.SCHEDULED]


@dataclass(frozen=True, slots=True)
class Recipient:
    """Describes one recipient of a batch.

    `at`: when it came into its state (seconds since the epoch); None if its mail is still to be sent. `has_record`: it
    has a message's record, besides its row in the chunk.
    """

    id: str
    to: str
    state: State
    message_id: str | None
    at: float | None
    reason: str
    has_record: bool = False

    def as_json(self) -> dict[str, Any]:
        told = {name: getattr(self, name) for name in ("id", "to", "message_id", "at", "reason")}
        return {**told, "state": self.state.value}


def read_batch(id: str, account: str, given: dict[str, str]) -> Batch:
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
        "envelope": fields.envelope_of_batch(),
        "created": fields.number("created"),
        "ended": fields.optional("ended"),
        "starts_at": fields.optional("starts_at"),
        "filled": fields.text("filled") == "1",
        "stop_bounces": fields.optional("stop:bounces"),
        "stop_complaints": fields.optional("stop:complaints"),
        "window": fields.text("window"),
        "zone_column": fields.text("zone_column"),
    }
    read["chunks"] = fields.count("chunks", MOST_CHUNKS) or 0
    sizes = ("total", "invalid", "duplicates", "suppressed", "jobs")
    read |= {name: fields.whole(name) for name in sizes}
    read["counts"] = {state: counts[state] for state in State}
    read["compact"] = {state: compact[state] for state in State}
    return Batch(id=id, account=account, reason=fields.reason(), **read)


def recipient_of_record(id: str, to: str, record: dict[str, str], taken: Taken | None) -> Recipient:
    if not record:  # it has expired; SES's answer is still here
        state = State.SENT if taken else State.FAILED
        return Recipient(id, to, state, taken.message_id if taken else None, None, "its record has expired")
    message_id = record.get("message_id") or None
    fields = Fields(record)
    state, since = State(fields.text("state") or DAMAGED.value), fields.optional("since")
    return Recipient(id, to, state, message_id, since, fields.reason(), has_record=True)
