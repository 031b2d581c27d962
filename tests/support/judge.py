"""Judges SES's record by itself: what a token bucket of a rate and a burst would have let through."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

Call = Mapping[str, Any]


def accepted(calls: Iterable[Call]) -> list[Call]:
    """What SES took, in order."""
    return sorted((call for call in calls if call["accepted"]), key=lambda call: call["at"])


def overdrawn(calls: Iterable[Call], rate: float, burst: float) -> list[Call]:
    """The accepted calls that a full bucket (tokens are recipients, at most `burst`) would not have let through.

    n recipients go when min(n, burst) tokens are there, and the bucket then falls by n, below zero if need be.
    """
    taken = accepted(calls)
    level, at = burst, taken[0]["at"] if taken else 0.0
    refused = []
    for call in taken:
        level = min(burst, level + (call["at"] - at) * rate)
        at = call["at"]
        if level < min(call["recipients"], burst) - 1e-6:
            refused.append(call)
        level -= call["recipients"]
    return refused
