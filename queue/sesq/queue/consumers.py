"""Lists the consumers of an account's stream, and how far each has read."""

from __future__ import annotations

from dataclasses import dataclass

from redis import Redis

from sesq.config.connection import mapped
from sesq.queue.events import seconds_of
from sesq.queue.fields import Fields
from sesq.queue.keys import Keys
from sesq.queue.replies import read_hash, text

PREFIX = "consumer:"


@dataclass(frozen=True, slots=True)
class Consumer:
    """Describes a consumer. Times are seconds since the epoch.

    `since`: when it began to listen. `waiting_since`: the time of the first event that it has not read, or not
    acknowledged; None if there is none. `has_reader`: a process reads for it now.
    """

    name: str
    since: float
    waiting_since: float | None
    has_reader: bool


def consumers(redis: Redis, account: str) -> list[Consumer]:
    """Lists the consumers of an account, by name."""
    keys = Keys(account)
    with mapped():
        listening = read_hash(redis, keys.listening)
        names = sorted(name[len(PREFIX) :] for name in listening if name.startswith(PREFIX))
        if not names:
            return []
        fields = Fields(listening)
        read_to = {
            text(group["name"]): text(group["last-delivered-id"]) for group in redis.xinfo_groups(keys.events)
        }
        return [
            Consumer(
                name,
                fields.number(PREFIX + name),
                _first_waiting(redis, keys, name, read_to.get(name, "0-0")),
                bool(redis.exists(keys.reader(name))),
            )
            for name in names
        ]


def _first_waiting(redis: Redis, keys: Keys, name: str, read_to: str) -> float | None:
    begun = redis.xpending(keys.events, name)
    if begun["pending"]:
        return seconds_of(text(begun["min"]))
    unread = redis.xrange(keys.events, f"({read_to}", "+", count=1)
    return seconds_of(text(unread[0][0])) if unread else None
