"""A message as Resend's API shows an email."""

from __future__ import annotations

from typing import Any

from sesq.console.times import utc
from sesq.queue.record import Record
from sesq.queue.states import State

LAST_EVENT = {
    State.SCHEDULED: "scheduled",
    State.SENT: "sent",
    State.DELIVERED: "delivered",
    State.BOUNCED: "bounced",
    State.COMPLAINED: "complained",
    State.REFUSED: "failed",
    State.FAILED: "failed",
    State.EXPIRED: "failed",
    State.SUPPRESSED: "suppressed",
    State.CANCELLED: "canceled",
}
"""State -> `last_event`. Resend's API has no word for the other states: they are `queued`, and `sesq` has the state."""


def email_as_json(record: Record) -> dict[str, Any]:
    """Returns those fields of Resend's form that are known, and `sesq` with the state in sesq's own words."""
    envelope = record.envelope
    return {
        "object": "email",
        "id": record.id,
        "from": envelope.sender,
        "to": list(envelope.to),
        "cc": list(envelope.cc),
        "bcc": list(envelope.bcc),
        "reply_to": list(envelope.reply_to),
        "subject": envelope.subject,
        "html": None,
        "text": None,
        "tags": [{"name": name, "value": value} for name, value in envelope.tags.items()],
        "created_at": utc(record.created),
        "scheduled_at": utc(record.send_at),
        "last_event": LAST_EVENT.get(record.state, "queued"),
        "sesq": {
            "state": record.state.value,
            "reason": record.reason,
            "waits_because": record.waits_because,
            "goes_at": utc(record.goes_at),
            "message_id": record.message_id,
        },
    }
