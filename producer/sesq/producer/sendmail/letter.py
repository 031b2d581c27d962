"""Makes a mail of what a program wrote to sendmail: with equal line ends, and with a From."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

DROPPED = frozenset({b"return-path"})

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

    def written(self) -> bytes:
        """Returns the mail with CRLF line ends."""
        head = b"".join(name + b":" + value + b"\n" for name, value in self.fields)
        return (head + b"\n" + self.body).replace(b"\n", b"\r\n")


def compose(data: bytes, *, sender: Callable[[], str], dot_ends: bool) -> bytes:
    """Writes the mail with CRLF line ends. `sender` returns the wire form of its sender, if it has no From."""
    letter = read(data, dot_ends)
    letter.fields = [(name, value) for name, value in letter.fields if name.lower() not in DROPPED]
    if not letter.has(b"from"):
        letter.fields.insert(0, (b"From", b" " + sender().encode()))
    if letter.has(b"content-type") and not letter.has(b"mime-version"):
        letter.fields.append((b"MIME-Version", b" 1.0"))  # without it a type does not count (RFC 2045, 4)
    return letter.written()


def read(data: bytes, dot_ends: bool) -> Letter:
    """Splits a mail. Headers end at an empty line, or at the first line that is not a header and begins the body."""
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
