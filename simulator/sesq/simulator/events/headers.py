"""The headers of a mail as its events tell them: its own, never the envelope's, so that no Bcc shows."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from sesq.simulator.addresses import header_addresses
from sesq.simulator.errors import SesError
from sesq.simulator.mime import read_headers, readable
from sesq.simulator.record import Entry

MAX_TOLD = 10 * 1024  # beyond it `headersTruncated` is true
_NOT_TOLD = ("bcc", "x-ses-")  # SES takes these out of a mail
_ADDRESSES = {"from": "from", "to": "to", "cc": "cc", "reply-to": "replyTo"}
_TEXTS = {"date": "date", "sender": "sender", "return-path": "returnPath"}

Header = tuple[str, str]


def own_headers(entry: Entry) -> list[Header]:
    """Name and value, in order."""
    if entry.mail.raw:
        return [header for header in _raw_headers(entry) if not header[0].lower().startswith(_NOT_TOLD)]
    return [header for header in _written_headers(entry) if header[1]]


def told(headers: list[Header]) -> dict[str, Any]:
    """`headers`, and whether there are more of them than SES tells."""
    left = MAX_TOLD
    found: list[dict[str, str]] = []
    for name, value in headers:
        left -= len(name) + len(value)
        if left < 0:
            return {"headersTruncated": True, "headers": found}
        found.append({"name": name, "value": value})
    return {"headersTruncated": False, "headers": found}


def common_headers(headers: list[Header], message_id: str | None) -> dict[str, Any]:
    first: dict[str, str] = {}
    for name, value in headers:
        first.setdefault(name.lower(), value)
    common: dict[str, Any] = {
        told: _addresses(first[name]) for name, told in _ADDRESSES.items() if name in first
    }
    common |= {told: first[name] for name, told in _TEXTS.items() if name in first}
    common["messageId"] = first.get("message-id", message_id)
    if "subject" in first:
        common["subject"] = readable(first["subject"])
    return common


def _addresses(value: str) -> list[str]:
    try:
        return header_addresses([value])
    except SesError:
        return [value]


def _raw_headers(entry: Entry) -> Iterator[Header]:
    try:
        headers = read_headers(entry.content or b"").items()
    except SesError:
        return
    for name, value in headers:
        yield name, str(value).replace("\r", "").replace("\n", "")


def _written_headers(entry: Entry) -> Iterator[Header]:
    """Those that SES writes for Simple and Template content."""
    mail = entry.mail
    request = json.loads(entry.content or b"{}")
    content = request.get("Content") or {}
    part = content.get("Simple") or content.get("Template") or {}
    yield "From", mail.sender
    yield "To", ", ".join(mail.to)
    yield "Cc", ", ".join(mail.cc)
    yield "Reply-To", ", ".join(request.get("ReplyToAddresses") or ())
    yield "Subject", mail.subject
    for header in part.get("Headers") or ():
        yield header["Name"], header["Value"]
    yield "MIME-Version", "1.0"
    yield "Content-Type", _content_type(part)


def _content_type(part: Mapping[str, Any]) -> str:
    body = part.get("Body") or {}
    if part.get("Attachments"):
        return 'multipart/mixed; boundary="----=_Part_1"'
    if body.get("Text") and body.get("Html"):
        return 'multipart/alternative; boundary="----=_Part_1"'
    return f"text/{'html' if body.get('Html') else 'plain'}; charset=UTF-8"
