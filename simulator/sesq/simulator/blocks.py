"""Reads and checks header blocks of raw mail: its own, those of its parts, and those of messages within it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from email.message import Message
from typing import NamedTuple

from sesq.simulator.errors import SesError
from sesq.simulator.parameters import ContentType, read_content_type

MAX_HEADER_SECTION = 256 * 1024  # the text is SES's, the number ours
# "The following fields can't appear more than once in the header section of a message" in AWS's guide: To, Cc and Bcc
# are not among them.
ONCE = frozenset(
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
# A mail that is forwarded within another one may have two signatures.
ONCE_WITHIN = frozenset(name for name in ONCE if name.startswith("content-"))
_EMPTY_LINE = re.compile(rb"\r?\n\r?\n")
_NAME = re.compile(rb"[!-9;-~]+[ \t]*")


class Block(NamedTuple):
    """`body`: where the body begins. `ended`: whether an empty line ends the headers."""

    headers: Message
    content_type: ContentType
    body: int
    ended: bool


def read_block(raw: bytes, start: int = 0, end: int | None = None, once: frozenset[str] = ONCE) -> Block:
    """Reads the block that begins at `start`, the beginning of a line. Raises SesError(bad_request, not_imitated)."""
    limit = len(raw) if end is None else end
    first_line_end = raw.find(b"\n", start, start + 2)
    if raw[start : first_line_end + 1] in (b"\n", b"\r\n"):
        return Block(Message(), ContentType(), first_line_end + 1, True)
    empty = _EMPTY_LINE.search(raw, start, min(limit, start + MAX_HEADER_SECTION))
    stop = empty.start() if empty else limit
    if stop - start > MAX_HEADER_SECTION:
        raise SesError("bad_request", "Header section too long.")
    headers = Message()
    for name, value in _fields(raw[start:stop]):
        headers.set_raw(name, value)
    check_once(headers, once)
    return Block(headers, read_content_type(headers), empty.end() if empty else limit, bool(empty))


def check_once(names: Iterable[str], once: frozenset[str] = ONCE) -> None:
    """Raises SesError(bad_request) for a header that is there twice and may not be."""
    seen: set[str] = set()
    for name in names:
        lower = name.lower()
        if lower in seen and lower in once:
            raise SesError("bad_request", f"Duplicate header '{name}'.")
        seen.add(lower)


def illegal_header(line: bytes) -> SesError:
    name = line.partition(b":")[0]
    return SesError("bad_request", f"Illegal header '{name[:200].decode('latin-1')}'.")


def _fields(section: bytes) -> Iterator[tuple[str, str]]:
    """Yields names, and values with their lines joined.

    Python's own parser ends at the first line that is not well formed, and would hide all that comes after it.
    """
    if b"\r" in section.replace(b"\r\n", b"\n"):
        raise SesError("not_imitated", "CR alone in headers: this simulator does not imitate what it does.")
    lines: list[bytes] = []
    for line in section.split(b"\n"):
        if lines and line[:1] in (b" ", b"\t"):
            lines.append(line.rstrip(b"\r"))
            continue
        if lines:
            yield _field(lines)
        lines = [line.rstrip(b"\r")]
    if lines[0]:
        yield _field(lines)


def _field(lines: list[bytes]) -> tuple[str, str]:
    name, colon, value = lines[0].partition(b":")
    if colon and not name.strip():
        raise SesError("bad_request", "Empty header names are illegal.")
    if not colon or not _NAME.fullmatch(name):
        raise illegal_header(lines[0])
    value = b"".join([value, *lines[1:]]).lstrip(b" \t")
    return name.rstrip().decode("ascii"), value.decode("ascii", "surrogateescape")
