"""Prints the demo: the table of `sesq status` on a terminal, plain lines elsewhere, one JSON object for scripts."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from sesq.console.demo.compare import Row

if TYPE_CHECKING:
    from sesq.console.demo.demo import Result

LINE_SECONDS = 5.0
WIDTH = 96


class Screen:
    """`elapsed` returns the seconds since the start. With `as_json` only the result is printed.

    It prints to standard output, or to a `console` that is given.
    """

    def __init__(self, as_json: bool, elapsed: Callable[[], float], console: Console | None = None) -> None:
        self._console = console or Console(quiet=as_json)
        self._console.width = min(self._console.width, WIDTH) if self._console.is_terminal else WIDTH
        self._json, self._elapsed = as_json, elapsed
        self._live = Live(console=self._console, auto_refresh=False, transient=True)
        self._next_line = 0.0

    @contextmanager
    def painting(self) -> Iterator[None]:
        """Keeps a table on a terminal up to date, and removes it at the end."""
        if self._json or not self._console.is_terminal:
            yield
        else:
            with self._live:
                yield

    def say(self, text: str) -> None:
        """Prints a sentence of the story; it stays on the screen."""
        line = Table.grid(padding=(0, 2))
        line.add_row(f"[dim]{self._elapsed():4.1f} s[/]", text)
        told: Any = line if self._console.is_terminal else f"{self._elapsed():4.1f} s  {text}"
        self._console.print(told, soft_wrap=not self._console.is_terminal, highlight=False)

    def show(self, table: Callable[[], Any], line: str) -> None:
        """Shows the queue as it is now: the table on a terminal, or a line every few seconds elsewhere."""
        if self._live.is_started:
            self._live.update(table(), refresh=True)
        elif self._elapsed() >= self._next_line:
            self._next_line = self._elapsed() + LINE_SECONDS
            self.say(line)

    def finish(self, result: Result) -> None:
        """Prints the two columns, and what they mean."""
        if self._json:
            print(json.dumps(result.as_json(), indent=2))  # noqa: T201 - a command speaks
        self._console.print(_two_columns(result.rows))
        self._console.print(result.in_words(), soft_wrap=not self._console.is_terminal, highlight=False)

    @staticmethod
    def complain(text: str) -> None:
        """Says on standard error why there is no result."""
        errors = Console(stderr=True)
        errors.print(f"sesq demo: {text}", style="red", soft_wrap=True, highlight=False, markup=False)


def _two_columns(rows: Sequence[Row]) -> Table:
    """Makes the table of what must agree, row by row."""
    table = Table("", title="Two records that must agree", title_justify="left", expand=True)
    for heading in ("the queue", "SES"):
        table.add_column(heading, justify="right")
    table.add_column()
    for row in rows:
        mark = Text("✓", "green") if row.agrees else Text("✗ differs", "bold red")
        table.add_row(row.fact, _shown(row.queue), str(row.ses), mark)
    return table


def _shown(queue: int | tuple[int, int]) -> str:
    least, most = queue if isinstance(queue, tuple) else (queue, queue)
    return str(least) if least == most else f"{least} to {most}"
