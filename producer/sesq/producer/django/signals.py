"""A signal for each change of a message, in the words of django-anymail:

    from django.dispatch import receiver
    from sesq.producer.django.signals import ChangedMessage, message_changed

    @receiver(message_changed)
    def note_bounce(sender, event: ChangedMessage, **kwargs):
        if event.event_type == "bounced" and event.reject_reason == "bounced":    # for good
            Customer.objects.filter(email=event.recipient).update(bounced=True)

`manage.py sesq_events` sends it for events of the queue, and `webhook` for those that come by HTTP. A receiver may be
called again for the same event: `event.event_id` is the same then.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from django.dispatch import Signal

from sesq.queue.events import MESSAGE, MessageEvent
from sesq.queue.states import State

message_changed = Signal()
"""Arguments: `event`, a ChangedMessage. The sender is ChangedMessage."""

EVENT_TYPES: dict[str, str] = {
    State.SCHEDULED: "queued",
    State.RETRYING: "deferred",
    State.SENDING: "sending",
    State.REFUSED: "rejected",
    State.SUPPRESSED: "rejected",
    State.EXPIRED: "failed",
}
"""For other states the type is the state's own name."""
OTHER_TYPES = {"delayed": "deferred", "noted": "other"}
"""Other types keep the name that the queue gives them: opened, clicked, subscription, gap."""
REJECT_REASONS: dict[str, str] = {
    State.COMPLAINED: "spam",
    State.SUPPRESSED: "blocked",
    State.REFUSED: "invalid",
    State.EXPIRED: "timed_out",
    State.FAILED: "other",
}

BOUNCES = {"hard": "bounced", "soft": "other", "prevented": "blocked", "rejected": "invalid"}
"""Kind of a bounce -> the reason. "bounced" alone says that the address is bad."""


@dataclass(frozen=True, slots=True)
class ChangedMessage:
    """One change of one message. `event_type` "gap": changes from before `timestamp` were lost.

    `event_type`, `timestamp`, `message_id` (SES's), `event_id`, `recipient`, `tags`, `reject_reason` and `description`
    mean what they mean in django-anymail, except that `tags` is a mapping. `sesq_id` is the message's id in the queue.
    """

    event_type: str
    timestamp: datetime
    event_id: str
    sesq_id: str
    account: str
    state: str
    was: str
    message_id: str | None
    batch: str | None
    recipients: tuple[str, ...]
    tags: Mapping[str, str]
    reject_reason: str | None
    description: str
    detail: Mapping[str, Any]

    @property
    def recipient(self) -> str | None:
        """The first recipient, if the event names any."""
        return self.recipients[0] if self.recipients else None

    @classmethod
    def of(cls, event: MessageEvent) -> ChangedMessage:
        """Makes the event that receivers get."""
        return cls(
            event_type=_type_of(event),
            timestamp=datetime.fromtimestamp(event.at, timezone.utc),
            event_id=f"{event.account}.{event.id}",
            sesq_id=event.message,
            account=event.account,
            state=event.state,
            was=event.was,
            message_id=event.message_id,
            batch=event.batch,
            recipients=event.recipients,
            tags=event.tags,
            reject_reason=_reject_reason(event),
            description=event.reason,
            detail=event.detail,
        )


def _type_of(event: MessageEvent) -> str:
    if event.type != MESSAGE:
        return OTHER_TYPES.get(event.type, event.type)
    return EVENT_TYPES.get(event.state, event.state)


def _reject_reason(event: MessageEvent) -> str | None:
    if event.type != MESSAGE:
        return None
    return BOUNCES.get(event.kind) if event.state == State.BOUNCED else REJECT_REASONS.get(event.state)


def tell(event: MessageEvent) -> list[Exception]:
    """Calls all receivers. Returns the errors that they raised, which Django has logged."""
    answers = message_changed.send_robust(sender=ChangedMessage, event=ChangedMessage.of(event))
    return [answer for _, answer in answers if isinstance(answer, Exception)]
