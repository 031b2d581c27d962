"""Prints for commands: tables for people, JSON for scripts, problems on stderr."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import typer

from sesq.console.streams import writes_utf8
from sesq.console.tables import printable

if TYPE_CHECKING:
    from rich.console import Console

WIDTH_OF_A_PIPE = 200


def option_of(argument: str) -> str:
    """Returns the option for an argument of Python: `--email-column`."""
    return f"--{argument.replace('_', '-')}"


def complain(text: str) -> None:
    """Prints each line of `text` on stderr."""
    for line in text.splitlines():
        typer.echo(f"sesq: {printable(line)}", err=True)


def print_json(data: Any) -> None:
    """Prints JSON on stdout, indented; only in ASCII if the locale is not UTF-8."""
    typer.echo(json.dumps(data, indent=2, ensure_ascii=not writes_utf8()))


def console() -> Console:
    """Returns what prints tables on stdout."""
    from rich.console import Console

    class Output(Console):
        def on_broken_pipe(self) -> None:
            raise BrokenPipeError  # the command ends as it does if it prints without rich

    width = None if sys.stdout.isatty() else WIDTH_OF_A_PIPE
    return Output(width=width, highlight=False, emoji=False)


def show(*parts: Any) -> None:
    """Prints tables and lines of plain text. A table that is wider than the terminal is not cut off."""
    out = console()
    for part in parts:
        out.print(part, markup=False, crop=False)
