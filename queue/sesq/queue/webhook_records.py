"""What is kept of a webhook's deliveries: what waits, what was given up, and how the webhook does."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from sesq.config.errors import InvalidMessage
from sesq.queue.events import MessageEvent
from sesq.queue.replies import read_json

DAMAGE = (InvalidMessage, KeyError, TypeError, ValueError)
"""What reading a damaged entry raises."""
HOLE_SECONDS = 7200.0
"""Longer than any pause between two attempts: where none was made for so long, nobody tried."""


def failing_from(since: float | None, last: float | None, now: float) -> float:
    """Since when attempts fail, with one that failed now. `last`: when one failed before (s)."""
    if not since or last is None or now - last > HOLE_SECONDS:
        return now
    return since


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """What is to be delivered again of one message.

    Of the first event, in seconds: it fails since `since`, and was tried at `tried` last.
    """

    events: tuple[MessageEvent, ...]
    attempts: int = 0
    since: float = 0.0
    tried: float = 0.0
    why: str = ""

    def failed(self, why: str, now: float) -> Waiting:
        """The first event was tried again, in vain."""
        since = failing_from(self.since, self.tried, now)
        return replace(self, attempts=self.attempts + 1, since=since, tried=now, why=why)

    def packed(self) -> str:
        """As Redis keeps it."""
        events = [event.to_json() for event in self.events]
        rest = {"attempts": self.attempts, "since": self.since, "tried": self.tried, "why": self.why}
        return json.dumps({"events": events, **rest})

    @classmethod
    def unpacked(cls, packed: bytes | None) -> Waiting | None:
        """Back from `packed`; None where there is none, or where it is damaged."""
        found = _object(packed)
        with suppress(*DAMAGE):
            events = tuple(MessageEvent.from_json(each) for each in found.pop("events"))
            return cls(events=events, **found) if events else None
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """An event that was tried for a day and never delivered. `at` (s): when it was given up."""

    event: MessageEvent
    at: float
    attempts: int
    why: str

    def packed(self) -> str:
        """As Redis keeps it."""
        return json.dumps(
            {"event": self.event.to_json(), "at": self.at, "attempts": self.attempts, "why": self.why}
        )

    @classmethod
    def unpacked(cls, packed: bytes) -> DeadLetter | None:
        """Back from `packed`; None where it is damaged."""
        found = _object(packed)
        with suppress(*DAMAGE):
            return cls(**{**found, "event": MessageEvent.from_json(found["event"])})
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """How a webhook does. Times are seconds since the epoch by Redis's clock, None for never."""

    delivered: int = 0
    dropped: int = 0
    last_ok: float | None = None
    failing_since: float | None = None
    why: str = ""
    disabled_at: float | None = None
    disabled_because: str = ""
    waiting: int = 0
    dead: int = 0
    is_running: bool = False


def _object(packed: bytes | None) -> dict[str, Any]:
    found = read_json(packed) if packed else None
    return found if isinstance(found, dict) else {}
