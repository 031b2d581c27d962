"""Reads known messages that come with events but are none: greetings, confirmations, notices about the account.

`docs/reference/events.md` shows the same rows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

GREETING = "Successfully validated SNS topic"
"""SES publishes a line of text when an event destination is made."""
MOST_SHOWN = 500
"""Characters of a notice."""

Document = Mapping[str, Any]


class Kind(str, Enum):
    """Names the kinds of notices. Redis, JSON and the command line show the values."""

    GREETING = "greeting"
    SUBSCRIBING = "subscription to be confirmed"
    UNSUBSCRIBED = "subscription ended"
    IDENTITY = "identity notice"
    RECEIVED = "received mail"
    PAUSED = "sending paused"
    RESUMED = "sending resumed"
    ADVICE = "advice"
    ACCOUNT = "account notice"
    UNKNOWN = "unknown event"

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True, slots=True)
class Notice:
    """Holds one notice. `text`: one line for people. `id`: that of the message that brought it; '' for a greeting."""

    kind: Kind
    text: str
    id: str = ""

    @property
    def is_urgent(self) -> bool:
        """Whether somebody should act on it."""
        return self.kind in URGENT


@dataclass(frozen=True, slots=True)
class Sign:
    """Describes how to recognise a kind. `by`: its mark, for people. `told`: writes its text; None for another kind."""

    kind: Kind
    by: str
    source: str
    told: Callable[[Document], str | None]


def _greeting(document: Document) -> str | None:
    text = document.get("Message")
    if not isinstance(text, str) or not text.startswith(GREETING):
        return None
    return "SES greets the topic: it publishes its events there"


def _subscribing(document: Document) -> str | None:
    if document.get("Type") != "SubscriptionConfirmation":
        return None
    topic = document.get("TopicArn")
    return f"SNS waits for the subscription to {topic} to be confirmed: no events come by it until then"


def _unsubscribed(document: Document) -> str | None:
    if document.get("Type") != "UnsubscribeConfirmation":
        return None
    return f"the subscription to {document.get('TopicArn')} has ended: no more events come by it"


def _identity(document: Document) -> str | None:
    if document.get("notificationType") != "AmazonSnsSubscriptionSucceeded":
        return None
    return str(document.get("message") or "an identity tells its feedback to the topic")


def _received(document: Document) -> str | None:
    if document.get("notificationType") != "Received":
        return None
    mail = document.get("mail")
    source = mail.get("source") if isinstance(mail, dict) else None
    return f"SES has received a mail from {source or 'somebody'}; sesq only sends"


def _paused(document: Document) -> str | None:
    return _status(document, "Disabled", "SES has paused sending")


def _resumed(document: Document) -> str | None:
    return _status(document, "Enabled", "SES has resumed sending")


def _status(document: Document, word: str, told: str) -> str | None:
    if _detail_type(document) != f"Sending Status {word}":
        return None
    record = _inside(document, "detail", "data", "record")
    cause = f"; the cause: {record['cause']}" if record.get("cause") else ""
    return f"{told} of {_resources(document)}{cause}"


def _advice(document: Document) -> str | None:
    if _detail_type(document) != "Advisor Recommendation Status Open":
        return None
    return f"SES's advisor recommends a change, see its console, for {_resources(document)}"


def _account(document: Document) -> str | None:
    kind = _detail_type(document)
    return f"{kind}, for {_resources(document)}" if kind else None


_SNS = 'SNS developer guide, "Amazon SNS message and JSON formats"'
_BRIDGE = 'EventBridge events reference, "Amazon Simple Email Service events"'
_RECORDED = "recorded answers of SES, in public tests"
SIGNS = (
    Sign(Kind.GREETING, f"the text `{GREETING} …`", _RECORDED, _greeting),
    Sign(Kind.SUBSCRIBING, "`Type` SubscriptionConfirmation", _SNS, _subscribing),
    Sign(Kind.UNSUBSCRIBED, "`Type` UnsubscribeConfirmation", _SNS, _unsubscribed),
    Sign(
        Kind.IDENTITY, "`notificationType` AmazonSnsSubscriptionSucceeded", "public reports of it", _identity
    ),
    Sign(
        Kind.RECEIVED,
        "`notificationType` Received",
        'SES developer guide, "Contents of notifications for Amazon SES email receiving"',
        _received,
    ),
    Sign(Kind.PAUSED, "EventBridge, `Sending Status Disabled`", _BRIDGE, _paused),
    Sign(Kind.RESUMED, "EventBridge, `Sending Status Enabled`", _BRIDGE, _resumed),
    Sign(Kind.ADVICE, "EventBridge, `Advisor Recommendation Status Open`", _BRIDGE, _advice),
    Sign(Kind.ACCOUNT, "EventBridge, of `aws.ses`, any other without a mail", _BRIDGE, _account),
)
"""The first sign that fits a document decides its kind."""
URGENT = frozenset({Kind.SUBSCRIBING, Kind.UNSUBSCRIBED, Kind.PAUSED, Kind.ADVICE, Kind.UNKNOWN})


def notice_of(document: Document, id: str = "") -> Notice | None:
    """Returns the notice in a document; None if it is none. `id`: that of the message in which it came."""
    for sign in SIGNS:
        told = sign.told(document)
        if told is not None:
            return Notice(sign.kind, one_line(told), id)
    return None


def one_line(text: str) -> str:
    """Returns the text in one line, cut to MOST_SHOWN characters."""
    return " ".join(text.split())[:MOST_SHOWN]


def _detail_type(document: Document) -> str:
    if document.get("source") != "aws.ses":
        return ""
    return str(document.get("detail-type") or "a notice")


def _resources(document: Document) -> str:
    found = document.get("resources")
    named = [each for each in found if isinstance(each, str)] if isinstance(found, list) else []
    return ", ".join(named) or f"account {document.get('account')} in {document.get('region')}"


def _inside(document: Document, *names: str) -> Document:
    for name in names:
        inner = document.get(name)
        if not isinstance(inner, dict):
            return {}
        document = inner
    return document
