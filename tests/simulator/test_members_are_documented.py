"""docs/simulator.md shows the table of members as it is: what this file prints is what stands there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from sesq.simulator.table.member import Member, Object, Use, rows
from sesq.simulator.table.shapes import Many, Shape
from sesq.simulator.table.v1 import V1
from sesq.simulator.table.v2 import V2

PAGE = (Path(__file__).parents[2] / "docs" / "simulator.md").read_text("utf-8")


def object_in(shape: Shape | None) -> Object | None:
    while isinstance(shape, Many):
        shape = shape.each
    return shape if isinstance(shape, Object) else None


def of_one_use(member: Member) -> bool:
    return all(below.use is member.use for _, below in rows(member.shape))


def shown(members: Object, path: str = "") -> Iterator[tuple[str, Member]]:
    """The rows, but those below a member with which all the same is done."""
    for name, member in members.members.items():
        below, inner = f"{path}{name}", object_in(member.shape)
        if inner is None or of_one_use(member):
            yield below, member
        else:
            yield from shown(inner, f"{below}.")


def line(operation: str, members: Object) -> str:
    cells: dict[Use, list[str]] = {use: [] for use in Use}
    for path, member in shown(members):
        cells[member.use].append(path)
    columns = " | ".join(", ".join(names) or "-" for names in cells.values())
    return f"| {operation} | {columns} |"


LINES = [line(name, members) for name, members in V2.items()]
LINES += [line(f"v1 {name}", members) for name, members in V1.items()]


@pytest.mark.parametrize("expected", LINES, ids=lambda text: text.split("|")[1].strip())
def test_the_row_of_an_operation_stands_in_the_docs(expected: str) -> None:
    assert expected in PAGE, f"docs/simulator.md needs this line:\n{expected}"


def test_the_docs_have_no_row_of_what_is_gone() -> None:
    table = PAGE.partition("## The members of each operation")[2].partition("\n## ")[0]
    found = [text for text in table.splitlines() if text.startswith("| ")][1:]
    assert sorted(found) == sorted(LINES)
