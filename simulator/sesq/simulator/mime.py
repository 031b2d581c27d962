"""Raw messages: what SES reads in their headers, and what it refuses in them. Parsing never raises but SesError."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from email.header import decode_header, make_header
from email.message import Message
from email.parser import BytesHeaderParser

from sesq.simulator.addresses import header_addresses
from sesq.simulator.errors import SesError
from sesq.simulator.mail import Mail
from sesq.simulator.parameters import check_parameters, check_parts
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
_NOT_IMITATED = (
    "X-SES-LIST-MANAGEMENT-OPTIONS",
    "X-SES-SOURCE-ARN",
    "X-SES-FROM-ARN",
    "X-SES-RETURN-PATH-ARN",
)
_TOO_LONG_LINE = re.compile(rb"(?:\A|[\r\n])[^\r\n]{%d}" % (MAX_LINE + 1))
_HEADER_NAME = re.compile(rb"[!-9;-~]+[ \t]*")
# Python's parser ends the header section at such a line, and would hide all that comes after it.
_SPACE_BEFORE_COLON = re.compile(rb"^([!-9;-~]+)[ \t]+:", re.MULTILINE)
_BOUNDARY = re.compile(rb"boundary=\"?([^\"\s;]{1,100})", re.IGNORECASE)
_DASHES = re.compile(rb"\n--([^\s]{1,100})")
_headers = BytesHeaderParser()


def read_headers(raw: bytes) -> Message:
    """The header section of a message; SesError(bad_request) for a header that may not repeat."""
    section = _header_section(raw)
    if len(section) > MAX_HEADER_SECTION:
        raise SesError("bad_request", "Header section too long.")
    _check_lines(section)
    message = _headers.parsebytes(_SPACE_BEFORE_COLON.sub(rb"\1:", section))
    seen: set[str] = set()
    for name in message:
        lower = name.lower()
        if lower in ONCE and lower in seen:
            raise SesError("bad_request", f"Duplicate header '{name}'.")
        seen.add(lower)
    return message


def _check_lines(section: bytes) -> None:
    """Each line that does not go on with the one before is a name, a colon and a value; SesError(bad_request)."""
    for number, line in enumerate(section.splitlines()):
        if not line or (number and line[:1] in b" \t"):
            continue
        name, colon, _ = line.partition(b":")
        if colon and not name.strip():
            raise SesError("bad_request", "Empty header names are illegal.")
        if not colon or not _HEADER_NAME.fullmatch(name):
            raise SesError("bad_request", f"Illegal header '{name[:200].decode('latin-1')}'.")


def _header_section(raw: bytes) -> bytes:
    ends = [end for end in (raw.find(b"\r\n\r\n"), raw.find(b"\n\n")) if end >= 0]
    return raw[: min(ends)] + b"\n\n" if ends else raw


def check_form(raw: bytes) -> None:
    """Line length, number of MIME parts, and what their headers say of them; SesError(bad_request)."""
    if _TOO_LONG_LINE.search(raw):
        raise SesError("bad_request", f"Line length exceeds {MAX_LINE}.")
    if b"\n--" not in raw:
        return
    starts = list(itertools.islice(_part_starts(raw), MAX_PARTS + 1))
    if len(starts) > MAX_PARTS:
        raise SesError("bad_request", f"MIME part count exceeds {MAX_PARTS}.")
    check_parts(raw, starts)


def _part_starts(raw: bytes) -> Iterator[int]:
    """The end of each line that begins a part."""
    boundaries = set(_BOUNDARY.findall(raw))
    return (line.end() for line in _DASHES.finditer(raw) if line[1] in boundaries)


def values(message: Message, name: str) -> list[str]:
    return [str(value) for value in message.get_all(name, [])]


def addresses(message: Message, name: str) -> list[str]:
    """SesError(bad_request)."""
    found = values(message, name)
    if any(_open_quote(value) for value in found):
        raise SesError("bad_request", "Missing '\"'")
    return header_addresses(found)


def _open_quote(value: str) -> bool:
    return value.replace("\\\\", "").replace('\\"', "").count('"') % 2 == 1


def readable(value: str) -> str:
    """A header's text with its encoded words decoded, or as it stands when they are broken."""
    try:
        return str(make_header(decode_header(value)))
    except (LookupError, ValueError):
        return value


def _check_imitated(message: Message) -> None:
    for name in _NOT_IMITATED:
        if name in message:
            raise SesError(
                "not_imitated", f"{name}: this simulator does not imitate what this header asks for."
            )


def fill_from_headers(mail: Mail, raw: bytes) -> Message:
    """Return the headers of a raw message, and take sender, subject, tags and configuration set from them
    where the call has not given them."""
    check_form(raw)
    message = read_headers(raw)
    check_parameters(message)
    _check_imitated(message)
    senders = addresses(message, "From")
    if not senders and mail.sender and mail.api != "smtp":
        senders = [mail.sender]
    if not senders:
        raise SesError("bad_request", "Missing required header 'From'.")
    if "To" in message and not "".join(values(message, "To")).strip():
        raise SesError("bad_request", "Empty required header 'To'.")
    others = [mail.sender] if mail.sender else []
    for name in ("Sender", "Return-Path"):
        others += addresses(message, name)
    mail.source, mail.sender = mail.sender, senders[0]
    mail.other_senders = [*senders[1:], *others, *mail.other_senders]
    mail.subject = readable(str(message.get("Subject", "")))
    mail.configuration_set = mail.configuration_set or message.get("X-SES-CONFIGURATION-SET")
    mail.tenant = mail.tenant or message.get("X-SES-TENANT")
    # The call's tags win over the header's; SES does not merge them.
    mail.tags = mail.tags or header_tags(str(message.get("X-SES-MESSAGE-TAGS", "")))
    return message


def header_recipients(mail: Mail, message: Message) -> None:
    """Address a raw message by its own headers, as SES does without a Destination."""
    mail.to, mail.cc, mail.bcc = (addresses(message, name) for name in ("To", "Cc", "Bcc"))
