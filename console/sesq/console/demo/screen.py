"""Where the demo speaks: a live table on a terminal, plain lines elsewhere, one JSON object for scripts."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import ExitStack
from typing import TYPE_CHECKING

from rich.console import Console
from rich.live import Live
from rich.table import Table

from sesq.console.demo.table import live, one_line, two_columns
from sesq.console.demo.view import View

if TYPE_CHECKING:
    from typing_extensions import Self

    from sesq.console.demo.demo import Result

LINE_SECONDS = 5.0
WIDTH = 96


class Screen:
    """`elapsed` tells the seconds since the start. With `as_json` nothing is printed but the result."""

    def __init__(self, as_json: bool, elapsed: Callable[[], float]) -> None:
        self._console = _console()
        self._errors = Console(stderr=True)
        self._json = as_json
        self._elapsed = elapsed
        self._next_line = 0.0
        self._stack = ExitStack()
        self._live: Live | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def say(self, text: str) -> None:
        """A sentence of the story; it stays on the screen."""
        if self._json:
            return
        time = f"[dim]{self._elapsed():4.1f} s[/]"
        if self._console.is_terminal:
            line = Table.grid(padding=(0, 2))
            line.add_row(time, text)
            self._console.print(line)
        else:
            self._console.print(f"{time}  {text}", soft_wrap=True, highlight=False)

    def show(self, view: View) -> None:
        """The queue as it is now."""
        if self._json:
            return
        if self._console.is_terminal:
            self._paint(view)
        elif self._elapsed() >= self._next_line:
            self._next_line = self._elapsed() + LINE_SECONDS
            self.say(one_line(view))

    def close(self) -> None:
        """The table stands still from now on."""
        self._stack.close()
        self._live = None

    def finish(self, result: Result) -> None:
        """The two columns, and what they mean."""
        self.close()
        if self._json:
            print(json.dumps(result.as_json(), indent=2))  # noqa: T201 - a command speaks
            return
        self._console.print(two_columns(result.rows))
        self._console.print(result.in_words(), soft_wrap=not self._console.is_terminal, highlight=False)

    def complain(self, text: str) -> None:
        """Why there is no result; on standard error."""
        self.close()
        self._errors.print(f"sesq demo: {text}", style="red", soft_wrap=True, highlight=False, markup=False)

    def _paint(self, view: View) -> None:
        if self._live is None:
            self._live = self._stack.enter_context(
                Live(console=self._console, auto_refresh=False, transient=True)
            )
        self._live.update(live(view, self._elapsed()), refresh=True)


def _console() -> Console:
    """As wide as reads well; a pipe has no width of its own."""
    console = Console()
    console.width = min(console.width, WIDTH) if console.is_terminal else WIDTH
    return console
