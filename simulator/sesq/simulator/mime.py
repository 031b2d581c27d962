"""Raw messages: what SES reads in their headers, and what it refuses in them. Parsing never raises but SesError."""

from __future__ import annotations

import re
from email.header import decode_header, make_header
from email.message import Message
from email.parser import BytesHeaderParser

from sesq.simulator.addresses import header_addresses
from sesq.simulator.errors import SesError
from sesq.simulator.mail import Mail
from sesq.simulator.tags import header_tags

MAX_LINE = 1000
MAX_PARTS = 500
MAX_HEADER_SECTION = 256 * 1024  # the text is SES's, the number ours
# Headers that may stand once (To, Cc and Bcc are not in SES's list).
ONCE = frozenset(
    {
        "content-type",
        "content-transfer-encoding",
        "mime-version",
        "date",
        "message-id",
        "subject",
        "from",
        "reply-to",
        "return-path",
        "sender",
        "list-unsubscribe",
        "list-unsubscribe-post",
        "dkim-signature",
    }
)
_TOO_LONG_LINE = re.compile(rb"(?:\A|[\r\n])[^\r\n]{%d}" % (MAX_LINE + 1))
_BOUNDARY = re.compile(rb"boundary=\"?([^\"\s;]{1,100})", re.IGNORECASE)
_DASHES = re.compile(rb"\n--([^\s]{1,100})")
_headers = BytesHeaderParser()


def read_headers(raw: bytes) -> Message:
    """The header section of a message; SesError(bad_request) for a header that may not repeat."""
    section = _header_section(raw)
    if len(section) > MAX_HEADER_SECTION:
        raise SesError("bad_request", "Header section too long.")
    message = _headers.parsebytes(section)
    seen: set[str] = set()
    for name in message:
        lower = name.lower()
        if lower in ONCE and lower in seen:
            raise SesError("bad_request", f"Duplicate header '{name}'.")
        seen.add(lower)
    return message


def _header_section(raw: bytes) -> bytes:
    ends = [end for end in (raw.find(b"\r\n\r\n"), raw.find(b"\n\n")) if end >= 0]
    return raw[: min(ends)] + b"\n\n" if ends else raw


def check_form(raw: bytes) -> None:
    """Line length and number of MIME parts; SesError(bad_request)."""
    if _TOO_LONG_LINE.search(raw):
        raise SesError("bad_request", f"Line length exceeds {MAX_LINE}.")
    if raw.count(b"\n--") > MAX_PARTS and _count_parts(raw) > MAX_PARTS:
        raise SesError("bad_request", f"MIME part count exceeds {MAX_PARTS}.")


def _count_parts(raw: bytes) -> int:
    """Lines that begin a part. Not by parsing: a parser would build every part of a hostile message first."""
    boundaries = set(_BOUNDARY.findall(raw))
    return sum(1 for line in _DASHES.finditer(raw) if line[1] in boundaries)


def values(message: Message, name: str) -> list[str]:
    return [str(value) for value in message.get_all(name, [])]


def addresses(message: Message, name: str) -> list[str]:
    return header_addresses(values(message, name))


def readable(value: str) -> str:
    """A header's text with its encoded words decoded, or as it stands when they are broken."""
    try:
        return str(make_header(decode_header(value)))
    except (LookupError, ValueError):
        return value


def fill_from_headers(mail: Mail, raw: bytes) -> Message:
    """Return the headers of a raw message, and take sender, subject, tags and configuration set from them
    where the call has not given them."""
    check_form(raw)
    message = read_headers(raw)
    senders = addresses(message, "From")
    if not senders:
        raise SesError("bad_request", "Missing required header 'From'.")
    others = [mail.sender] if mail.sender else []
    for name in ("Sender", "Return-Path"):
        others += addresses(message, name)
    mail.sender = senders[0]
    mail.other_senders = [*senders[1:], *others, *mail.other_senders]
    mail.subject = readable(str(message.get("Subject", "")))
    mail.configuration_set = mail.configuration_set or message.get("X-SES-CONFIGURATION-SET")
    # The call's tags win over the header's; SES does not merge them.
    mail.tags = mail.tags or header_tags(str(message.get("X-SES-MESSAGE-TAGS", "")))
    return message


def header_recipients(mail: Mail, message: Message) -> None:
    """Address a raw message by its own headers, as SES does without a Destination."""
    mail.to, mail.cc, mail.bcc = (addresses(message, name) for name in ("To", "Cc", "Bcc"))
