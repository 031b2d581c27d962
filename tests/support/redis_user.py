"""Makes Redis users with few rights, on the test's own server."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from redis import Redis

from sesq.queue.careful_redis import connect

NAME, PASSWORD = "limited", "secret"
EVERYTHING = ("~*", "allchannels", "+@all")


@contextmanager
def redis_user(redis: Redis, url: str, rights: Sequence[str]) -> Iterator[str]:
    """Makes a user with only these rights, written as for `ACL SETUSER`, and gives its URL."""
    words = ("reset", "on", f">{PASSWORD}", "resetchannels", *rights)
    redis.execute_command("ACL", "SETUSER", NAME, *words)  # type: ignore[no-untyped-call]
    try:
        yield f"{url}?username={NAME}&password={PASSWORD}"
    finally:
        redis.execute_command("ACL", "DELUSER", NAME)  # type: ignore[no-untyped-call]


@contextmanager
def limited_client(redis: Redis, url: str, rights: Sequence[str]) -> Iterator[Redis]:
    """Makes such a user, and gives a client that is logged in as it."""
    with redis_user(redis, url, rights) as address, connect(address) as client:
        yield client
