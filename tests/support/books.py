"""Reads an account's raw keys `gate` and `ledger`."""

from __future__ import annotations

import struct

from redis import Redis

from sesq.queue.keys import Keys

SLOTS = 1442


def total(redis: Redis, account: str = "default") -> int:
    """Returns the recipients of the last day, as the hash `gate` has them."""
    return int(redis.hget(Keys(account).gate, "total") or 0)


def minutes(redis: Redis, account: str = "default") -> dict[int, int]:
    """Returns the whole ledger: minute of the epoch -> recipients."""
    newest = int(redis.hget(Keys(account).gate, "minute") or 0)
    cells = redis.get(Keys(account).ledger) or b""
    counts = dict(enumerate(count for (count,) in struct.iter_unpack("<I", cells)))
    window = range(newest - SLOTS + 1, newest + 1)
    return {minute: counts[minute % SLOTS] for minute in window if counts.get(minute % SLOTS)}


def assert_sum(redis: Redis, account: str = "default") -> None:
    """Asserts that the ledger's total is the sum of its minutes."""
    assert total(redis, account) == sum(minutes(redis, account).values()), minutes(redis, account)
