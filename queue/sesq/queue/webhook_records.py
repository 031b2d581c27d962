"""What is kept of a webhook's deliveries: what waits, what was given up, and how the webhook does."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from sesq.config.errors import InvalidMessage
from sesq.queue.events import MessageEvent
from sesq.queue.replies import read_json

DAMAGE = (InvalidMessage, KeyError, TypeError, ValueError)
"""What reading a damaged entry raises."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """What is to be delivered again of one message. `since` (s): when the first of the events was tried first."""

    events: tuple[MessageEvent, ...]
    attempts: int = 0
    since: float = 0.0
    why: str = ""

    def packed(self) -> str:
        """As Redis keeps it."""
        events = [event.to_json() for event in self.events]
        return json.dumps({"events": events, "attempts": self.attempts, "since": self.since, "why": self.why})

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
