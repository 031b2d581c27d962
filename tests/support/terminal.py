"""Runs the command line in this process, at a terminal of a given width."""

from __future__ import annotations

import contextlib
import io

import pytest
from rich.text import Text

from sesq.console.app import app


class _Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


def at_terminal(width: int, *words: str) -> list[str]:
    """Returns the lines that a command shows, without styles and empty lines."""
    screen = _Screen()
    with pytest.MonkeyPatch.context() as patched, contextlib.redirect_stdout(screen):
        patched.setenv("COLUMNS", str(width))
        patched.setenv("TERM", "xterm")
        with contextlib.suppress(SystemExit):
            app(list(words), prog_name="sesq")
    lines = (Text.from_ansi(line).plain.rstrip() for line in screen.getvalue().splitlines())
    return [line for line in lines if line.strip("─ ")]
