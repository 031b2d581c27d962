"""Reads the record of a message as a typed value, from its keys in Redis or from its batch."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any

from sesq.queue.batch import Batch, Recipient
from sesq.queue.envelope import Envelope
from sesq.queue.fields import Fields
from sesq.queue.states import DAMAGED, Lane, State


@dataclass(frozen=True, slots=True)
class Event:
    """Describes one change of state: when (seconds since the epoch), to which state, and why."""

    at: float
    state: State
    reason: str


@dataclass(frozen=True, slots=True)
class Record:
    """Describes one message. Times are seconds since the epoch by Redis's clock; None: not set.

    `explain` adds `waits_because` and `goes_at` (when it will go; None: not known). `delayed_because`: why SES has not
    delivered it yet; empty if SES did not report a delay.
    """

    id: str
    account: str
    state: State
    reason: str
    lane: str
    envelope: Envelope
    attempts: int
    created: float
    since: float
    send_at: float | None
    expires_at: float | None
    message_id: str | None
    hold: str | None
    worker: str | None
    history: tuple[Event, ...]
    waits_because: str = ""
    goes_at: float | None = None
    delayed_because: str = ""

    def as_json(self) -> dict[str, Any]:
        """Returns the object that `sesq messages show --json` prints."""
        envelope = self.envelope
        return {
            "id": self.id,
            "account": self.account,
            "state": self.state.value,
            "reason": self.reason,
            "lane": self.lane,
            "from": envelope.sender,
            "to": list(envelope.to),
            "cc": list(envelope.cc),
            "bcc": list(envelope.bcc),
            "subject": envelope.subject,
            "tags": dict(envelope.tags),
            "tenant": envelope.tenant,
            "feedback_to": envelope.feedback_to,
            "contact_list": envelope.contact_list,
            "topic": envelope.topic,
            "track": None if envelope.track is None else envelope.track == "on",
            "attempts": self.attempts,
            "created": self.created,
            "since": self.since,
            "send_at": self.send_at,
            "expires_at": self.expires_at,
            "message_id": self.message_id,
            "hold": self.hold,
            "waits_because": self.waits_because,
            "goes_at": self.goes_at,
            "delayed_because": self.delayed_because,
            "history": [{"at": e.at, "state": e.state.value, "reason": e.reason} for e in self.history],
        }


def record_of_recipient(recipient: Recipient, batch: Batch) -> Record:
    """Makes the record of a batch's recipient that has none."""
    at = recipient.at
    if at is None and recipient.state is State.CANCELLED:
        at = batch.ended
    history = [Event(batch.created, State.QUEUED, f"in batch {batch.id}")]
    if at is not None:
        history.append(Event(at, recipient.state, recipient.message_id or recipient.reason))
    return Record(
        id=recipient.id,
        account=batch.account,
        state=recipient.state,
        reason=recipient.reason,
        lane=Lane.BULK.value,
        envelope=replace(batch.envelope, to=(recipient.to,)),
        attempts=1 if recipient.message_id else 0,
        created=batch.created,
        since=batch.created if at is None else at,
        send_at=None,
        expires_at=None,
        message_id=recipient.message_id,
        hold=None,
        worker=None,
        history=tuple(history),
    )


def read_record(id: str, account: str, given: dict[str, str]) -> Record:
    """Reads the fields of a record. If some are damaged, or of another version, its reason says so."""
    fields = Fields(given)
    read: dict[str, Any] = {
        "state": State(fields.text("state")) if fields.text("state") else DAMAGED,
        "lane": _lane(fields.text("queue")),
        "envelope": fields.envelope(),
        "attempts": fields.whole("attempts"),
        "created": fields.number("created"),
        "since": fields.number("since"),
        "send_at": fields.optional("send_at"),
        "expires_at": fields.optional("expires_at"),
        "message_id": fields.text("message_id") or None,
        "hold": fields.text("hold") or None,
        "worker": fields.text("worker") or None,
        "delayed_because": fields.text("delayed_because"),
        "history": tuple(_event(line) for line in fields.text("history").split("\n") if line),
    }
    return Record(id=id, account=account, reason=fields.reason(), **read)


def _event(line: str) -> Event:
    try:
        at, state, reason = json.loads(line)
        return Event(float(at), State(str(state)), str(reason))
    except (ValueError, TypeError):
        return Event(0.0, DAMAGED, line)


def _lane(queue: str) -> str:
    """Returns the lane: the third part of the queue's name. A fourth part is a tenant."""
    return ".".join(queue.split(".")[2:3])
