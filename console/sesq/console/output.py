"""What commands print: tables for people, JSON for scripts, complaints on stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import typer

from sesq.console.streams import writes_utf8

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

WIDTH_OF_A_PIPE = 200


def complain(text: str) -> None:
    """One line for each line of `text`, on stderr."""
    for line in text.splitlines():
        typer.echo(f"sesq: {printable(line)}", err=True)


def print_json(data: Any) -> None:
    """JSON on stdout, indented; in ASCII alone where the locale is not UTF-8."""
    typer.echo(json.dumps(data, indent=2, ensure_ascii=not writes_utf8()))


def printable(text: str) -> str:
    """Without what a terminal would obey: text from SES or from a message may hold anything."""
    return "".join(character if character.isprintable() else "�" for character in text)


def table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, title: str | None = None) -> Table:
    """A table of plain text: nothing in it is taken for markup."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    made = Table(box=box.SIMPLE_HEAD, title=title, title_justify="left", pad_edge=False)
    for number, column in enumerate(columns):
        made.add_column(column, no_wrap=number == 0)
    for row in rows:
        made.add_row(*(Text(printable("" if cell is None else str(cell))) for cell in row))
    return made


def console() -> Console:
    """Where tables go: stdout, and wide enough for whole ids where that is no terminal."""
    from rich.console import Console

    width = None if sys.stdout.isatty() else WIDTH_OF_A_PIPE
    return Console(width=width, highlight=False, emoji=False)


def show(*parts: Any) -> None:
    """Prints tables and lines of plain text."""
    out = console()
    for part in parts:
        out.print(part, markup=False)
