"""A row of the table: what is done with one member, and the object that has it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from sesq.simulator.errors import SesError
from sesq.simulator.table.shapes import Finding, Many, Path, Shape, wrong_type


class Use(Enum):
    """What becomes of a member that is given."""

    HONOURED = "honoured"
    CHECKED = "checked; comes back if SES tells it, and has no other effect"
    REFUSED = "refused: not imitated"


@dataclass(frozen=True)
class Member:
    """If the member is refused, it has no `shape`, and `reason` names what is not imitated."""

    use: Use
    shape: Shape | None = None
    required: bool = False
    reason: str = ""


def honoured(shape: Shape) -> Member:
    return Member(Use.HONOURED, shape)


def needed(shape: Shape) -> Member:
    return Member(Use.HONOURED, shape, required=True)


def checked(shape: Shape, required: bool = False) -> Member:
    return Member(Use.CHECKED, shape, required)


def refused(reason: str) -> Member:
    return Member(Use.REFUSED, reason=reason)


class Object:
    """The members of an object, by name. Members that are not in it are refused, never ignored."""

    def __init__(self, members: Mapping[str, Member]) -> None:
        self.members = members
        self._required = [name for name, member in members.items() if member.required]

    def check(self, value: Any, path: Path, found: list[Finding]) -> None:
        if not isinstance(value, dict):
            raise wrong_type(path, "an object")
        for name in self._required:
            if value.get(name) is None:
                found += [Finding((path, name), "Member must not be null")]
        for name, given in value.items():
            if given is not None or name not in self.members:
                self._shape(name).check(given, (path, name), found)

    def _shape(self, name: str) -> Shape:
        member = self.members.get(name)
        if member is not None and member.shape is not None:
            return member.shape
        what = member.reason if member else "a member of that name"
        raise SesError("not_imitated", f"{name[:100]}: this simulator does not imitate {what}.")

    def from_text(self, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        return {name: self._member_from_text(name, text) for name, text in value.items()}

    def from_query(self, query: Mapping[str, list[str]]) -> dict[str, Any]:
        """Reads the members in a query. Only the name of a list may be repeated. Raises SesError(not_imitated)."""
        return {
            name: self._member_from_text(name, values if self._is_list(name) else _only(name, values))
            for name, values in query.items()
        }

    def _is_list(self, name: str) -> bool:
        member = self.members.get(name)
        return member is not None and isinstance(member.shape, Many)

    def _member_from_text(self, name: str, text: Any) -> Any:
        member = self.members.get(name)
        return member.shape.from_text(text) if member and member.shape else text


def _only(name: str, values: list[str]) -> str:
    if len(values) > 1:
        raise SesError("not_imitated", f"{name[:100]}: this simulator does not imitate it given twice.")
    return values[0]


def rows(shape: Shape | None, path: str = "") -> Iterator[tuple[str, Member]]:
    """Yields every row below a shape, with its path, such as `EmailTags[].Name`."""
    if isinstance(shape, Object):
        for name, member in shape.members.items():
            below = f"{path}.{name}" if path else name
            yield below, member
            yield from rows(member.shape, below)
    elif isinstance(shape, Many):
        yield from rows(shape.each, f"{path}[]")
