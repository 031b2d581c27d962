"""The ids of messages: ULIDs (https://github.com/ulid/spec), which sort by the time at which they were made."""

from __future__ import annotations

import secrets
import time
from base64 import b32encode

LENGTH = 26
RANDOM_BITS = 80
BYTES = 20
"""As many as Base32 writes without padding; a ULID is the last 26 of their 32 digits."""
TO_CROCKFORD = bytes.maketrans(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", b"0123456789ABCDEFGHJKMNPQRSTVWXYZ")


def new_id() -> str:
    """26 characters: 48 bits of this host's time in milliseconds, and 80 random ones."""
    number = (time.time_ns() // 1_000_000) << RANDOM_BITS | secrets.randbits(RANDOM_BITS)
    return b32encode(number.to_bytes(BYTES, "big")).translate(TO_CROCKFORD)[-LENGTH:].decode()
