"""The ids of messages: ULIDs (https://github.com/ulid/spec), which sort by the time at which they were made."""

from __future__ import annotations

import secrets
import time

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
LENGTH, BITS_A_DIGIT = 26, 5
RANDOM_BITS = 80


def new_id() -> str:
    """26 characters: 48 bits of this host's time in milliseconds, and 80 random ones."""
    number = (time.time_ns() // 1_000_000) << RANDOM_BITS | secrets.randbits(RANDOM_BITS)
    return "".join(ALPHABET[number >> BITS_A_DIGIT * place & 31] for place in reversed(range(LENGTH)))
