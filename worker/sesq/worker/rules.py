"""Knows an account's rules without asking SES: who is verified, and which senders or sets SES refuses as a whole.

It reads them from Redis once a second. So a mail that SES would refuse is held without a call.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from redis import Redis

from sesq.config.connection import mapped
from sesq.queue.envelope import Envelope
from sesq.queue.identities import Identities, unverified
from sesq.queue.keys import Keys
from sesq.queue.replies import read_hash
from sesq.queue.snapshot import Snapshot, read_identities, read_snapshot
from sesq.queue.suppression import Suppressed, SuppressionList

JUST_LEARNT_SECONDS = 2.0
"""How long this process remembers a new block by itself, because Redis may not have it yet."""


@dataclass(frozen=True, slots=True)
class Missing:
    """Names what a message has to wait for. `block`: all mail of that sender waits from now on."""

    hold: str
    reason: str
    block: bool


@dataclass(slots=True)
class Rules:
    """Holds the account's rules for one worker process."""

    redis: Redis
    account: str
    region: str
    snapshot: Snapshot = field(default_factory=Snapshot)
    identities: Identities = field(default_factory=Identities)
    blocks: dict[str, str] = field(default_factory=dict)
    suppressed: int = 0
    """How many addresses are on the suppression list. If there are none, no address is looked up."""
    _learnt: dict[str, tuple[float, str]] = field(default_factory=dict)
    _read_at: float = 0.0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def refresh(self) -> None:
        """Reads the rules again; the identities only after a new sync."""
        began = time.monotonic()
        snapshot = read_snapshot(self.redis, self.account)
        if snapshot.synced_at != self.snapshot.synced_at:
            self.identities = read_identities(self.redis, self.account)
        self.snapshot = snapshot
        learnt = {
            hold: why for hold, (at, why) in self._learnt.copy().items() if began - at < JUST_LEARNT_SECONDS
        }
        self.blocks = read_blocks(self.redis, self.account) | learnt
        self.suppressed = len(SuppressionList(self.redis, self.account))
        self._read_at = began

    def unwanted(self, envelope: Envelope) -> dict[str, Suppressed]:
        """Returns a message's recipients that are on the suppression list. Raises QueueUnavailable."""
        if not self.suppressed:
            return {}
        return SuppressionList(self.redis, self.account).among(envelope.recipients)

    def block(self, hold: str, why: str) -> None:
        """Notes that SES has just refused all mail of that sender, set or account."""
        self._learnt[hold] = (time.monotonic(), why)
        self.blocks[hold] = why

    def missing_now(self, envelope: Envelope) -> Missing | None:
        """Does the same as `missing`, but reads the rules again before it reports a missing thing: it may be new."""
        asked = time.monotonic()
        if self.missing(envelope) is None:
            return None
        with self._lock:
            if self._read_at < asked:
                self.refresh()
        return self.missing(envelope)

    def missing(self, envelope: Envelope) -> Missing | None:
        """Returns the first thing for which SES would refuse this message, as far as is known; None: there is none."""
        for hold in _streams(envelope) if self.blocks else ():
            if hold in self.blocks:
                return Missing(hold, self.blocks[hold], False)
        if not self.snapshot.listed:
            return None
        refused = unverified(self.identities, self.snapshot.production, envelope.senders, envelope.recipients)
        if refused.senders:
            first = refused.senders[0]
            named = f"sender {first}{_where(first, envelope)}"
            return Missing(f"sender:{first}", f"{named} is not verified in {self.region}", True)
        if refused.recipients:
            first = refused.recipients[0]
            return Missing(f"recipient:{first}", f"recipient {first} is not verified in {self.region}", False)
        return None

    def satisfied(self, hold: str) -> bool:
        """Whether the thing that a hold waits for is there. Also False if only a person or a try can tell."""
        kind, _, name = hold.partition(":")
        if kind == "recipient":
            return self.snapshot.production or (
                self.snapshot.listed and self.identities.covers_recipient(name)
            )
        return kind == "sender" and self.snapshot.listed and self.identities.covers_sender(name)


def _where(sender: str, envelope: Envelope) -> str:
    if sender == envelope.sender_spec:
        return ""
    if sender in envelope.other_senders:
        return " (in the mail's From, Sender or Return-Path)"
    return " (who is told of bounces)"


def _streams(envelope: Envelope) -> Iterator[str]:
    """Yields the names of all blocks that would stop this message."""
    yield from ("account", "credentials", *(f"sender:{address}" for address in envelope.senders))
    if envelope.configuration_set:
        yield f"configuration_set:{envelope.configuration_set}"
    if envelope.tenant:
        yield f"tenant:{envelope.tenant}"
        yield from (f"tenant:{envelope.tenant}/{address}" for address in envelope.senders)
    yield from (f"recipient:{address}" for address in envelope.recipients)


@dataclass(frozen=True, slots=True)
class Block:
    """Describes what SES refuses as a whole: since when, why, and the last message that it refused.

    `doubt`: SES refuses it although its own list of identities allows it.
    """

    since: float
    why: str
    doubt: bool
    tried: str


def read_block(packed: str) -> Block:
    """Reads a block that settle.lua wrote. A damaged one counts until a try shows that SES does not refuse any more."""
    try:
        since, why, doubt, *tried = json.loads(packed)
        return Block(float(since), str(why), bool(doubt), str(tried[0]) if tried else "")
    except (ValueError, TypeError):
        return Block(0.0, "the reason is damaged in Redis", True, "")


def read_blocks(redis: Redis, account: str) -> dict[str, str]:
    """Reads what SES refuses as a whole -> why: senders, configuration sets, tenants, the account, the credentials."""
    with mapped():
        return {what: read_block(told).why for what, told in read_hash(redis, Keys(account).blocks).items()}
