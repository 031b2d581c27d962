"""Decides when a delivery is tried again, and when it is given up. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from enum import Enum

from sesq.worker.webhooks.http_client import Answer

FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 2.0, 3600.0
"""The pause after the first failure of an event. Each later one is twice as long, up to the longest."""
GIVE_UP_SECONDS = 86_400.0
"""How long an event is tried, and how long all deliveries may fail before the webhook is disabled."""
LONGEST_RETRY_AFTER_SECONDS = 3600.0
LONGEST_REST_SECONDS = 60.0
JITTER = 0.2

GONE, TOO_MANY, UNAVAILABLE = 410, 429, 503


class Verdict(Enum):
    """Says how one delivery ended."""

    DELIVERED = "delivered"
    FAILED = "failed"
    GONE = "gone"
    """The endpoint wants no more events."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """Holds the outcome of a delivery. `rest`: seconds for which the endpoint wants no requests."""

    verdict: Verdict
    why: str = ""
    rest: float = 0.0


def judge(answer: Answer, now: float) -> Outcome:
    """Returns what an answer means. `now`: seconds since the epoch, for a Retry-After that is a date."""
    if 200 <= answer.status < 300:
        return Outcome(Verdict.DELIVERED)
    if answer.status == GONE:
        return Outcome(Verdict.GONE, "it answered 410: it wants no more")
    rest = _seconds(answer.retry_after, now) if answer.status in (TOO_MANY, UNAVAILABLE) else 0.0
    return Outcome(Verdict.FAILED, f"it answered {answer.status}", rest)


def _seconds(retry_after: str, now: float) -> float:
    """Reads the seconds of a Retry-After, within bounds; 0 if it cannot be read."""
    try:
        text = retry_after.strip()
        seconds = float(text) if text.isdigit() else parsedate_to_datetime(text).timestamp() - now
    except (ValueError, TypeError, OverflowError):
        return 0.0
    return min(max(seconds, 0.0), LONGEST_RETRY_AFTER_SECONDS)


def pause_after(attempts: int, chance: float) -> float:
    """Returns the seconds until the next attempt, after so many attempts. `chance`: a random number from 0 to 1."""
    return _doubled(FIRST_PAUSE_SECONDS, attempts, LONGEST_PAUSE_SECONDS, chance)


def rest_after(failures: int, chance: float) -> float:
    """Returns the seconds without requests to the endpoint, after so many failures in a row."""
    return _doubled(1.0, failures - 2, LONGEST_REST_SECONDS, chance)


def _doubled(first: float, times: int, longest: float, chance: float) -> float:
    whole = min(first * 2.0 ** min(max(times - 1, 0), 30), longest)
    return whole * (1 - JITTER + 2 * JITTER * chance)
