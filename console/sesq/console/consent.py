"""Asks for a yes before anything is asked of AWS in somebody's name, and follows what takes long."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Annotated, TypeVar

import typer

from sesq.config.errors import InputError, SesqError
from sesq.console.output import complain
from sesq.console.times import parse_duration

T = TypeVar("T")

Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do it without asking.")]
Wait = Annotated[
    str | None, typer.Option("--wait", metavar="TIME", help="Follow it for this time: 90s, 10m, 2h, 1d.")
]


class Declined(SesqError):
    """Somebody said no."""


def agree(question: str, yes: bool) -> None:
    """Asks, and returns if the answer is yes. Raises Declined, and InputError if there is nobody to ask."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise InputError(
            f"{question} Nothing is done without a yes, and there is no terminal to ask at: add --yes"
        )
    if not typer.confirm(question, default=False, err=True):
        raise Declined("nothing was done")


def seconds_of(wait: str | None) -> float:
    """Returns how long `--wait` is; 0 without one. It raises InputError, so call it before anything else is done."""
    return parse_duration(wait, "--wait") if wait else 0.0


def follow(look: Callable[[], T], done: Callable[[T], bool], seconds: float, *, every: float) -> T:
    """Calls `look` until it is done, or until so many seconds are over. Returns what the last call has returned.

    Problems are printed; only the last call raises them.
    """
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        try:
            if done(seen := look()):
                return seen
        except SesqError as error:
            complain(f"{error}; looking again")
        time.sleep(min(every, left))
    return look()
