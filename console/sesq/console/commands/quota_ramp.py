"""`sesq quota ramp`: a cap on the day that grows by itself."""

from __future__ import annotations

from typing import Annotated

import typer
from redis import Redis

from sesq.config.errors import InputError
from sesq.console.context import DEFAULT_ACCOUNT, Account, Json, asker, open_account
from sesq.console.output import print_json, printable, show, table
from sesq.console.ramp_view import ramp_as_json, ramp_sentences
from sesq.console.times import local, parse_duration
from sesq.queue.ramp import start_ramp, stop_ramp
from sesq.queue.reputation import Reputation
from sesq.queue.usage import Usage, read_usage

RAMP_EXAMPLES = """Examples

  sesq quota ramp --from 200 --to 50000 --over 14d
  sesq quota ramp
  sesq quota ramp --stop
"""
NO_EVENTS = (
    "No events of SES have come in a week: without them nobody knows of bounces, and it does not stand still. "
    "`sesq events setup` and `sesq events` read them."
)


def ramp(
    first: Annotated[
        str | None, typer.Option("--from", metavar="N", help="Recipients in 24 hours on the first day.")
    ] = None,
    last: Annotated[
        str | None, typer.Option("--to", metavar="N", help="Recipients in 24 hours at its end.")
    ] = None,
    over: Annotated[
        str | None,
        typer.Option("--over", metavar="TIME", help="Whole days, such as 14d: it grows once a day."),
    ] = None,
    stop: Annotated[bool, typer.Option("--stop", help="Take the ramp away.")] = False,
    account: Account = DEFAULT_ACCOUNT,
    json: Json = False,
) -> None:
    """Let the day grow by itself, and stand still while too much bounces; without options, show the ramp."""
    given = [value is not None for value in (first, last, over)]
    if stop and any(given):
        raise InputError("--stop: takes the ramp away, so it goes with no --from, --to or --over")
    redis = open_account(account)
    if first is not None and last is not None and over is not None:
        start_ramp(redis, account, first, last, parse_duration(over, "--over"), by=asker())
    elif any(given):
        raise InputError("a ramp needs --from, --to and --over, as in --from 200 --to 50000 --over 14d")
    elif stop and not stop_ramp(redis, account, by=asker()) and not json:
        typer.echo(f"account {account}: there was no ramp")
        return
    _tell(redis, account, json)


def _tell(redis: Redis, account: str, json: bool) -> None:
    usage = read_usage(redis, account)
    if json:
        print_json(ramp_as_json(usage.ramp))
    elif usage.ramp is None:
        typer.echo(f"account {account}: no ramp")
    else:
        _tell_steps(usage)
        if not Reputation(redis, account).read().sent:
            typer.echo(NO_EVENTS)


def _tell_steps(usage: Usage) -> None:
    ramp = usage.ramp
    if ramp is not None and ramp.steps:
        now = ("now", f"{ramp.cap:,}")
        rows = [now, *((local(at, usage.now), f"{cap:,}") for at, cap in ramp.steps)]
        show(table(("from", "recipients in 24 hours"), rows))
    for sentence in ramp_sentences(usage):
        typer.echo(printable(sentence))
