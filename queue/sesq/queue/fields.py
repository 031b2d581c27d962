"""Reads the fields of a hash in Redis one by one. A damaged field gets a default value, and is named."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from sesq.config.errors import InvalidMessage
from sesq.queue.envelope import Envelope

FARTHEST = 1e15
"""A number that is farther from 0 is damaged, here and in the scripts."""
UNREADABLE = Envelope(sender="", subject="(its envelope cannot be read)")


class Fields:
    """Reads fields. `problems` names those that could not be read so far, in words."""

    def __init__(self, fields: Mapping[str, str]) -> None:
        self._fields = fields
        self.problems: list[str] = []

    def text(self, name: str) -> str:
        """Returns a text; empty if there is none."""
        return self._fields.get(name, "")

    def number(self, name: str) -> float:
        """Returns a number; 0 if there is none."""
        return self.optional(name) or 0.0

    def whole(self, name: str) -> int:
        """Returns a whole number; 0 if there is none."""
        return int(self.number(name))

    def count(self, name: str, most: int) -> int | None:
        """Returns a whole number from 0 to `most`; None if it is none, which is also a problem."""
        given = self.text(name)
        if given.isdecimal() and given.isascii() and int(given) <= most:
            return int(given)
        self.problems.append(f"{name} is no number from 0 to {most}")
        return None

    def optional(self, name: str) -> float | None:
        """Returns a number, or None if there is none."""
        given = self.text(name)
        if not given:
            return None
        try:
            number = float(given)
        except ValueError:
            number = math.nan
        if abs(number) < FARTHEST:
            return number
        self.problems.append(f"{name} is no number")
        return None

    def envelope(self) -> Envelope:
        """Reads the envelope from the fields of a message's record. If they are damaged, it is UNREADABLE."""
        return self._envelope(lambda: Envelope.from_fields(self._fields))

    def envelope_of_batch(self) -> Envelope:
        """Reads the envelope of a batch, which is in one field."""
        return self._envelope(lambda: Envelope.from_json(self.text("envelope")))

    def _envelope(self, read: Callable[[], Envelope]) -> Envelope:
        try:
            return read()
        except InvalidMessage as error:
            self.problems.append(f"its envelope cannot be read: {error}")
            return UNREADABLE

    def reason(self) -> str:
        """Returns the field `reason`, after a list of what is damaged."""
        damaged = f"damaged in Redis: {', '.join(self.problems)}" if self.problems else ""
        return "; ".join(part for part in (damaged, self.text("reason")) if part)
