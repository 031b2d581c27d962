"""What a worker knows of the account without asking: who is verified, and what SES refuses as a whole.

Read from Redis once a second, never from SES; so a mail that SES would refuse is held without a call.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field

from redis import Redis

from sesq.config.connection import mapped
from sesq.config.envelope import Envelope
from sesq.config.identities import Identities, unverified
from sesq.config.keys import Keys
from sesq.config.replies import read_hash
from sesq.config.snapshot import Snapshot, read_identities, read_snapshot


@dataclass(frozen=True, slots=True)
class Missing:
    """Something a message has to wait for. `block`: all mail of that sender, set or account waits with it."""

    hold: str
    reason: str
    block: bool


@dataclass(slots=True)
class Rules:
    """The account as it stands, for one worker process."""

    redis: Redis
    account: str
    region: str
    snapshot: Snapshot = field(default_factory=Snapshot)
    identities: Identities = field(default_factory=Identities)
    blocks: dict[str, str] = field(default_factory=dict)

    def refresh(self) -> None:
        """Reads the account's state again; the identities only where a sync has been since."""
        snapshot = read_snapshot(self.redis, self.account)
        if snapshot.synced_at != self.snapshot.synced_at:
            self.identities = read_identities(self.redis, self.account)
        self.snapshot = snapshot
        self.blocks = read_blocks(self.redis, self.account)

    def missing(self, envelope: Envelope) -> Missing | None:
        """What SES would refuse in this message, as far as it is known; the first of it."""
        sender = envelope.sender_spec
        for hold in (
            f"sender:{sender}",
            f"configuration_set:{envelope.configuration_set}",
            "account",
            "credentials",
        ):
            if hold in self.blocks:
                return Missing(hold, self.blocks[hold], True)
        if not self.snapshot.listed:
            return None
        refused = unverified(self.identities, self.snapshot.production, sender, envelope.recipients)
        if refused.sender:
            return Missing(f"sender:{sender}", f"sender {sender} is not verified in {self.region}", True)
        if refused.recipients:
            first = refused.recipients[0]
            return Missing(f"recipient:{first}", f"recipient {first} is not verified in {self.region}", False)
        return None

    def satisfied(self, hold: str) -> bool:
        """Whether what a hold waits for has come true. False as well where only a person or a try can tell."""
        kind, _, name = hold.partition(":")
        if kind == "recipient":
            return self.snapshot.production or (
                self.snapshot.listed and self.identities.covers_recipient(name)
            )
        return kind == "sender" and self.snapshot.listed and self.identities.covers_sender(name)


def read_blocks(redis: Redis, account: str) -> dict[str, str]:
    """What SES refuses as a whole -> why: senders, configuration sets, the account, the credentials."""
    with mapped():
        return {what: json.loads(why)[1] for what, why in read_hash(redis, Keys(account).blocks).items()}
