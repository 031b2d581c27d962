"""Checks the header blocks of all parts of raw mail, at any depth, as it checks the mail's own.

It finds the parts by their boundaries, in one pass. It does not parse them: for a hostile message, a parser would build
all of them first.
"""

from __future__ import annotations

import re

from sesq.simulator.blocks import ONCE_WITHIN, Block, illegal_header, read_block
from sesq.simulator.errors import SesError

MAX_PARTS = 500
_DASHES = re.compile(rb"\n--([^\r\n]*)")
_MESSAGES = ("message/rfc822", "message/global")
# A message within the mail that is encoded like a file counts as a file: its parts are not checked.
_ENCODED = ("base64", "quoted-printable")


def check_parts(raw: bytes, top: Block) -> None:
    """Checks number and headers of all parts. Raises SesError(bad_request, not_imitated).

    A mail without parts costs no time.
    """
    walk = _Walk(raw)
    walk.enter(top)
    if not walk.goes_on:
        return
    for line in _DASHES.finditer(raw, max(top.body - 1, 0)):
        walk.read_headers(line.start() + 1)
        walk.delimiter(line)
    walk.read_headers(len(raw))


class _Walk:
    """Walks through a mail.

    `_open`: the boundaries of the multiparts around the current place, from the outside to the inside, and the type
    that their parts have if they name none.
    """

    def __init__(self, raw: bytes) -> None:
        self._raw = raw
        self._open: dict[bytes, str] = {}
        self._headers_at: int | None = None  # where the next header block begins
        self._headers_go_on = False
        self._default_kind = "text/plain"
        self._blocks = 0

    @property
    def goes_on(self) -> bool:
        return bool(self._open) or self._headers_at is not None

    def enter(self, block: Block) -> None:
        """Notes what a block says of its body: parts, or a message with headers of its own."""
        kind = block.content_type.kind or self._default_kind
        if kind.startswith("multipart/"):
            part_kind = "message/rfc822" if kind == "multipart/digest" else "text/plain"
            self._open.setdefault(_boundary(block, kind), part_kind)
        elif kind in _MESSAGES and not _is_encoded(block):
            self._headers_at, self._default_kind = block.body, "text/plain"

    def read_headers(self, end: int) -> None:
        """Reads the blocks that begin before `end`, where a line with dashes begins."""
        while self._headers_at is not None:
            self._blocks += 1
            if self._blocks > MAX_PARTS:
                raise SesError("bad_request", f"MIME part count exceeds {MAX_PARTS}.")
            block = read_block(self._raw, self._headers_at, end, ONCE_WITHIN)
            self._headers_at, self._headers_go_on = None, not block.ended
            self.enter(block)

    def delimiter(self, line: re.Match[bytes]) -> None:
        text = line[1].rstrip(b" \t")
        if text in self._open:
            self._next_part(text, line.end())
        elif text.endswith(b"--") and text[:-2] in self._open:
            self._close(text[:-2])
            del self._open[text[:-2]]
        elif self._headers_go_on:
            raise illegal_header(line[0][1:])

    def _next_part(self, boundary: bytes, line_end: int) -> None:
        self._close(boundary)
        self._default_kind = self._open[boundary]
        next_line = self._raw.find(b"\n", line_end)
        self._headers_at = next_line + 1 if next_line >= 0 else len(self._raw)

    def _close(self, boundary: bytes) -> None:
        """Ends the multiparts within that of a boundary."""
        while next(reversed(self._open)) != boundary:
            self._open.popitem()
        self._headers_go_on = False


def _boundary(block: Block, kind: str) -> bytes:
    boundary = block.content_type.boundary.rstrip(" ")
    if not boundary or not boundary.isascii():
        raise SesError(
            "not_imitated", f"{kind[:80]} without a boundary in ASCII: this simulator does not imitate it."
        )
    return boundary.encode()


def _is_encoded(block: Block) -> bool:
    encoding = str(block.headers.get("Content-Transfer-Encoding", ""))
    return encoding.strip().lower().startswith(_ENCODED)
