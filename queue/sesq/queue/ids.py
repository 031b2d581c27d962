"""Makes the ids of messages: ULIDs (https://github.com/ulid/spec), which sort by the time at which they were made."""

from __future__ import annotations

import re
import secrets
import time
from base64 import b32encode

LENGTH = 26
RANDOM_BITS = 80
BYTES = 20
"""Base32 writes these in 32 digits without padding. A ULID is the last 26 of them."""
TO_CROCKFORD = bytes.maketrans(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", b"0123456789ABCDEFGHJKMNPQRSTVWXYZ")


FROM_CROCKFORD = str.maketrans("0123456789ABCDEFGHJKMNPQRSTVWXYZ", "0123456789ABCDEFGHIJKLMNOPQRSTUV")
"""Translates to the digits that `int` reads in base 32."""
_ID = re.compile("[0-7][0-9A-HJKMNP-TV-Z]{25}")


def new_id() -> str:
    """Makes an id of 26 characters: 48 bits of this host's time in milliseconds, and 80 random bits."""
    return _written((time.time_ns() // 1_000_000) << RANDOM_BITS | secrets.randbits(RANDOM_BITS))


def is_id(text: str) -> bool:
    """Whether a text is a ULID."""
    return _ID.fullmatch(text) is not None


def following(id: str, count: int) -> str:
    """Returns the id that comes `count` ids after another."""
    return _written(int(id.translate(FROM_CROCKFORD), 32) + count)


def _written(number: int) -> str:
    return b32encode(number.to_bytes(BYTES, "big")).translate(TO_CROCKFORD)[-LENGTH:].decode()
