"""Which rows become recipients, and why the others do not."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any

from sesq.config.errors import InvalidMessage
from sesq.producer.batch.csv_rows import RECIPIENT
from sesq.producer.batch.rows import MAX_DEPTH, is_deeper
from sesq.producer.batch.template import TemplateRenderer
from sesq.queue.addresses import spec_of, wire_form
from sesq.queue.chunks import Row
from sesq.queue.envelope import encode_json

Check = Callable[[Mapping[str, Any]], None]

MAX_VALUE = 20_000
"""Characters of one variable."""


class Why(str, Enum):
    """Why a row is left out."""

    INVALID = "invalid"
    DUPLICATE = "duplicate"
    SUPPRESSED = "suppressed"


class LeftOut(Exception):
    """A row that becomes no recipient."""

    def __init__(self, why: Why, reason: str) -> None:
        super().__init__(reason)
        self.why = why


class Unprintable(LeftOut):
    """A row for which the template cannot make a mail."""


class RowValidator:
    """Checks rows one after the other, and renders the mail of each.

    It remembers a number for each address: some 70 bytes a recipient. `printed`: the caller has just rendered all rows,
    so they are not rendered here. `check`: further checks of a row; it raises LeftOut.
    """

    def __init__(
        self, renderer: TemplateRenderer, *, printed: bool = False, check: Check = lambda _values: None
    ) -> None:
        self._check = check
        self._renderer = None if printed else renderer
        self.needed = sorted(renderer.needed)
        self.names = sorted(renderer.used)
        self._seen: set[int] = set()

    def look(self, values: Mapping[str, Any]) -> Row:
        """Finds the recipient that a row names, with the variables that the template uses. Raises LeftOut."""
        wire = self._address(values.get(RECIPIENT))
        self._check(values)
        kept = {}
        for name in self.names:
            value = values.get(name)
            if value is not None:  # a null is no value: nobody wants to read "None"
                kept[name] = _checked(name, value)
        if len(kept) < len(self.names):
            missing = [name for name in self.needed if name not in kept]
            if missing:
                raise LeftOut(Why.INVALID, f"has no {', '.join(missing)}")
        spec = spec_of(wire)
        # people notice a second mail, whatever the case of the letters in the address
        number = hash(spec.lower())
        if number in self._seen:
            raise LeftOut(Why.DUPLICATE, f"{spec} was there before")
        if self._renderer:
            _print(self._renderer, {**kept, RECIPIENT: spec})
        self._seen.add(number)
        return Row(wire, kept)

    def _address(self, given: Any) -> str:
        if not isinstance(given, str) or not given.strip():
            raise LeftOut(Why.INVALID, f"has no {RECIPIENT}")
        try:
            return wire_form(given.strip(), RECIPIENT)
        except InvalidMessage as error:
            raise LeftOut(Why.INVALID, error.problem) from error


def _print(renderer: TemplateRenderer, values: dict[str, Any]) -> None:
    try:
        renderer.content(values)
    except InvalidMessage as error:
        raise Unprintable(Why.INVALID, str(error)) from error


def _checked(name: str, value: Any) -> Any:
    """Checks the value of a variable, and gives it as it is kept. Raises LeftOut."""
    plain = isinstance(value, str)
    if plain and value.isascii() and len(value) <= MAX_VALUE and "\0" not in value:
        return value
    if is_deeper(value):
        raise LeftOut(Why.INVALID, f"{name} has more than {MAX_DEPTH} lists or objects within each other")
    try:
        text = value if plain else encode_json(value)
        text.encode()
    except UnicodeEncodeError:
        raise LeftOut(Why.INVALID, f"{name} contains half a character") from None
    except (TypeError, ValueError, RecursionError) as error:
        raise LeftOut(Why.INVALID, f"{name} is no JSON: {error}") from None
    if len(text) > MAX_VALUE:
        raise LeftOut(Why.INVALID, f"{name} has more than {MAX_VALUE:,} characters")
    if plain and "\0" in text:
        raise LeftOut(Why.INVALID, f"{name} contains a NUL character")
    return value
