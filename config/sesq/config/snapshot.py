"""The account as SES last described it. Written by account sync, read by everybody without a network call to SES."""

from __future__ import annotations

from dataclasses import dataclass

from redis import Redis

from sesq.config.connection import mapped
from sesq.config.identities import Identities
from sesq.config.keys import CLOCK_OFFSET, Keys
from sesq.config.replies import read_hash


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What SES says of one account. Rates are recipients a second, quotas recipients in 24 hours (-1: unlimited).

    `known` is False before the first sync; `readable` is False where IAM does not let the account be read: then
    the configured limits count, else 1 a second and 200 a day. `listed` is False where the identities may not be
    listed: then SES judges them.
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
    """The last snapshot of the account; `known` is False where there is none yet."""
    with mapped():
        text = read_hash(redis, Keys(account).snapshot)
    if "readable" not in text:
        return Snapshot()
    return Snapshot(
        known=True,
        readable=text["readable"] == "1",
        listed=text.get("listed") == "1",
        production=text.get("production") == "1",
        sending=text.get("sending", "1") == "1",
        paused_because=text.get("paused_because", ""),
        enforcement=text.get("enforcement", ""),
        rate=_number(text, "rate"),
        daily=_number(text, "daily"),
        sent=_number(text, "sent"),
        others=_number(text, "others") or 0.0,
        synced_at=_number(text, "synced_at"),
    )


def read_identities(redis: Redis, account: str) -> Identities:
    """The account's identities as SES last listed them; empty before the first sync."""
    with mapped():
        listed = read_hash(redis, Keys(account).identities)
    return Identities.from_names((name, verified == "1") for name, verified in listed.items())


def redis_now(redis: Redis) -> float:
    """The time by which everything is scheduled: Redis's clock, in seconds since the epoch."""
    with mapped():
        pipeline = redis.pipeline(transaction=False)
        pipeline.time()
        pipeline.get(CLOCK_OFFSET)
        (seconds, micros), offset = pipeline.execute()
    return float(seconds + micros / 1e6 + float(offset or 0))


def _number(text: dict[str, str], name: str) -> float | None:
    return float(text[name]) if name in text else None
