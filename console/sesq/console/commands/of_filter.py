"""What those commands of `sesq messages` share that can change all messages that match a filter."""

from __future__ import annotations

import math
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Annotated

import typer
from redis import Redis

from sesq.config.errors import InputError
from sesq.console import many
from sesq.console.act import BECOMES, Act, Acts
from sesq.console.batch_options import is_agreed
from sesq.console.context import asker
from sesq.console.output import complain
from sesq.console.progress import progress_of
from sesq.console.times import parse_duration
from sesq.console.web.search import Query
from sesq.queue.snapshot import redis_now
from sesq.queue.states import State

States = Annotated[
    list[State] | None,
    typer.Option("--state", help="Instead of ids: all in this state; may be given several times."),
]
To = Annotated[
    str | None, typer.Option(metavar="TEXT", help="Instead of ids: all with this in a recipient's address.")
]
Tag = Annotated[str | None, typer.Option(metavar="NAME[=VALUE]", help="Instead of ids: all with this tag.")]
Older = Annotated[
    str | None,
    typer.Option(metavar="TIME", help="Only those that have been in their state for at least: 90s, 2h, 1d."),
]
INTERRUPTED = 130


@dataclass(frozen=True, slots=True)
class Filter:
    """The filter that the options give."""

    state: Sequence[State] | None = None
    to: str | None = None
    tag: str | None = None
    older: str | None = None

    def is_chosen(self, ids: Sequence[str] | None, command: str) -> bool:
        """Whether a filter was given, and no ids. Raises InputError for both, and for neither."""
        some = any((self.state, self.to, self.tag, self.older))
        if bool(ids) == some:
            such = "--waiting-for or --state" if command == "release" else "--state or --older"
            raise InputError(f"{command}: give ids, or a filter such as {such}")
        return some


def do_to_all(redis: Redis, account: str, verb: str, chosen: Filter, *, yes: bool) -> None:
    """Asks with the number, acts with a progress bar, and prints how many were changed; exit 1 if some were not."""
    older = parse_duration(chosen.older, "--older") if chosen.older else 0.0
    query = Query(tuple(chosen.state or ()), chosen.to or "", chosen.tag or "")
    act = many.ask(redis, account, verb, query, at=redis_now(redis) - older, most=math.inf)
    act = replace(act, words=f"{act.words}, for {chosen.older} or longer") if older else act
    if act.number and not yes and not is_agreed(f"{verb.capitalize()}: {act.number:,} messages {act.words}?"):
        complain("nothing was done")
        raise typer.Exit(1)
    if act.number:
        act = _done(redis, account, many.begin(redis, account, act, asker()))
    typer.echo(f"{act.done} {BECOMES[verb]}")
    for reason in act.reasons:
        complain(reason)
    if act.refused:
        complain(f"{act.refused} of {act.number} could not be changed")
        raise typer.Exit(1)
    if act.left:
        complain(f"stopped after {act.done} of {act.number}; the same command continues with the others")
        raise typer.Exit(INTERRUPTED)


def _done(redis: Redis, account: str, act: Act) -> Act:
    """Does the act. Ctrl-C ends it after the current step, so that the number in the audit trail is right."""
    acts = Acts(redis, account)
    with progress_of(act.verb, act.number) as progress, _interrupts() as interrupts:

        def show(done: int) -> None:
            progress(done)
            if interrupts:
                acts.stop(act.id, act.by, redis_now(redis))

        return many.run(redis, account, act, show)


@contextmanager
def _interrupts() -> Iterator[list[int]]:
    """Collects the signals of Ctrl-C while the block runs."""
    found: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _frame: found.append(number))
    try:
        yield found
    finally:
        signal.signal(signal.SIGINT, before)
