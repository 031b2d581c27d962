"""One event as SES writes it."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any

from sesq.simulator.addresses import bare_address
from sesq.simulator.errors import SesError
from sesq.simulator.events.fate import Happening
from sesq.simulator.mime import read_headers
from sesq.simulator.record import Entry

ACCOUNT_ID = "000000000000"
_SPELLING = {"RENDERING_FAILURE": "Rendering Failure", "DELIVERY_DELAY": "DeliveryDelay"}
_MTA = "dns; sesq-simulator.invalid"
_HARD_BOUNCE = "smtp; 550 5.1.1 user unknown"


def document(entry: Entry, happening: Happening, region: str, now: float) -> dict[str, Any]:
    """`eventType`, `mail`, and the event's own object under its name."""
    spelling = _SPELLING.get(happening.type, happening.type.capitalize())
    name, details = _DETAILS[happening.type]
    return {
        "eventType": spelling,
        "mail": _mail(entry, region),
        name: details(entry, happening, iso(now)),
    }


def wrapped(message: dict[str, Any], topic: str, region: str, now: float) -> str:
    """As SNS hands it on without raw delivery: the event is a string in `Message`. The signature is not a real one."""
    return json.dumps(
        {
            "Type": "Notification",
            "MessageId": str(uuid.uuid4()),
            "TopicArn": f"arn:aws:sns:{region}:{ACCOUNT_ID}:{topic}",
            "Subject": "Amazon SES Email Event Notification",
            "Message": json.dumps(message),
            "Timestamp": iso(now),
            "SignatureVersion": "1",
            "Signature": "simulated",
        }
    )


def iso(epoch: float) -> str:
    moment = datetime.fromtimestamp(epoch, timezone.utc)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z"


def _mail(entry: Entry, region: str) -> dict[str, Any]:
    mail = entry.mail
    sender = bare_address(mail.sender)
    headers = _headers(entry)
    tags = {name: [value] for name, value in mail.tags.items()}
    tags |= {"ses:from-domain": [sender.rpartition("@")[2]], "ses:source-ip": ["127.0.0.1"]}
    if mail.configuration_set:
        tags["ses:configuration-set"] = [mail.configuration_set]
    return {
        "timestamp": iso(entry.at),
        "source": mail.sender,
        "sourceArn": f"arn:aws:ses:{region}:{ACCOUNT_ID}:identity/{sender}",
        "sendingAccountId": ACCOUNT_ID,
        "messageId": entry.id,
        "destination": list(mail.recipients),
        "headersTruncated": False,
        "headers": headers,
        "commonHeaders": {
            "from": [mail.sender],
            "to": list(mail.to),
            "messageId": entry.id,
            "subject": mail.subject,
        },
        "tags": tags,
    }


def _headers(entry: Entry) -> list[dict[str, str]]:
    mail = entry.mail
    if mail.raw and entry.content:
        try:
            return [
                {"name": name, "value": str(value)} for name, value in read_headers(entry.content).items()
            ]
        except SesError:
            return []
    own = [
        ("From", mail.sender),
        ("To", ", ".join(mail.to)),
        ("Cc", ", ".join(mail.cc)),
        ("Subject", mail.subject),
    ]
    return [{"name": name, "value": value} for name, value in own if value]


def _bounce(_entry: Entry, happening: Happening, now: str) -> dict[str, Any]:
    suppressed = happening.sub_type != "General"
    diagnosis = {"diagnosticCode": f"Amazon SES: {happening.sub_type}" if suppressed else _HARD_BOUNCE}
    status = {"action": "failed", "status": "5.1.1", **diagnosis}
    return {
        "bounceType": "Permanent",
        "bounceSubType": happening.sub_type,
        "bouncedRecipients": [{"emailAddress": address, **status} for address in happening.recipients],
        "timestamp": now,
        "feedbackId": str(uuid.uuid4()),
        "reportingMTA": _MTA,
    }


def _complaint(_entry: Entry, happening: Happening, now: str) -> dict[str, Any]:
    return {
        "complainedRecipients": [{"emailAddress": address} for address in happening.recipients],
        "timestamp": now,
        "feedbackId": str(uuid.uuid4()),
        "complaintSubType": None,
        "complaintFeedbackType": "abuse",
        "userAgent": "sesq simulator",
        "arrivalDate": now,
    }


def _delivery(_entry: Entry, happening: Happening, now: str) -> dict[str, Any]:
    return {
        "timestamp": now,
        "processingTimeMillis": 0,
        "recipients": list(happening.recipients),
        "smtpResponse": "250 2.6.0 Message received",
        "reportingMTA": _MTA,
    }


def _delay(_entry: Entry, happening: Happening, now: str) -> dict[str, Any]:
    tomorrow = datetime.fromisoformat(now[:-1]).replace(tzinfo=timezone.utc) + timedelta(days=1)
    return {
        "timestamp": now,
        "delayType": "TransientCommunicationFailure",
        "expirationTime": iso(tomorrow.timestamp()),
        "delayedRecipients": [
            {"emailAddress": address, "status": "4.4.1"} for address in happening.recipients
        ],
        "reportingMTA": _MTA,
    }


def _nothing(_entry: Entry, _happening: Happening, _now: str) -> dict[str, Any]:
    return {}


def _reject(_entry: Entry, _happening: Happening, _now: str) -> dict[str, Any]:
    return {"reason": "Bad content"}


def _failure(entry: Entry, _happening: Happening, _now: str) -> dict[str, Any]:
    return {"templateName": entry.mail.template, "errorMessage": entry.mail.rendering_error}


_DETAILS: dict[str, tuple[str, Callable[[Entry, Happening, str], dict[str, Any]]]] = {
    "SEND": ("send", _nothing),
    "REJECT": ("reject", _reject),
    "RENDERING_FAILURE": ("failure", _failure),
    "DELIVERY": ("delivery", _delivery),
    "DELIVERY_DELAY": ("deliveryDelay", _delay),
    "BOUNCE": ("bounce", _bounce),
    "COMPLAINT": ("complaint", _complaint),
}
