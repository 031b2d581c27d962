"""Keeps the suppression list: addresses that get no mail, because it bounced, they complained, or a person listed them.

As on SES's own list, the case of the local part matters, and the case of the domain does not.
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
    """Is an entry. `reason`: bounce, complaint or manual. `at`: seconds since the epoch. `source`: who listed it."""

    address: str
    reason: str
    at: float
    source: str

    def packed(self) -> str:
        """Writes the entry as Redis keeps it."""
        return json.dumps({"reason": self.reason, "at": self.at, "source": self.source})


def mailed_as(text: str) -> str:
    """Reads the bare address in a text, as messages have it; empty if no message could have it."""
    try:
        return parse_address(text, "address").spec
    except InvalidMessage:
        return ""


def listed_as(spec: str) -> str:
    """Returns a bare address as it is on the list: with its domain in lower case."""
    local, _, domain = spec.rpartition("@")
    return f"{local}@{domain.lower()}"


class SuppressionList:
    """Reads and changes the suppression list of one account. Every method raises QueueUnavailable."""

    def __init__(self, redis: Redis, account: str = "default") -> None:
        self.redis = redis
        self.key = Keys(account).suppression

    def __len__(self) -> int:
        with mapped():
            return int(self.redis.hlen(self.key))

    def __iter__(self) -> Iterator[Suppressed]:
        """Yields the entries in no order. Reads them page by page."""
        with mapped():
            for address, packed in self.redis.hscan_iter(self.key, count=PAGE):
                yield _unpacked(text(address), packed)

    def some(self, cursor: int = 0, count: int = 100) -> tuple[list[Suppressed], int]:
        """Returns about `count` entries from a Redis cursor on, in no order; and the next cursor, 0 at the end."""
        with mapped():
            following, found = cast(
                "tuple[int, dict[Any, Any]]", self.redis.hscan(self.key, cursor, count=count)
            )
        return [_unpacked(text(address), packed) for address, packed in found.items()], int(following)

    def add(self, entries: Iterable[Suppressed]) -> int:
        """Lists addresses. Returns how many were not listed yet. A listed address keeps its first reason."""
        added = 0
        with mapped():
            for page in _pages(entries):
                pipeline = self.redis.pipeline(transaction=False)
                for entry in page:
                    pipeline.hsetnx(self.key, listed_as(entry.address), entry.packed())
                added += sum(pipeline.execute())
        return added

    def remove(self, specs: Iterable[str]) -> int:
        """Removes addresses from the list. Returns how many were on it."""
        names = [listed_as(spec) for spec in specs]
        with mapped():
            return int(self.redis.hdel(self.key, *names)) if names else 0

    def among(self, specs: Iterable[str]) -> dict[str, Suppressed]:
        """Finds those of some bare addresses that are listed. The keys are the addresses as given."""
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
