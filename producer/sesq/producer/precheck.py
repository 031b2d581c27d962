"""Finds what SES would refuse in messages, as far as their accounts are known. Asks Redis, never SES."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from redis import Redis

from sesq.producer.message import Message
from sesq.queue.identities import Identities, unverified
from sesq.queue.snapshot import Snapshot, read_identities, read_snapshot

Account = tuple[Snapshot, Identities]


def problems(redis: Redis, messages: Iterable[Message]) -> list[str]:
    """Finds what SES would refuse, in words; empty if nothing is known. Each account is read once."""
    known: dict[str, Account | None] = {}
    found: list[str] = []
    for message in messages:
        if message.account not in known:
            known[message.account] = _account(redis, message.account)
        found += _of(message, known[message.account])
    return found


def _account(redis: Redis, name: str) -> Account | None:
    """Reads what is known of an account; None if its identities are not known."""
    snapshot = read_snapshot(redis, name)
    return (snapshot, read_identities(redis, name)) if snapshot.listed else None


def _of(message: Message, account: Account | None) -> Iterator[str]:
    if account is None:
        return
    snapshot, identities = account
    envelope = message.envelope()
    refused = unverified(identities, snapshot.production, envelope.senders, envelope.recipients)
    for spec in refused.senders:
        yield f"sender {spec} is not verified"
    for spec in refused.recipients:
        yield f"recipient {spec} is not verified, and the account is in the sandbox"
