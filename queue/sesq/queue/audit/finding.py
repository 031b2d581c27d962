"""Defines a finding of the auditor: one invariant that does not hold, at one key of Redis."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum


class Kind(str, Enum):
    """Names the family of invariants that a finding belongs to."""

    LEDGER = "ledger"
    MESSAGE = "message"
    LANE = "lane"
    HOLD = "hold"
    CHUNK = "chunk"
    BATCH = "batch"
    ORPHAN = "orphan"
    EXPIRY = "expiry"
    LAYOUT = "layout"

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True, slots=True)
class Finding:
    """Says what is wrong at `key`, and the `cure`; `repairable`: `sesq doctor --deep --repair` mends it."""

    kind: Kind
    key: str
    what: str
    cure: str
    repairable: bool


REPAIR = "sesq doctor --deep --repair"

Seen = tuple[Finding, str]
"""A finding, and the mark of its object. The mark changes with the object: the same mark twice means no change."""


def mendable(kind: Kind, key: str, what: str) -> Finding:
    """Returns a finding that can be mended from other keys, without a guess."""
    return Finding(kind, key, what, REPAIR, repairable=True)


def for_a_person(kind: Kind, key: str, what: str, cure: str) -> Finding:
    """Returns a finding that nobody can mend without a guess."""
    return Finding(kind, key, what, cure, repairable=False)


def marked(findings: Iterable[Finding], mark: str) -> Iterator[Seen]:
    """Returns findings about one object, each with the object's mark."""
    return ((finding, mark) for finding in findings)
