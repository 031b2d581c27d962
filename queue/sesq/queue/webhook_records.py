"""Defines the records of a webhook: an event that waits, one that was given up, and the webhook's health."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from sesq.config.errors import InvalidMessage, UnknownVersion
from sesq.queue.events import MessageEvent
from sesq.queue.replies import read_json

DAMAGE = (InvalidMessage, UnknownVersion, KeyError, TypeError, ValueError, OverflowError)
"""The errors that a damaged entry may raise."""
UNREADABLE = "unreadable"
"""The type of an event that stands for an entry which cannot be read."""
HOLE_SECONDS = 7200.0
"""Longer than any pause between two attempts. With a longer pause, no process was trying."""


def failing_from(since: float | None, last: float | None, now: float) -> float:
    """Returns since when all attempts fail (s), with one that failed now. `last`: the failure before (s)."""
    if not since or last is None or now - last > HOLE_SECONDS:
        return now
    return since


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """Holds an event that is to be delivered again. `since`: its first failure (s). `tried`: its last attempt (s)."""

    event: MessageEvent
    attempts: int = 0
    since: float = 0.0
    tried: float = 0.0
    why: str = ""

    def failed(self, why: str, now: float) -> Waiting:
        """Returns the record after one more failed attempt."""
        since = failing_from(self.since, self.tried, now)
        return replace(self, attempts=self.attempts + 1, since=since, tried=now, why=why)

    def packed(self) -> str:
        """As Redis keeps it."""
        times = {"since": self.since, "tried": self.tried}
        return json.dumps(
            {"event": self.event.to_json(), "attempts": self.attempts, "why": self.why, **times}
        )

    @classmethod
    def unpacked(cls, packed: bytes | None) -> Waiting | None:
        """Reads what `packed` wrote; None if there is none, or if it cannot be read. Ignores unknown fields."""
        found = _object(packed)
        with suppress(*DAMAGE):
            return cls(
                event=MessageEvent.from_json(found["event"]),
                attempts=int(found.get("attempts", 0)),
                since=float(found.get("since", 0)),
                tried=float(found.get("tried", 0)),
                why=str(found.get("why", "")),
            )
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """Holds an event that was tried for a day and never delivered. `at` (s): when it was given up.

    `raw`: the entry itself, if this version of sesq cannot read it; `event` then holds what is known.
    """

    event: MessageEvent
    at: float
    attempts: int
    why: str
    raw: str = ""

    @property
    def is_readable(self) -> bool:
        """Whether it can be delivered again."""
        return self.event.type != UNREADABLE

    def packed(self) -> str:
        """As Redis keeps it."""
        rest = {"raw": self.raw} if self.raw else {}
        event = self.event.to_json()
        return json.dumps({"event": event, "at": self.at, "attempts": self.attempts, "why": self.why, **rest})

    @classmethod
    def unreadable(cls, raw: bytes, *, id: str, account: str, message: str, at: float) -> DeadLetter:
        """Makes the record of an entry that cannot be read."""
        event = MessageEvent(id=id, account=account, at=at, type=UNREADABLE, message=message)
        why = "this version of sesq cannot read it"
        return cls(event=event, at=at, attempts=0, why=why, raw=raw.decode(errors="backslashreplace"))

    @classmethod
    def unpacked(cls, packed: bytes) -> DeadLetter:
        """Reads what `packed` wrote. Reads a `raw` again, as this version may be newer. Ignores unknown fields."""
        found = _object(packed)
        with suppress(*DAMAGE):
            raw = str(found.get("raw", ""))
            waiting = Waiting.unpacked(raw.encode())
            return cls(
                event=waiting.event if waiting else MessageEvent.from_json(found["event"]),
                at=float(found["at"]),
                attempts=int(found["attempts"]),
                why=str(found["why"]),
                raw="" if waiting else raw,
            )
        return cls.unreadable(packed, id="", account="", message="", at=0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """Describes the health of a webhook. Times are seconds since the epoch by Redis's clock; None: never."""

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
