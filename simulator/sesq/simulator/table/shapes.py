"""Shapes of values, with the constraints that SES's model gives them.

`check` raises SesError(unreadable) for a wrong type, as SES does before it looks at anything else, and adds a Finding
for each constraint that is not kept. `from_text` reads a value from a query or a form, where everything is text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from math import isfinite
from typing import Any, NamedTuple, Protocol, TypeAlias

from sesq.simulator.errors import SesError

# The place of a value, from the inside to the outside. It is made a text only if something is wrong there.
Path: TypeAlias = "tuple[Path, str] | None"


class Finding(NamedTuple):
    """`shown`: the value as the refusal quotes it; None if it quotes none."""

    path: Path
    constraint: str
    shown: str | None = None


class Shape(Protocol):
    def check(self, value: Any, path: Path, found: list[Finding]) -> None: ...

    def from_text(self, value: Any) -> Any: ...


def told_path(path: Path) -> str:
    """Writes a path as SES does: `content.simple.headers.1.member.name`."""
    steps: list[str] = []
    while path is not None:
        path, step = path
        steps.append(step[:1].lower() + step[1:])
    return ".".join(reversed(steps)) or "the request"


def wrong_type(path: Path, wanted: str) -> SesError:
    return SesError("unreadable", f"{told_path(path)} is not {wanted}.")


def of_length(length: int, shortest: int, longest: int | None, path: Path) -> Iterator[Finding]:
    if length < shortest:
        yield Finding(path, f"Member must have length greater than or equal to {shortest}")
    if longest is not None and length > longest:
        yield Finding(path, f"Member must have length less than or equal to {longest}")


@dataclass(frozen=True)
class Text:
    shortest: int = 0
    longest: int | None = None
    pattern: str | None = None
    choices: tuple[str, ...] = ()

    def check(self, value: Any, path: Path, found: list[Finding]) -> None:
        if not isinstance(value, str):
            raise wrong_type(path, "a string")
        found += of_length(len(value), self.shortest, self.longest, path)
        if self.pattern is not None and not re.fullmatch(self.pattern, value):
            found.append(Finding(path, f"Member must satisfy regular expression pattern: {self.pattern}"))
        if self.choices and value not in self.choices:
            found.append(Finding(path, f"Member must satisfy enum value set: [{', '.join(self.choices)}]"))

    def from_text(self, value: Any) -> Any:
        return value


@dataclass(frozen=True)
class Number:
    least: int | None = None
    most: int | None = None

    def check(self, value: Any, path: Path, found: list[Finding]) -> None:
        if isinstance(value, bool) or not isinstance(value, int):
            raise wrong_type(path, "a whole number")
        if self.least is not None and value < self.least:
            constraint = f"Member must have value greater than or equal to {self.least}"
            found.append(Finding(path, constraint, str(value)))
        if self.most is not None and value > self.most:
            found.append(
                Finding(path, f"Member must have value less than or equal to {self.most}", str(value))
            )

    def from_text(self, value: Any) -> Any:
        return int(value) if re.fullmatch(r"-?[0-9]{1,18}", str(value)) else value


@dataclass(frozen=True)
class Flag:
    def check(self, value: Any, path: Path, _found: list[Finding]) -> None:
        if not isinstance(value, bool):
            raise wrong_type(path, "a boolean")

    def from_text(self, value: Any) -> Any:
        return {"true": True, "false": False}.get(str(value).lower(), value)


@dataclass(frozen=True)
class Time:
    """A time: epoch seconds in a body, a date in a query (`2026-11-30T12:00:00Z`)."""

    def check(self, value: Any, path: Path, _found: list[Finding]) -> None:
        whole = isinstance(value, int) and not isinstance(value, bool)
        if not whole and not (isinstance(value, float) and isfinite(value)):
            raise wrong_type(path, "a time")

    def from_text(self, value: Any) -> Any:
        try:
            moment = datetime.fromisoformat(str(value).replace("Z", "+00:00"))
        except ValueError:
            return value
        return (moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)).timestamp()


@dataclass(frozen=True)
class Many:
    """A list. `rule` checks it as a whole, when its items have the right types."""

    each: Shape
    shortest: int = 0
    longest: int | None = None
    rule: Callable[[list[Any], Path, list[Finding]], None] | None = None

    def check(self, value: Any, path: Path, found: list[Finding]) -> None:
        if not isinstance(value, list):
            raise wrong_type(path, "a list")
        found += of_length(len(value), self.shortest, self.longest, path)
        for number, item in enumerate(value, 1):
            self.each.check(item, (path, f"{number}.member"), found)
        if self.rule is not None:
            self.rule(value, path, found)

    def from_text(self, value: Any) -> Any:
        """Reads `X.member.1`, `X.member.2` … of a form (`X=` is empty), or the repeated name of a query."""
        if not isinstance(value, list):
            value = _in_order(value) if value else []
        return [self.each.from_text(item) for item in value]


def _in_order(given: Any) -> list[Any]:
    """Returns the items of a list in a form. Raises SesError(not_imitated) if no SDK would write it like that."""
    numbered = given.get("member") if isinstance(given, dict) and len(given) == 1 else None
    names = [str(number) for number in range(1, len(numbered) + 1)] if isinstance(numbered, dict) else []
    if not isinstance(numbered, dict) or numbered.keys() != set(names):
        raise SesError(
            "not_imitated",
            "A list: this simulator does not imitate other names than member.1, member.2 and so on.",
        )
    return [numbered[name] for name in names]


@dataclass(frozen=True)
class Words:
    """A map of strings to strings. `keys`: those that are allowed, each with its values (none: any text)."""

    keys: Mapping[str, tuple[str, ...]]

    def check(self, value: Any, path: Path, found: list[Finding]) -> None:
        if not isinstance(value, dict) or not all(isinstance(each, str) for each in value.values()):
            raise wrong_type(path, "a map of strings")
        for key, word in value.items():
            Text(choices=tuple(self.keys)).check(key, (path, "key"), found)
            if word not in (self.keys.get(key) or (word,)):
                raise SesError(
                    "not_imitated", f"{key}: this simulator does not imitate the value {word[:100]!r} of it."
                )

    def from_text(self, value: Any) -> Any:
        return value
