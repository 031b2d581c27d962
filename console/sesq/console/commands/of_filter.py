"""The filter for messages at the command line, and what the commands share that change all messages that match it."""

from __future__ import annotations

import inspect
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from typing import Annotated, Any, TypeVar, get_type_hints

import typer
from redis import Redis

from sesq.config.errors import InputError
from sesq.config.numbers import number_of
from sesq.console import many
from sesq.console.act import BECOMES, Act
from sesq.console.acts import Acts
from sesq.console.batch_options import is_agreed
from sesq.console.context import asker
from sesq.console.output import complain
from sesq.console.progress import progress_of
from sesq.console.streams import INTERRUPTED, typed
from sesq.console.times import parse_duration, parse_past
from sesq.console.web.search import Query, bare_message_id
from sesq.queue.messages import Messages
from sesq.queue.snapshot import redis_now
from sesq.queue.states import State


@dataclass(frozen=True, slots=True)
class Filter:
    """The options of a filter; `takes` gives them to a command."""

    state: Annotated[
        list[State] | None, typer.Option(help="Only in this state; may be given several times.")
    ] = None
    to: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="To this recipient; a part is enough.")
    ] = None
    tag: Annotated[str | None, typer.Option(metavar="NAME[=VALUE]", help="With this tag.")] = None
    subject: Annotated[
        str | None, typer.Option(metavar="WORDS", help="With all these words in the subject.")
    ] = None
    message_id: Annotated[
        str | None, typer.Option(metavar="ID", help="With this MessageId of SES; its beginning is enough.")
    ] = None
    since: Annotated[
        str | None,
        typer.Option(
            metavar="TIME", help="In its state since this time, or since later: 2h (ago), or ISO 8601."
        ),
    ] = None
    until: Annotated[
        str | None, typer.Option(metavar="TIME", help="In its state since this time, or since earlier.")
    ] = None

    def query(self, now: float) -> Query:
        """Returns the search for it. Raises InputError, which names the option."""
        return Query(
            states=tuple(self.state or ()),
            to=typed(self.to or ""),
            tag=typed(self.tag or ""),
            subject=typed(self.subject or ""),
            message_id=bare_message_id(self.message_id or ""),
            since=None if self.since is None else parse_past(self.since, "--since", now),
            until=None if self.until is None else parse_past(self.until, "--until", now),
        )


@dataclass(frozen=True, slots=True)
class FilterOfAct(Filter):
    """The options of a filter for all messages that an act changes."""

    older: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="In its state for at least this time: 90s, 2h, 1d."),
    ] = None

    def query(self, now: float) -> Query:
        """Returns the search for it. Raises InputError, which names the option."""
        query = Filter.query(self, now)
        if self.older is None:
            return query
        until = now - parse_duration(self.older, "--older")
        return replace(query, until=until if query.until is None else min(until, query.until))

    def is_chosen(self, ids: Sequence[str] | None, command: str) -> bool:
        """Whether a filter was given, and no ids. Raises InputError for both, and for neither."""
        some = any(getattr(self, each.name) for each in fields(self))
        if bool(ids) == some:
            such = "--waiting-for or --state" if command == "release" else "--state or --older"
            raise InputError(f"{command}: give ids, or a filter such as {such}")
        return some


@dataclass(frozen=True, slots=True)
class FilterOfRelease(FilterOfAct):
    """The same for held messages."""

    waiting_for: Annotated[
        str | None,
        typer.Option(metavar="WHAT", help="All that wait for this, as `sesq status --json` names it."),
    ] = None

    def query(self, now: float) -> Query:
        """Returns the search for it. Raises InputError, which names the option."""
        return replace(FilterOfAct.query(self, now), waiting=typed(self.waiting_for or ""))


Command = TypeVar("Command", bound=Callable[..., None])


def takes(kind: type[Filter], *, without: Sequence[str] = ()) -> Callable[[Command], Command]:
    """Gives a command the options of a filter, in the place of its parameter `chosen`."""
    hints = get_type_hints(kind, include_extras=True)
    names = [each.name for each in fields(kind) if each.name not in without]
    options = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=hints[name])
        for name in names
    ]

    def decorate(command: Command) -> Command:
        def call(**given: Any) -> None:
            command(chosen=kind(**{name: given.pop(name) for name in names}), **given)

        own = inspect.signature(command, eval_str=True).parameters.values()
        parameters = [
            option
            for each in own
            for option in (options if each.name == "chosen" else [each.replace(kind=each.KEYWORD_ONLY)])
        ]
        call.__name__, call.__doc__ = command.__name__, command.__doc__
        call.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        call.__annotations__ = {each.name: each.annotation for each in parameters}
        return call  # type: ignore[return-value]

    return decorate


def do_to_all(redis: Redis, account: str, verb: str, chosen: FilterOfAct, *, yes: bool) -> None:
    """Asks with the number, acts with a progress bar, and prints how many were changed; exit 1 if some were not."""
    query = chosen.query(redis_now(redis))
    if query.waiting:
        many.require_waited_for(Messages(redis, account), query.waiting)
    act = many.ask(redis, account, verb, query)
    if (
        act.number
        and not yes
        and not is_agreed(f"{verb.capitalize()}: {number_of(act.number, 'message')} {act.words}?")
    ):
        complain("nothing was done")
        raise typer.Exit(1)
    begun = act
    if act.number or act.frees:
        begun = many.begin(redis, account, act, asker())
        act = _done(redis, account, begun)
    typer.echo(f"{act.done} {BECOMES[verb]}")
    for reason in act.reasons:
        complain(reason)
    if act.refused:
        complain(f"{act.refused} of {act.number} could not be changed")
        raise typer.Exit(1)
    if act.stopped_by or act.run != begun.run:
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
