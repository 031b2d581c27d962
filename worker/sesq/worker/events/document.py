"""SES's events as they come: bare, wrapped by SNS, or through EventBridge. Unknown fields and types are let be.

Source: SES developer guide, "Contents of event data that Amazon SES publishes to Amazon SNS". Events of a configuration
set have an `eventType` and the message's tags; an identity's own notifications have a `notificationType` and no tags.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sesq.config.errors import SesqError
from sesq.worker.transports.request import ID_TAG

DETAILS = {
    "Send": "send",
    "Delivery": "delivery",
    "Bounce": "bounce",
    "Complaint": "complaint",
    "Reject": "reject",
    "Rendering Failure": "failure",
}
"""The types that say something about a message's end, and the name of each one's own object."""

GREETING = "Successfully validated SNS topic"
"""SES publishes a line of text when an event destination is made: it is no event, and no poison."""


class NotAnEvent(SesqError):
    """It cannot be read as an event of SES's. The text says what is wrong, and quotes nothing of it."""


@dataclass(frozen=True, slots=True)
class Event:
    """One event. `id` is the message's own, from its tag, or empty; `detail` is the object that the type has."""

    type: str
    message_id: str
    id: str
    destination: tuple[str, ...]
    detail: Mapping[str, Any]

    @property
    def digest(self) -> str:
        """The same for the same event, however often and through whatever it comes."""
        told = self.detail.get("feedbackId") or [self.detail.get("timestamp"), sorted(self.recipients)]
        return hashlib.sha256(json.dumps([self.type, self.message_id, told]).encode()).hexdigest()[:32]

    @property
    def recipients(self) -> tuple[str, ...]:
        """The bare addresses that the event is about; all of the message's where it names none."""
        named = {"Bounce": "bouncedRecipients", "Complaint": "complainedRecipients", "Delivery": "recipients"}
        found = self.detail.get(named.get(self.type, ""), ())
        bare = tuple(each["emailAddress"] if isinstance(each, dict) else str(each) for each in found)
        return bare or self.destination


def read_event(body: str) -> Event | None:
    """The event in a message of SQS or SNS; None for what is no news. Raises NotAnEvent."""
    document = _unwrapped(body)
    if document is None:
        return None
    kind = document.get("eventType") or document.get("notificationType")
    mail = document.get("mail")
    if not isinstance(kind, str) or not isinstance(mail, dict) or not isinstance(mail.get("messageId"), str):
        raise NotAnEvent("it has no eventType, or no mail with a messageId")
    if kind not in DETAILS:
        return None
    try:
        tags = (mail.get("tags") or {}).get(ID_TAG) or [""]
        event = Event(
            kind,
            mail["messageId"],
            str(tags[0]),
            tuple(mail.get("destination", ())),
            document.get(DETAILS[kind]) or {},
        )
        _ = event.recipients, event.digest
    except (AttributeError, KeyError, TypeError, IndexError) as error:
        raise NotAnEvent(f"a part of it is not of SES's form: {type(error).__name__}") from error
    return event


def _unwrapped(body: str) -> dict[str, Any] | None:
    document = _object(body)
    if isinstance(document.get("Message"), str) and "eventType" not in document:
        if document["Message"].startswith(GREETING):
            return None
        document = _object(document["Message"])
    if document.get("source") == "aws.ses" and isinstance(document.get("detail"), dict):
        document = document["detail"]
    return document


def _object(text: str) -> dict[str, Any]:
    if text.startswith(GREETING):
        return {"Message": text}
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise NotAnEvent("it is not JSON") from error
    if not isinstance(document, dict):
        raise NotAnEvent("it is not a JSON object")
    return document
