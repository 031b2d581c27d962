"""Tells producers how an account's mail reaches SES, because SMTP can carry less than the API."""

from __future__ import annotations

from redis import Redis

from sesq.config.connection import mapped
from sesq.config.errors import InvalidMessage
from sesq.queue.keys import Keys

SMTP = "smtp"


def note_transport(redis: Redis, account: str, transport: str) -> None:
    """Writes the transport in a worker's settings, for producers that have no settings."""
    with mapped():
        redis.set(Keys(account).transport, transport)


def sends_by_smtp(redis: Redis, account: str) -> bool:
    """Whether the worker that started last for the account sends by SMTP."""
    with mapped():
        return redis.get(Keys(account).transport) == SMTP.encode()


def smtp_problem(track: object) -> InvalidMessage | None:
    """Returns the error for a message with this option, which SMTP cannot carry; None without the option."""
    if track is None:
        return None
    return InvalidMessage(
        "track",
        "only SES's API takes it, and this account sends by SMTP: leave it out and let a configuration "
        'set say what is tracked, or set transport = "ses" for the account in sesq.toml',
    )
