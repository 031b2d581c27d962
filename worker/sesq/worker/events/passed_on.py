"""Events that change nothing here, and that the application may want: opens, clicks, and changes of subscriptions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sesq.queue.envelope import encode_json
from sesq.worker.events.document import Event

AUTOMATED = "automated"
"""SES marks opens and clicks of programs since 2026-08. The name of that member is not in what was read of its
documentation, so each member whose name contains this word is taken."""
TYPES = {"Open": "opened", "Click": "clicked", "Subscription": "subscription"}
"""What SES calls it, and what the stream does."""
LONGEST_DETAIL = 8000
"""In characters: links may be as long as their writers like."""
_YES = ("true", "yes", "1")


@dataclass(frozen=True, slots=True)
class PassedOn:
    """`type`: Open, Click or Subscription. `digest`: the same for the same event, to drop doubles by.

    `id`: of the message here, or ''. `automated`: whether a program did it, as SES marks it; None if SES says
    nothing. `detail`: the event's own object as SES wrote it (timestamp, ipAddress, userAgent, link, contactList, …).
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
        """Takes it from an event."""
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
        """Returns what the stream tells: its type there, and as JSON what SES says; too long a text of that is left
        out.
        """
        told = {**self.detail, AUTOMATED: self.automated, "recipients": self.recipients}
        detail = encode_json(told)
        return {"type": TYPES[self.type], "detail": detail if len(detail) <= LONGEST_DETAIL else "{}"}


def _automated(detail: Mapping[str, Any]) -> bool | None:
    marks = [value for name, value in detail.items() if AUTOMATED in name.lower() and value is not None]
    return any(str(mark).lower() in _YES for mark in marks) if marks else None
