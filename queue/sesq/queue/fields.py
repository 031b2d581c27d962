"""The fields of a hash in Redis, read one by one: what is damaged takes a plain value, and is named."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from sesq.config.errors import InvalidMessage
from sesq.queue.envelope import Envelope

FARTHEST = 1e15
"""What is further from 0 is no amount and no time; the scripts take it for none as well."""
UNREADABLE = Envelope(sender="", subject="(its envelope cannot be read)")


class Fields:
    """`problems` names what could not be read so far, in words."""

    def __init__(self, fields: Mapping[str, str]) -> None:
        self._fields = fields
        self.problems: list[str] = []

    def text(self, name: str) -> str:
        """Empty if there is none."""
        return self._fields.get(name, "")

    def number(self, name: str) -> float:
        """0 if there is none."""
        return self.optional(name) or 0.0

    def whole(self, name: str) -> int:
        """0 if there is none."""
        return int(self.number(name))

    def count(self, name: str, most: int) -> int | None:
        """Returns a whole number from 0 to `most`; None, and a problem, if there is none."""
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
        """Returns the envelope in the fields of a message's record; an empty one, which says so, where they are
        damaged.
        """
        return self._envelope(lambda: Envelope.from_fields(self._fields))

    def envelope_of_batch(self) -> Envelope:
        """Returns the same of a batch, which has it in one field."""
        return self._envelope(lambda: Envelope.from_json(self.text("envelope")))

    def _envelope(self, read: Callable[[], Envelope]) -> Envelope:
        try:
            return read()
        except InvalidMessage as error:
            self.problems.append(f"its envelope cannot be read: {error}")
            return UNREADABLE

    def reason(self) -> str:
        """Returns the field `reason`, and before it what is damaged."""
        damaged = f"damaged in Redis: {', '.join(self.problems)}" if self.problems else ""
        return "; ".join(part for part in (damaged, self.text("reason")) if part)
