"""docs/reference/events.md shows the table of events, and that of notices, as they are in the code."""

from __future__ import annotations

from pathlib import Path

import pytest

from event_rows import ROWS as TESTED
from event_rows import event
from sesq.worker.events import Event, read_event
from sesq.worker.events.notices import SIGNS, URGENT
from sesq.worker.events.table import ROWS, Effect, Row, Source, row_of

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "events.md").read_text("utf-8")
NUMBERS = {source: str(number) for number, source in enumerate(Source, 1)}


def shown(row: Row) -> str:
    names = [f"`{name}`" if name else "" for name in row.key]
    moves = row.effect is Effect.MOVES
    message = f"`{row.to}`" if moves else row.effect.value
    cells = (*names, row.says, message, row.counts or "nothing", row.suppresses.value, NUMBERS[row.source])
    return "| " + " | ".join(cells) + " |"


EVENTS = [shown(row) for row in ROWS]
NOTICES = [
    f"| {sign.kind} | {sign.by} | {'warning' if sign.kind in URGENT else 'info'} | {sign.source} |"
    for sign in SIGNS
]
SOURCES = [f"{number}. {source.value}" for source, number in NUMBERS.items()]


@pytest.mark.parametrize("line", [*EVENTS, *NOTICES, *SOURCES])
def test_a_row_stands_in_the_docs(line: str) -> None:
    assert f"{line}\n" in PAGE, f"docs/reference/events.md needs this line:\n{line}"


def test_the_docs_have_no_row_of_what_is_gone() -> None:
    found = [line for line in PAGE.splitlines() if line.startswith("| ")]
    heads = [line for line in found if line.startswith(("| event", "| notice"))]
    assert sorted(found) == sorted([*EVENTS, *NOTICES, *heads])


def test_each_row_is_tested_with_its_own_event() -> None:
    tried = set()
    for kind, detail, _ in TESTED:
        read = read_event(event(kind, "", detail))
        assert isinstance(read, Event)
        tried.add(row_of(read.type, read.subtype, read.feedback).key)
    assert tried == {row.key for row in ROWS}
    assert len(ROWS) == len(tried)
