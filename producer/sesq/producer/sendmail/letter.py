"""What a program wrote to sendmail, as a mail: every line ended alike, every name with a domain, and a From."""

from __future__ import annotations

import binascii
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sesq.config.addresses import shown, wire_form
from sesq.config.errors import InvalidMessage
from sesq.producer.rules import MAX_LINE_LENGTH

ADDRESS_FIELDS = frozenset({b"from", b"sender", b"reply-to", b"to", b"cc", b"bcc"})
DROPPED = frozenset({b"return-path"})
PLAIN_ENCODINGS = frozenset({b"", b"7bit", b"8bit", b"binary"})

Domain = Callable[[], str]
"""Asked only where a name has no domain, since not every host has one to give."""

_line_end = re.compile(rb"\r\n|\r|\n")
_field = re.compile(rb"([!-9;-~]+)[ \t]*:(.*)", re.DOTALL).fullmatch
_lone_dot = re.compile(rb"^\.$", re.MULTILINE).search


@dataclass
class Letter:
    """`fields` are (name, value with its folds, LF between lines); `body` has LF line ends."""

    fields: list[tuple[bytes, bytes]]
    body: bytes

    def has(self, name: bytes) -> bool:
        return any(field.lower() == name for field, _ in self.fields)

    def first(self, name: bytes) -> bytes:
        """The value of the first field of a lower-case name, stripped; empty without one."""
        return next((value.strip() for field, value in self.fields if field.lower() == name), b"")

    def set(self, name: bytes, value: bytes) -> None:
        """The one field of that name."""
        self.fields = [pair for pair in self.fields if pair[0].lower() != name.lower()]
        self.fields.append((name, b" " + value))

    def written(self) -> bytes:
        """The mail with CRLF line ends."""
        head = b"".join(name + b":" + value + b"\n" for name, value in self.fields)
        return (head + b"\n" + self.body).replace(b"\n", b"\r\n")


def compose(data: bytes, *, sender: Callable[[], str], domain: Domain, dot_ends: bool) -> bytes:
    """The mail, CRLF. `sender` gives the wire form of who it is from, when it does not say; bare names are at `domain`.

    Raises InvalidMessage.
    """
    letter = read(data, dot_ends)
    letter.fields = [
        (name, _with_domains(name, value, domain) if name.lower() in ADDRESS_FIELDS else value)
        for name, value in letter.fields
        if name.lower() not in DROPPED
    ]
    if not letter.has(b"from"):
        letter.fields.insert(0, (b"From", b" " + sender().encode()))
    _describe(letter)
    return letter.written()


def read(data: bytes, dot_ends: bool) -> Letter:
    """Headers end at an empty line, or at the first line that is none: then the body begins with it."""
    data = _line_end.sub(b"\n", data)
    dot = _lone_dot(data) if dot_ends else None
    lines = (data[: dot.start()] if dot else data).split(b"\n")
    start = 1 if lines[0].startswith((b"From ", b">From ")) else 0  # as in a mailbox file
    fields: list[tuple[bytes, bytes]] = []
    for number, line in enumerate(lines[start:], start):
        field = _field(line)
        if line[:1] in (b" ", b"\t") and fields:
            fields[-1] = (fields[-1][0], fields[-1][1] + b"\n" + line)
        elif field:
            fields.append((field[1], field[2]))
        else:
            return Letter(fields, b"\n".join(lines[number + (not line) :]))
    return Letter(fields, b"")


def addresses(text: str, domain: Domain) -> list[str]:
    """Every address of a list as people write it, `root, Ada <ada@example.org>`, each with a domain."""
    return [_wire(name, spec, domain) for name, spec in _pairs(text) if spec]


def full_address(name: str | None, spec: str, domain: Domain) -> str:
    """`Cron Daemon <root@example.com>`."""
    return _wire(name or "", spec, domain)


def _pairs(text: str) -> list[tuple[str, str]]:
    from email import utils

    # Strictly, newer Pythons find nobody in "a@x.org (Ada, the one)"; each address is checked later anyway.
    loosely: dict[str, Any] = {"strict": False} if hasattr(utils, "supports_strict_parsing") else {}
    try:
        return utils.getaddresses([text], **loosely)
    except RecursionError as error:  # comments within comments
        raise InvalidMessage("address", f"{shown(text)} cannot be read as addresses") from error


def _wire(name: str, spec: str, domain: Domain) -> str:
    spec = spec if "@" in spec else f"{spec}@{domain()}"
    if not name:
        return wire_form(spec, "address")
    escaped = name.replace("\\", "\\\\").replace('"', '\\"')
    return wire_form(f'"{escaped}" <{spec}>', "address")


def _with_domains(name: bytes, value: bytes, domain: Domain) -> bytes:
    """The value as it is, if every address in it has a domain already."""
    text = value.decode(errors="surrogateescape").replace("\n", "")
    try:
        if all("@" in spec or not spec for _, spec in _pairs(text)):
            return value
        return b" " + b",\n ".join(address.encode() for address in addresses(text, domain))
    except InvalidMessage as error:
        raise InvalidMessage(name.decode().lower(), error.problem) from error


def _describe(letter: Letter) -> None:
    """Says what a body is that does not say so itself, and encodes lines that are too long for mail."""
    kind, encoding = letter.first(b"content-type").lower(), letter.first(b"content-transfer-encoding").lower()
    too_long = max(map(len, letter.body.split(b"\n"))) > MAX_LINE_LENGTH
    if not kind and (too_long or not letter.body.isascii()):
        letter.set(b"Content-Type", b"text/plain; charset=utf-8")
        letter.set(b"Content-Transfer-Encoding", b"8bit")
    if too_long and encoding in PLAIN_ENCODINGS and (not kind or kind.startswith(b"text/")):
        letter.body = binascii.b2a_qp(letter.body, istext=True)
        letter.set(b"Content-Transfer-Encoding", b"quoted-printable")
    if letter.has(b"content-type") and not letter.has(b"mime-version"):
        letter.set(b"MIME-Version", b"1.0")
