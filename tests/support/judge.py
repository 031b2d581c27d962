"""Judges the calls that SES recorded: would a token bucket of this rate and burst have let them through?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

Call = Mapping[str, Any]


def accepted(calls: Iterable[Call]) -> list[Call]:
    """Returns the calls that SES accepted, in order."""
    return sorted((call for call in calls if call["accepted"]), key=lambda call: call["at"])


def overdrawn(calls: Iterable[Call], rate: float, burst: float) -> list[Call]:
    """Returns the accepted calls that the bucket would not have let through. It begins full; tokens are recipients.

    A call for n recipients needs min(n, burst) tokens and takes n, so that the bucket can fall below zero.
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
