"""What the auditor says: one invariant that does not hold, at one key of Redis."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum


class Kind(str, Enum):
    """The family of invariants that a finding belongs to."""

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
    """`what` is wrong at `key`, and the `cure`; `repairable`: `sesq doctor --deep --repair` mends it."""

    kind: Kind
    key: str
    what: str
    cure: str
    repairable: bool


REPAIR = "sesq doctor --deep --repair"

Seen = tuple[Finding, str]
"""A finding, and a mark that is another one after each change of what it is about: what has the same mark at two looks
has not moved between them."""


def mendable(kind: Kind, key: str, what: str) -> Finding:
    """Returns a finding that follows from other keys, so that it can be mended without a guess."""
    return Finding(kind, key, what, REPAIR, repairable=True)


def for_a_person(kind: Kind, key: str, what: str, cure: str) -> Finding:
    """Returns a finding that nobody can mend without a guess."""
    return Finding(kind, key, what, cure, repairable=False)


def marked(findings: Iterable[Finding], mark: str) -> Iterator[Seen]:
    """Returns the findings about one thing, with its mark."""
    return ((finding, mark) for finding in findings)
