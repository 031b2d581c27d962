"""Reads events that change no state, but that applications may want: opens, clicks, changes of subscriptions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sesq.queue.envelope import encode_json
from sesq.worker.events.document import Event

AUTOMATED = "automated"
"""SES marks opens and clicks of programs since 2026-08. The documentation that was read does not name the member, so
each member with this word in its name counts."""
TYPES = {"Open": "opened", "Click": "clicked", "Subscription": "subscription"}
"""SES's type of event -> the type in the stream."""
LONGEST_DETAIL = 8000
"""Characters. Links may be very long."""
_YES = ("true", "yes", "1")


@dataclass(frozen=True, slots=True)
class PassedOn:
    """Describes such an event. `type`: Open, Click or Subscription. `digest`: an id of the event, to find duplicates.

    `id`: sesq's id of the message, or ''. `automated`: whether a program did it, by SES's mark; None without a mark.
    `detail`: the event's own object as SES wrote it (timestamp, ipAddress, userAgent, link, contactList, …).
    """

    type: str
    digest: str
    id: str
    message_id: str
    recipients: tuple[str, ...]
    automated: bool | None
    detail: Mapping[str, Any]

    @classmethod
    def of(cls, event: Event) -> PassedOn:
        """Reads it from an event."""
        return cls(
            event.type,
            event.digest,
            event.id,
            event.message_id,
            event.recipients,
            _automated(event.detail),
            event.detail,
        )

    def for_consumers(self) -> dict[str, str]:
        """Returns its type in the stream, and SES's object as JSON; `{}` if that is too long."""
        told = {**self.detail, AUTOMATED: self.automated, "recipients": self.recipients}
        detail = encode_json(told)
        return {"type": TYPES[self.type], "detail": detail if len(detail) <= LONGEST_DETAIL else "{}"}


def _automated(detail: Mapping[str, Any]) -> bool | None:
    marks = [value for name, value in detail.items() if AUTOMATED in name.lower() and value is not None]
    return any(str(mark).lower() in _YES for mark in marks) if marks else None
