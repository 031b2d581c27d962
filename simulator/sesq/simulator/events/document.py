"""Writes one event as SES does."""

from __future__ import annotations

from typing import Any

from sesq.simulator.addresses import bare_address
from sesq.simulator.arns import write_arn
from sesq.simulator.errors import SesError
from sesq.simulator.events.details import DETAILS, iso
from sesq.simulator.events.fate import Happening
from sesq.simulator.events.headers import common_headers, own_headers, told
from sesq.simulator.http import ACCOUNT_ID
from sesq.simulator.mail import Mail
from sesq.simulator.record import Entry
from sesq.simulator.written import Header

CALLER = "sesq-simulator"
_OUTGOING_IP = "192.0.2.1"
# The Send event of a mail with a template lacks these, since SES renders it later.
_RENDERED = ("Date", "Subject", "Content-Type", "Content-Transfer-Encoding")
_TELL_TENANT = ("BOUNCE", "COMPLAINT")


class Documents:
    """Writes the events of one message. `identity`: the name of its sender's identity."""

    def __init__(self, entry: Entry, region: str, identity: str | None) -> None:
        self._entry = entry
        self._headers = own_headers(entry)
        self._mail = _mail(entry, region, identity)
        self._tags = _tags(entry.mail, self._headers)

    def of(self, happening: Happening, now: float) -> dict[str, Any]:
        """Writes one event: `eventType`, `mail`, and the event's own object under its name."""
        event_type, name, details = DETAILS[happening.type]
        headers, tags = self._headers, self._tags
        if happening.type == "SEND" and self._entry.mail.templated:
            headers = [header for header in headers if header[0] not in _RENDERED]
        if happening.type == "DELIVERY":
            tags = tags | {"ses:outgoing-ip": [_OUTGOING_IP]}
        if happening.type in _TELL_TENANT and self._entry.mail.tenant:
            tags = tags | {"ses:tenant-name": [self._entry.mail.tenant]}
        common = common_headers(headers, self._entry.id)
        mail = {**self._mail, **told(headers), "commonHeaders": common, "tags": tags}
        return {"eventType": event_type, "mail": mail, name: details(self._entry, happening, now)}


def _mail(entry: Entry, region: str, identity: str | None) -> dict[str, Any]:
    source = entry.mail.source or entry.mail.sender
    named = identity or _bare(source)
    return {
        "timestamp": iso(entry.at),
        "source": source,
        "sourceArn": write_arn(region, f"identity/{named}"),
        "sendingAccountId": ACCOUNT_ID,
        "messageId": entry.id,
        "destination": list(entry.mail.recipients),
    }


def _tags(mail: Mail, headers: list[Header]) -> dict[str, list[str]]:
    tags = {
        "ses:operation": [mail.operation],
        "ses:source-ip": ["127.0.0.1"],
        "ses:caller-identity": [CALLER],
    }
    if mail.configuration_set:
        tags["ses:configuration-set"] = [mail.configuration_set]
    sender = next((value for name, value in headers if name.lower() == "from"), "")
    if sender:
        tags["ses:from-domain"] = [_bare(mail.sender).rpartition("@")[2]]
    return tags | {name: [value] for name, value in mail.tags.items()}


def _bare(address: str) -> str:
    try:
        return bare_address(address)
    except SesError:
        return address
