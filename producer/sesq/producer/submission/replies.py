"""Writes replies, with enhanced status codes (RFC 2034, 3463)."""

from __future__ import annotations

import re

CODES = {
    "220 Ready": "2.0.0",
    "221": "2.0.0",
    "250 ": "2.0.0",
    "252": "2.1.5",
    "454": "4.7.0",
    "500": "5.5.2",
    "501": "5.5.4",
    "502": "5.5.1",
    "503": "5.5.1",
    "504": "5.5.4",
    "552": "5.3.4",
    "553": "5.1.3",
    "554": "5.7.0",
    "555": "5.5.4",
}
"""The beginning of a reply of aiosmtpd's without such a code, and the code that says the same."""

MOST_BYTES = 500
"""Of a reply: its line holds 512 (RFC 5321, 4.5.3.1.5)."""

_has_code = re.compile(r"\d{3} \d\.\d{1,3}\.\d{1,3}(?: |$)").match


class Plain(str):
    """A reply without such a code: those to EHLO and HELO."""

    __slots__ = ()


def written(reply: str) -> bytes:
    """Writes any reply as one line of ASCII, with its code if one belongs there."""
    beginning = next((beginning for beginning in CODES if reply.startswith(beginning)), None)
    if beginning and not isinstance(reply, Plain) and not _has_code(reply):
        reply = f"{reply[:3]} {CODES[beginning]} {reply[4:]}"
    text = "".join(character if character.isprintable() else "?" for character in reply)
    return text[:MOST_BYTES].encode("ascii", "backslashreplace")[:MOST_BYTES]
