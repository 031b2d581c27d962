"""Addresses that get no mail: their mail bounced for good, they complained, or a person listed them.

SES tells addresses on its own list apart by the case of the local part, and by no other case; so do we.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, cast

from redis import Redis

from sesq.config.connection import mapped
from sesq.config.errors import InvalidMessage
from sesq.queue.addresses import parse_address
from sesq.queue.keys import Keys
from sesq.queue.replies import text

REASONS = ("bounce", "complaint", "manual")
PAGE = 1000


@dataclass(frozen=True, slots=True)
class Suppressed:
    """`reason`: bounce, complaint or manual. `at`: seconds since the epoch. `source`: an event, SES, or a person."""

    address: str
    reason: str
    at: float
    source: str

    def packed(self) -> str:
        """As Redis keeps it."""
        return json.dumps({"reason": self.reason, "at": self.at, "source": self.source})


def mailed_as(text: str) -> str:
    """Returns the bare address in a text, as a message here has it; empty if none could: nothing is gained by listing
    it.
    """
    try:
        return parse_address(text, "address").spec
    except InvalidMessage:
        return ""


def listed_as(spec: str) -> str:
    """Returns how a bare address stands on the list: its domain in lower case."""
    local, _, domain = spec.rpartition("@")
    return f"{local}@{domain.lower()}"


class SuppressionList:
    """One account's list. Every method raises QueueUnavailable when Redis cannot be reached."""

    def __init__(self, redis: Redis, account: str = "default") -> None:
        self.redis = redis
        self.key = Keys(account).suppression

    def __len__(self) -> int:
        with mapped():
            return int(self.redis.hlen(self.key))

    def __iter__(self) -> Iterator[Suppressed]:
        """In no order, a page of Redis's at a time."""
        with mapped():
            for address, packed in self.redis.hscan_iter(self.key, count=PAGE):
                yield _unpacked(text(address), packed)

    def some(self, cursor: int = 0, count: int = 100) -> tuple[list[Suppressed], int]:
        """About so many of them from a cursor of Redis's on, in no order; and the next cursor, 0 at the end."""
        with mapped():
            following, found = cast(
                "tuple[int, dict[Any, Any]]", self.redis.hscan(self.key, cursor, count=count)
            )
        return [_unpacked(text(address), packed) for address, packed in found.items()], int(following)

    def add(self, entries: Iterable[Suppressed]) -> int:
        """Lists addresses; how many were not listed yet. What is listed keeps its first reason."""
        added = 0
        with mapped():
            for page in _pages(entries):
                pipeline = self.redis.pipeline(transaction=False)
                for entry in page:
                    pipeline.hsetnx(self.key, listed_as(entry.address), entry.packed())
                added += sum(pipeline.execute())
        return added

    def remove(self, specs: Iterable[str]) -> int:
        """Takes addresses off the list; how many were on it."""
        names = [listed_as(spec) for spec in specs]
        with mapped():
            return int(self.redis.hdel(self.key, *names)) if names else 0

    def among(self, specs: Iterable[str]) -> dict[str, Suppressed]:
        """Returns those of some bare addresses that are listed, as they were given."""
        given = list(specs)
        if not given:
            return {}
        with mapped():
            found = cast("list[Any]", self.redis.hmget(self.key, [listed_as(spec) for spec in given]))
        return {spec: _unpacked(spec, packed) for spec, packed in zip(given, found, strict=True) if packed}


def _unpacked(address: str, packed: Any) -> Suppressed:
    """Reads an entry of the list. An address whose entry is damaged is still suppressed."""
    try:
        entry = json.loads(packed)
        return Suppressed(address, str(entry["reason"]), float(entry["at"]), str(entry["source"]))
    except (ValueError, KeyError, TypeError):
        return Suppressed(address, "manual", 0.0, "an entry that is damaged in Redis")


def _pages(entries: Iterable[Suppressed]) -> Iterator[list[Suppressed]]:
    page: list[Suppressed] = []
    for entry in entries:
        page.append(entry)
        if len(page) == PAGE:
            yield page
            page = []
    if page:
        yield page
