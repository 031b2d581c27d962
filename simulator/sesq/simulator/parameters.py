"""Parameters of Content-Type and Content-Disposition, of a raw message and of each of its parts.

The parts are found by their boundaries. They are not parsed: a parser would build each of a hostile message first.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from email.message import Message
from email.parser import BytesHeaderParser

from sesq.simulator.attachments import check_extension
from sesq.simulator.errors import SesError

MAX_PART_HEADERS = 8 * 1024  # of a part: what is longer is looked at so far
_HEADERS = ("Content-Type", "Content-Disposition")
_BLANK_LINE = re.compile(rb"\r?\n\r?\n")
# A quoted value, or one without quotes: then nothing but a comment may stand between it and the next `;`.
_PARAMETER = re.compile(
    r'\s*[^\s=;"]+\s*=\s*(?:"(?:[^"\\]|\\.)*"|([^\s;"]*))\s*(?:\([^()]*\)\s*)?', re.DOTALL
)
_ATOM = re.compile(r"[^\s;]+")
_parser = BytesHeaderParser()


def check_parameters(headers: Message) -> None:
    """Syntax of the parameters of some headers, and the file that they name; SesError(bad_request)."""
    for name in _HEADERS:
        value = headers.get(name)
        if value is not None:
            _check_syntax(str(value))
    check_extension(_file_name(headers))


def check_parts(raw: bytes, starts: Iterable[int]) -> None:
    """The headers that follow each of `starts`, the end of a line with a boundary; SesError(bad_request)."""
    for start in starts:
        section = raw[start : start + MAX_PART_HEADERS]
        end = _BLANK_LINE.search(section)
        check_parameters(_parser.parsebytes((section[: end.start()] if end else section).lstrip()))


def _file_name(headers: Message) -> str:
    """Of a part, or "" where it has none, or one that cannot be read."""
    try:
        return headers.get_filename("")
    except (LookupError, ValueError):
        return ""


def _check_syntax(value: str) -> None:
    position = value.find(";")
    while position >= 0:
        parameter = _PARAMETER.match(value, position + 1)
        if parameter is None:
            return
        position = parameter.end()
        stray = _ATOM.match(value, position) if parameter[1] else None
        if stray is not None:
            raise SesError("bad_request", f"Expected ';', got \"{stray[0][:100]}\"")
        position = value.find(";", position)
