"""Writes the headers of a mail for its events: its own, never the envelope's, so that no Bcc is shown."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timezone
from email.utils import format_datetime
from typing import Any

from sesq.simulator.addresses import header_addresses
from sesq.simulator.blocks import read_block
from sesq.simulator.encoded_words import readable
from sesq.simulator.errors import SesError
from sesq.simulator.record import Entry
from sesq.simulator.written import Header

MAX_TOLD = 10 * 1024  # beyond it `headersTruncated` is true
_ADDRESSES = {"from": "from", "to": "to", "cc": "cc", "reply-to": "replyTo"}
_TEXTS = {"date": "date", "sender": "sender", "return-path": "returnPath"}


def own_headers(entry: Entry) -> list[Header]:
    """Lists names and values, in order."""
    if entry.mail.raw:
        return [header for header in _raw_headers(entry) if not _is_taken_out(header[0].lower())]
    return [header for header in _written_headers(entry) if header[1]]


def _is_taken_out(name: str) -> bool:
    """Whether SES takes a header out of raw mail."""
    return name == "bcc" or name.startswith("x-ses-")


def told(headers: list[Header]) -> dict[str, Any]:
    """Returns `headers`, and whether there are more of them than SES tells."""
    left = MAX_TOLD
    found: list[dict[str, str]] = []
    for name, value in headers:
        left -= len(name) + len(value)
        if left < 0:
            return {"headersTruncated": True, "headers": found}
        found.append({"name": name, "value": value})
    return {"headersTruncated": False, "headers": found}


def common_headers(headers: list[Header], message_id: str | None) -> dict[str, Any]:
    """Returns the addresses of all headers of a name, and the first value of other headers."""
    lines: dict[str, list[str]] = {}
    for name, value in headers:
        lines.setdefault(name.lower(), []).append(value)
    common: dict[str, Any] = {
        told: _addresses(lines[name]) for name, told in _ADDRESSES.items() if name in lines
    }
    common |= {told: lines[name][0] for name, told in _TEXTS.items() if name in lines}
    common["messageId"] = lines["message-id"][0] if "message-id" in lines else message_id
    if "subject" in lines:
        common["subject"] = readable(lines["subject"][0])
    return common


def _addresses(lines: list[str]) -> list[str]:
    try:
        return header_addresses(lines)
    except SesError:
        return lines


def _raw_headers(entry: Entry) -> list[Header]:
    try:
        headers = read_block(entry.content or b"").headers
    except SesError:
        return []
    return [(name, str(value)) for name, value in headers.items()]


def _written_headers(entry: Entry) -> Iterator[Header]:
    """Yields the headers that SES writes for Simple and Template content."""
    mail = entry.mail
    request = json.loads(entry.content or b"{}")
    content = request.get("Content") or {}
    part = content.get("Simple") or content.get("Template") or {}
    if mail.templated and mail.body_headers:
        yield "Date", format_datetime(datetime.fromtimestamp(entry.at, timezone.utc))
    yield "From", mail.sender
    yield "To", ", ".join(mail.to)
    yield "Cc", ", ".join(mail.cc)
    yield "Reply-To", ", ".join(request.get("ReplyToAddresses") or ())
    yield "Subject", mail.subject
    for header in part.get("Headers") or ():
        yield header["Name"], header["Value"]
    yield "MIME-Version", "1.0"
    yield from mail.body_headers
