"""Reads the account as SES last described it. Account sync writes it; to read it needs no call to SES."""

from __future__ import annotations

from dataclasses import dataclass

from redis import Redis

from sesq.config.connection import mapped
from sesq.queue.fields import Fields
from sesq.queue.identities import Identities
from sesq.queue.keys import CLOCK_OFFSET, Keys
from sesq.queue.replies import read_hash, text


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Holds SES's description of one account. `rate` is recipients a second, `daily` recipients in 24 hours.

    -1 is unlimited. `known` is False before the first sync. `readable` is False if IAM does not let sesq read the
    account: the configured limits count then, else 1 a second and 200 a day. `listed` is False if IAM does not let sesq
    list the identities: SES judges them then.
    """

    known: bool = False
    readable: bool = False
    listed: bool = False
    production: bool = False
    sending: bool = True
    paused_because: str = ""
    enforcement: str = ""
    rate: float | None = None
    daily: float | None = None
    sent: float | None = None
    others: float = 0.0
    synced_at: float | None = None

    @property
    def mode(self) -> str:
        """`sandbox`, `production` or `unknown`."""
        if not self.known or not self.readable:
            return "unknown"
        return "production" if self.production else "sandbox"


def read_snapshot(redis: Redis, account: str) -> Snapshot:
    """Returns the last snapshot of the account; `known` is False if there is none yet."""
    with mapped():
        given = read_hash(redis, Keys(account).snapshot)
    if "readable" not in given:
        return Snapshot()
    fields = Fields(given)
    return Snapshot(
        known=True,
        readable=fields.text("readable") == "1",
        listed=fields.text("listed") == "1",
        production=fields.text("production") == "1",
        sending=fields.text("sending") != "0",
        paused_because=fields.text("paused_because"),
        enforcement=fields.text("enforcement"),
        rate=fields.optional("rate"),
        daily=fields.optional("daily"),
        sent=fields.optional("sent"),
        others=fields.number("others"),
        synced_at=fields.optional("synced_at"),
    )


BORROWED = "2"
"""Marks an identity of another account; 1 is verified, 0 is not."""


def read_identities(redis: Redis, account: str) -> Identities:
    """Reads the identities that the account may use, as SES last listed them; empty before the first sync."""
    with mapped():
        listed = read_hash(redis, Keys(account).identities)
    borrowed = [name for name, verified in listed.items() if verified == BORROWED]
    return Identities.from_names(((name, verified == "1") for name, verified in listed.items()), borrowed)


def read_own_identities(redis: Redis, account: str) -> dict[str, bool]:
    """Reads the account's own identities: name -> is verified, as SES last listed them."""
    with mapped():
        listed = read_hash(redis, Keys(account).identities)
    return {name: verified == "1" for name, verified in listed.items() if verified != BORROWED}


def redis_now(redis: Redis) -> float:
    """Reads Redis's clock, by which everything is scheduled (seconds since the epoch)."""
    with mapped():
        pipeline = redis.pipeline(transaction=False)
        pipeline.time()
        pipeline.get(CLOCK_OFFSET)
        (seconds, micros), offset = pipeline.execute()
    moved = text(offset) or "0"
    return float(moved[1:]) if moved.startswith("=") else float(seconds + micros / 1e6 + float(moved))
