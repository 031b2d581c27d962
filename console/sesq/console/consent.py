"""Before anything is asked of AWS in somebody's name: a clear yes. And waiting for what takes its time."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Annotated, TypeVar

import typer

from sesq.config.errors import InputError, SesqError
from sesq.console.times import parse_duration

T = TypeVar("T")

Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do it without asking.")]
Wait = Annotated[
    str | None, typer.Option("--wait", metavar="TIME", help="Follow it for so long: 90s, 10m, 2h, 1d.")
]


class Declined(SesqError):
    """Somebody said no."""


def agree(question: str, yes: bool) -> None:
    """Returns where the answer is yes. Raises Declined, and InputError where there is nobody to ask."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise InputError(
            f"{question} Nothing is done without a yes, and there is no terminal to ask at: add --yes"
        )
    if not typer.confirm(question, default=False, err=True):
        raise Declined("nothing was done")


def follow(
    look: Callable[[], T],
    done: Callable[[T], bool],
    wait: str | None,
    *,
    every: float,
    sleep: Callable[[float], None] | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> T:
    """What `look` shows in the end: when it is done, or when the time given to `--wait` is over."""
    until = clock() + (parse_duration(wait, "--wait") if wait else 0)
    while not done(seen := look()) and (left := until - clock()) > 0:
        (sleep or time.sleep)(min(every, left))
    return seen
