"""The rules of SES and of mail for headers. Each check raises InvalidMessage with the field and the cure."""

from __future__ import annotations

import re
from collections.abc import Mapping

from sesq.config.errors import InvalidMessage
from sesq.queue.addresses import encode_words, has_unsafe, shown

MAX_WORD_LENGTH = 900
"""Characters without a space in a header: a longer word could not be folded into lines that mail allows."""

MAX_SIMPLE_HEADERS = 15
MAX_SIMPLE_VALUE = 995
MAX_SIMPLE_HEADER = 996
"""Own headers of SES's Simple content, the length of a value, and of a name with its value (API, MessageHeader)."""

OWN_HEADERS = {
    "from": "give sender=",
    "sender": "give sender=",
    "to": "give to=",
    "cc": "give cc=",
    "bcc": "give bcc=",
    "reply-to": "give reply_to=",
    "subject": "give subject=",
    "return-path": "SES sets it",
    "date": "SES sets it",
    "message-id": "SES sets it",
    "dkim-signature": "SES signs",
    "domainkey-signature": "SES signs",
    "received": "mail servers set it",
    "mime-version": "sesq sets it",
}
"""Headers that are not the caller's, and what to do instead."""

OWN_PREFIXES = {
    "content-": "give text=, html= or attachments=",
    "resent-": "resending is not supported; send the mail as raw bytes",
    "x-ses-": "give configuration_set=, tenant=, contact_list= or tags=",
    "x-sesq-": "give the option itself: lane=, tags=, send_at=, expires_at=, idempotency_key=",
}

SINGLE_HEADERS = frozenset(
    [
        "accept-language",
        "acceptlanguage",
        "archived-at",
        "auto-submitted",
        "bounces-to",
        "comments",
        "content-alternative",
        "content-base",
        "content-class",
        "content-description",
        "content-disposition",
        "content-duration",
        "content-id",
        "content-language",
        "content-length",
        "content-location",
        "content-md5",
        "content-transfer-encoding",
        "content-type",
        "date",
        "delivered-to",
        "disposition-notification-options",
        "disposition-notification-to",
        "dkim-signature",
        "domainkey-signature",
        "errors-to",
        "from",
        "importance",
        "in-reply-to",
        "keywords",
        "list-archive",
        "list-help",
        "list-id",
        "list-owner",
        "list-post",
        "list-subscribe",
        "list-unsubscribe",
        "list-unsubscribe-post",
        "message-context",
        "message-id",
        "mime-version",
        "organization",
        "original-from",
        "original-message-id",
        "original-recipient",
        "original-subject",
        "precedence",
        "priority",
        "references",
        "reply-to",
        "return-path",
        "return-receipt-to",
        "sender",
        "solicitation",
        "sensitivity",
        "subject",
        "thread-index",
        "thread-topic",
        "user-agent",
        "vbr-info",
    ]
)
"""Headers that SES refuses to see twice (developer guide, "Amazon SES header fields"), in lower case."""

_is_header_name = re.compile(r"[!-9;-~]{1,126}").fullmatch


def check_line(text: object, field: str) -> None:
    """Checks one line of a header: no line breaks or control characters, plain or encoded, and no word too long."""
    if not isinstance(text, str):
        raise InvalidMessage(field, f"must be text, not {shown(text)}")
    if has_unsafe(text):
        raise InvalidMessage(field, "contains a line break or a control character: remove it")
    if len(text) > MAX_WORD_LENGTH and max(map(len, text.split(" "))) > MAX_WORD_LENGTH:
        raise InvalidMessage(field, f"has more than {MAX_WORD_LENGTH} characters without a space: shorten it")


def check_headers(headers: object) -> dict[str, str]:
    """Checks and copies the caller's own headers: the caller may set each name, once in any case, to one line."""
    if not isinstance(headers, Mapping):
        raise InvalidMessage("headers", f"must be a mapping of names to values, not {shown(headers)}")
    seen: set[str] = set()
    for name, value in headers.items():
        _check_header_name(name)
        check_line(value, f"headers: {name}")
        if name.lower() in seen:
            raise InvalidMessage("headers", f"{name} is given twice")
        seen.add(name.lower())
    return dict(headers)


def _check_header_name(name: object) -> None:
    if not isinstance(name, str) or not _is_header_name(name):
        raise InvalidMessage(
            "headers", f"{shown(name)} is no header name: printable ASCII without a colon, at most 126"
        )
    lower = name.lower()
    cures = (cure for prefix, cure in OWN_PREFIXES.items() if lower.startswith(prefix))
    cure = OWN_HEADERS.get(lower) or next(cures, None)
    if cure is not None:
        raise InvalidMessage("headers", f"{name} is not set by hand: {cure}")


def encoded_headers(headers: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """Writes the headers in ASCII: values that are not become encoded words (RFC 2047)."""
    return tuple((name, value if value.isascii() else encode_words(value)) for name, value in headers.items())


def fit_simple(headers: tuple[tuple[str, str], ...]) -> bool:
    """Whether SES's Simple content can carry these encoded headers."""
    return len(headers) <= MAX_SIMPLE_HEADERS and all(
        0 < len(value) <= MAX_SIMPLE_VALUE and len(name) + len(value) <= MAX_SIMPLE_HEADER
        for name, value in headers
    )
