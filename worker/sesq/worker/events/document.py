"""Reads SES's events: bare, wrapped by SNS, or through EventBridge. Unknown fields are ignored.

Source: SES developer guide, "Contents of event data that Amazon SES publishes to Amazon SNS". Events of a configuration
set have an `eventType` and the message's tags; an identity's own notifications have a `notificationType` and no tags.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from sesq.config.errors import InvalidMessage, SesqError
from sesq.producer.rules import check_tenant
from sesq.queue.suppression import mailed_as
from sesq.worker.events.notices import GREETING, Notice, notice_of
from sesq.worker.transports.request import ID_TAG

DETAILS = {
    "Send": "send",
    "Delivery": "delivery",
    "DeliveryDelay": "deliveryDelay",
    "Bounce": "bounce",
    "Complaint": "complaint",
    "Reject": "reject",
    "Rendering Failure": "failure",
    "Open": "open",
    "Click": "click",
    "Subscription": "subscription",
}
"""Type of event -> the name of its own object."""

RECIPIENTS = {
    "Bounce": "bouncedRecipients",
    "Complaint": "complainedRecipients",
    "Delivery": "recipients",
    "DeliveryDelay": "delayedRecipients",
}
"""Type of event -> the member with the recipients that it is about."""

TENANT_TAG = "ses:tenant-name"
"""SES adds it to bounces and complaints (developer guide, "Using tenant-level suppression lists")."""
OF_SES = "ses:"
"""The beginning of the names of tags that SES adds."""


class NotAnEvent(SesqError):
    """A text cannot be read as an event of SES. The message says what is wrong, and quotes nothing of it."""


@dataclass(frozen=True, slots=True)
class Event:
    """Describes one event.

    `id`: sesq's id of the message; `tenant`: the tenant of the mail; both from the mail's tags, or empty. `detail`: the
    object of its type. `recipients`: the bare addresses that the event is about; all recipients of the message if it
    names none. `may_be_any`: it names none, and there are several. `tags`: the tags that the sender gave the mail.
    """

    type: str
    message_id: str
    id: str
    recipients: tuple[str, ...]
    detail: Mapping[str, Any]
    may_be_any: bool = False
    tenant: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def subtype(self) -> str:
        """The subtype, as in the table of events; '' if there is none."""
        if self.type == "Bounce":
            return f"{self._value('bounceType')}/{self._value('bounceSubType')}"
        return self._value({"Complaint": "complaintSubType", "DeliveryDelay": "delayType"}.get(self.type, ""))

    @property
    def feedback(self) -> str:
        """The type of the feedback report of a complaint; '' if there is none."""
        return self._value("complaintFeedbackType") if self.type == "Complaint" else ""

    def _value(self, name: str) -> str:
        value = self.detail.get(name)
        return "" if value is None else str(value)

    @property
    def digest(self) -> str:
        """An id of the event. It is the same however often, and by whichever way, the event comes."""
        told = self.detail.get("feedbackId") or [self.detail.get("timestamp"), sorted(self.recipients)]
        if "link" in self.detail:
            told = [told, self.detail["link"]]
        return hashlib.sha256(json.dumps([self.type, self.message_id, told]).encode()).hexdigest()[:32]


def read_event(body: str) -> Event | Notice:
    """Reads the event, or the notice, in a message of SQS or SNS. Raises NotAnEvent for anything else."""
    document, id = _object(body), ""
    if isinstance(document.get("Message"), str) and "eventType" not in document:
        id = str(document.get("MessageId") or "")
        notice = notice_of(document, id)
        if notice is not None:
            return notice
        document = _object(document["Message"])
    if document.get("source") == "aws.ses" and isinstance(document.get("detail"), dict):
        if "mail" not in document["detail"]:
            id = str(document.get("id") or id)
        else:
            document = document["detail"]
    return notice_of(document, id) or _event(document)


def _event(document: dict[str, Any]) -> Event:
    kind = document.get("eventType") or document.get("notificationType")
    mail = document.get("mail")
    if not isinstance(kind, str) or not isinstance(mail, dict) or not isinstance(mail.get("messageId"), str):
        raise NotAnEvent("it has no eventType, or no mail with a messageId")
    name = DETAILS.get(kind) or kind[:1].lower() + kind[1:]
    detail = document.get(name) or {}
    if not isinstance(detail, dict):
        raise NotAnEvent(f"its {name} is no object")
    destination = [mailed_as(each) or each for each in _texts(mail.get("destination", []), "destination")]
    named = _as_mailed(_recipients(kind, detail), destination)
    recipients = named or tuple(destination)
    tags = mail.get("tags") or {}
    return Event(
        kind,
        mail["messageId"],
        _tag(tags, ID_TAG),
        recipients,
        detail,
        may_be_any=not named and len(set(recipients)) > 1,
        tenant=_tenant(_tag(tags, TENANT_TAG)),
        tags=dict(_own_tags(tags)),
    )


def _tag(tags: object, name: str) -> str:
    if not isinstance(tags, dict):
        raise NotAnEvent("its tags are no object")
    return next(iter(_texts(tags.get(name) or [], name)), "")


def _own_tags(tags: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yields the tags of the sender. Leaves out tags that are no list of texts."""
    for name, values in tags.items():
        if name != ID_TAG and not name.startswith(OF_SES):
            with suppress(NotAnEvent):
                yield from ((name, value) for value in _texts(values, name)[:1])


def _tenant(name: str) -> str:
    try:
        check_tenant(name)
    except InvalidMessage:
        return ""
    return name


def _recipients(kind: str, detail: Mapping[str, Any]) -> tuple[str, ...]:
    name = RECIPIENTS.get(kind, "")
    found = detail.get(name, [])
    if not isinstance(found, list):
        raise NotAnEvent(f"its {name} is no list")
    return _texts([each.get("emailAddress") if isinstance(each, dict) else each for each in found], name)


def _as_mailed(told: tuple[str, ...], destination: list[str]) -> tuple[str, ...]:
    """Returns addresses as the mail had them: the reporting server may have changed the case, or added a name."""
    named = {each.casefold(): each for each in destination}
    bare = [mailed_as(each) or each for each in told]
    return tuple(each if each in destination else named.get(each.casefold(), each) for each in bare)


def _texts(found: object, name: str) -> tuple[str, ...]:
    if not isinstance(found, list) or not all(isinstance(each, str) for each in found):
        raise NotAnEvent(f"its {name} is no list of texts")
    return tuple(found)


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
    """Replaces each lone half of a surrogate pair by ?: JSON can hold it, but not UTF-8 and not Redis's Lua."""
    return json.loads(json.dumps(document, ensure_ascii=False).encode(errors="replace"))
