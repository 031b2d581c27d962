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
from sesq.queue.suppression import mailed_as
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

RECIPIENTS = {"Bounce": "bouncedRecipients", "Complaint": "complainedRecipients", "Delivery": "recipients"}
"""Where a type names those it is about."""

GREETING = "Successfully validated SNS topic"
"""SES publishes a line of text when an event destination is made: it is no event, and no poison."""


class NotAnEvent(SesqError):
    """It cannot be read as an event of SES's. The text says what is wrong, and quotes nothing of it."""


@dataclass(frozen=True, slots=True)
class Event:
    """One event. `id` is the message's own, from its tag, or empty; `detail` is the object that the type has.

    `recipients` are the bare addresses that the event is about; all of the message's where it names none.
    """

    type: str
    message_id: str
    id: str
    recipients: tuple[str, ...]
    detail: Mapping[str, Any]

    @property
    def digest(self) -> str:
        """The same for the same event, however often and through whatever it comes."""
        told = self.detail.get("feedbackId") or [self.detail.get("timestamp"), sorted(self.recipients)]
        return hashlib.sha256(json.dumps([self.type, self.message_id, told]).encode()).hexdigest()[:32]


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
    detail = document.get(DETAILS[kind]) or {}
    if not isinstance(detail, dict):
        raise NotAnEvent(f"its {DETAILS[kind]} is no object")
    destination = [mailed_as(each) or each for each in _texts(mail.get("destination", []), "destination")]
    recipients = _as_mailed(_recipients(kind, detail), destination) or tuple(destination)
    return Event(kind, mail["messageId"], _id(mail.get("tags") or {}), recipients, detail)


def _id(tags: object) -> str:
    if not isinstance(tags, dict):
        raise NotAnEvent("its tags are no object")
    return next(iter(_texts(tags.get(ID_TAG) or [], ID_TAG)), "")


def _recipients(kind: str, detail: Mapping[str, Any]) -> tuple[str, ...]:
    name = RECIPIENTS.get(kind, "")
    found = detail.get(name, [])
    if not isinstance(found, list):
        raise NotAnEvent(f"its {name} is no list")
    return _texts([each.get("emailAddress") if isinstance(each, dict) else each for each in found], name)


def _as_mailed(told: tuple[str, ...], destination: list[str]) -> tuple[str, ...]:
    """As the mail was addressed: the server that tells of them may have changed the case, and added a name."""
    named = {each.casefold(): each for each in destination}
    bare = [mailed_as(each) or each for each in told]
    return tuple(each if each in destination else named.get(each.casefold(), each) for each in bare)


def _texts(found: object, name: str) -> tuple[str, ...]:
    if not isinstance(found, list) or not all(isinstance(each, str) for each in found):
        raise NotAnEvent(f"its {name} is no list of texts")
    return tuple(found)


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
        document = _encodable(json.loads(text))
    except (ValueError, RecursionError) as error:
        raise NotAnEvent("it is not JSON") from error
    if not isinstance(document, dict):
        raise NotAnEvent("it is not a JSON object")
    return document


def _encodable(document: Any) -> Any:
    """With ? for each half of a surrogate pair: JSON can hold it alone, and neither UTF-8 nor Redis's Lua can."""
    return json.loads(json.dumps(document, ensure_ascii=False).encode(errors="replace"))
