"""How an account's mail reaches SES, as far as a producer has to know it: SMTP carries less than the API."""

from __future__ import annotations

from redis import Redis

from sesq.config.connection import mapped
from sesq.config.errors import InvalidMessage
from sesq.queue.keys import Keys

SMTP = "smtp"


def note_transport(redis: Redis, account: str, transport: str) -> None:
    """Writes down what the settings of a worker say, for producers that have no settings."""
    with mapped():
        redis.set(Keys(account).transport, transport)


def sends_by_smtp(redis: Redis, account: str) -> bool:
    """Whether the last worker that was started for the account sends by SMTP."""
    with mapped():
        return redis.get(Keys(account).transport) == SMTP.encode()


def smtp_problem(track: object) -> InvalidMessage | None:
    """Returns what SMTP cannot carry of a message with this option, and the cure."""
    if track is None:
        return None
    return InvalidMessage(
        "track",
        "SES takes it only through its API, and this account sends by SMTP: leave it out and let a configuration "
        'set say what is tracked, or set transport = "ses" for the account in sesq.toml',
    )
