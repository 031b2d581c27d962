"""Writes the object in an event's document that has the name of the event."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any

from sesq.simulator.events.fate import FEEDBACK_TYPES, Happening, bounce_type
from sesq.simulator.record import Entry

_MTA = "dns; sesq-simulator.invalid"
_HARD_BOUNCE = "smtp; 550 5.1.1 user unknown"
_SOFT_BOUNCE = "smtp; 452 4.2.2 try again later"
_READER = {"userAgent": "sesq simulator", "ipAddress": "192.0.2.2"}
# Bounces of mail that SES has not sent: SES itself writes the diagnosis.
_PREVENTED = (
    "Suppressed",
    "OnAccountSuppressionList",
    "OnTenantSuppressionList",
    "EmailValidationSuppressed",
    "UnsubscribedRecipient",
)


def iso(epoch: float) -> str:
    moment = datetime.fromtimestamp(epoch, timezone.utc)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z"


def _bounce(_entry: Entry, happening: Happening, now: float) -> dict[str, Any]:
    sub_type = happening.reason or "General"
    kind = bounce_type(sub_type)
    if sub_type in _PREVENTED:
        diagnosis = f"Amazon SES: {sub_type}"
    else:
        diagnosis = _HARD_BOUNCE if kind == "Permanent" else _SOFT_BOUNCE
    status = "5.1.1" if kind == "Permanent" else "4.2.2"
    of_each = {"action": "failed", "status": status, "diagnosticCode": diagnosis}
    return {
        "bounceType": kind,
        "bounceSubType": "General" if sub_type == "Transient" else sub_type,
        "bouncedRecipients": [{"emailAddress": address, **of_each} for address in happening.recipients],
        "timestamp": iso(now),
        "feedbackId": str(uuid.uuid4()),
        "reportingMTA": _MTA,
    }


def _complaint(_entry: Entry, happening: Happening, now: float) -> dict[str, Any]:
    feedback = happening.reason if happening.reason in FEEDBACK_TYPES else None
    sub_type = happening.reason if happening.reason and feedback is None else None
    return {
        "complainedRecipients": [{"emailAddress": address} for address in happening.recipients],
        "timestamp": iso(now),
        "feedbackId": str(uuid.uuid4()),
        "complaintSubType": sub_type,
        "complaintFeedbackType": feedback or "abuse",
        "userAgent": "sesq simulator",
        "arrivalDate": iso(now),
    }


def _delivery(_entry: Entry, happening: Happening, now: float) -> dict[str, Any]:
    return {
        "timestamp": iso(now),
        "processingTimeMillis": 0,
        "recipients": list(happening.recipients),
        "smtpResponse": "250 2.6.0 Message received",
        "reportingMTA": _MTA,
    }


def _delay(_entry: Entry, happening: Happening, now: float) -> dict[str, Any]:
    return {
        "timestamp": iso(now),
        "delayType": happening.reason or "TransientCommunicationFailure",
        "expirationTime": iso(now + timedelta(days=1).total_seconds()),
        "delayedRecipients": [
            {"emailAddress": address, "status": "4.4.1"} for address in happening.recipients
        ],
        "reportingMTA": _MTA,
    }


def _open(_entry: Entry, _happening: Happening, now: float) -> dict[str, Any]:
    return {"timestamp": iso(now), **_READER}


def _click(_entry: Entry, _happening: Happening, now: float) -> dict[str, Any]:
    return {"timestamp": iso(now), **_READER, "link": "https://example.com/", "linkTags": None}


def _subscription(_entry: Entry, _happening: Happening, now: float) -> dict[str, Any]:
    def preferences(unsubscribed: bool) -> dict[str, Any]:
        return {"unsubscribeAll": unsubscribed, "topicSubscriptionStatus": []}

    return {
        "contactList": "contacts",
        "timestamp": iso(now),
        "source": "UnsubscribeHeader",
        "newTopicPreferences": preferences(True),
        "oldTopicPreferences": preferences(False),
    }


def _nothing(_entry: Entry, _happening: Happening, _now: float) -> dict[str, Any]:
    return {}


def _reject(_entry: Entry, _happening: Happening, _now: float) -> dict[str, Any]:
    return {"reason": "Bad content"}


def _failure(entry: Entry, _happening: Happening, _now: float) -> dict[str, Any]:
    return {"templateName": entry.mail.template, "errorMessage": entry.mail.rendering_error}


# For each type as the API spells it: `eventType`, the name of its object, and what writes that.
DETAILS: dict[str, tuple[str, str, Callable[[Entry, Happening, float], dict[str, Any]]]] = {
    "SEND": ("Send", "send", _nothing),
    "REJECT": ("Reject", "reject", _reject),
    "RENDERING_FAILURE": ("Rendering Failure", "failure", _failure),
    "DELIVERY": ("Delivery", "delivery", _delivery),
    "DELIVERY_DELAY": ("DeliveryDelay", "deliveryDelay", _delay),
    "BOUNCE": ("Bounce", "bounce", _bounce),
    "COMPLAINT": ("Complaint", "complaint", _complaint),
    "OPEN": ("Open", "open", _open),
    "CLICK": ("Click", "click", _click),
    "SUBSCRIPTION": ("Subscription", "subscription", _subscription),
}
