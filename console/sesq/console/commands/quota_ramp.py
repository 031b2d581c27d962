"""`sesq quota ramp`: a cap on the day that grows by itself."""

from __future__ import annotations

from typing import Annotated

import typer
from redis import Redis

from sesq.config.errors import InputError
from sesq.console.commands.of_tenant import OfTenant, checked_tenant
from sesq.console.context import DEFAULT_ACCOUNT, Account, Json, asker, open_account
from sesq.console.output import print_json, show
from sesq.console.ramp_view import ramp_as_json, sentences_of
from sesq.console.tables import printable, table
from sesq.console.times import local, parse_duration
from sesq.queue.ramp import start_ramp, stop_ramp
from sesq.queue.reputation import Reputation
from sesq.queue.tenant_limits import TenantLimits
from sesq.queue.usage import Ramp, read_usage

RAMP_EXAMPLES = """Examples

  sesq quota ramp --from 200 --to 50000 --over 14d
  sesq quota ramp
  sesq quota ramp --stop
  sesq quota ramp --tenant acme --from 200 --to 5000 --over 10d
"""
NO_EVENTS = (
    "No events of SES have come in a week: without them sesq knows of no bounces, and the ramp does not stand still. "
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
    stop: Annotated[bool, typer.Option("--stop", help="Remove the ramp.")] = False,
    tenant: OfTenant = None,
    account: Account = DEFAULT_ACCOUNT,
    json: Json = False,
) -> None:
    """Start a daily limit that grows by itself, and stands still while too much bounces; without options, show it."""
    given = [value is not None for value in (first, last, over)]
    if stop and any(given):
        raise InputError("--stop ends the ramp: leave out --from, --to and --over")
    redis, whose = open_account(account), checked_tenant(tenant)
    if first is not None and last is not None and over is not None:
        seconds = parse_duration(over, "--over")
        start_ramp(redis, account, first, last, seconds, by=asker(), tenant=whose)
    elif any(given):
        raise InputError("a ramp needs --from, --to and --over, as in --from 200 --to 50000 --over 14d")
    elif stop and not stop_ramp(redis, account, by=asker(), tenant=whose) and not json:
        typer.echo(f"{_named(account, whose)}: there was no ramp")
        return
    _tell(redis, account, whose, json)


def _named(account: str, tenant: str) -> str:
    return f"account {account}, tenant {tenant}" if tenant else f"account {account}"


def _tell(redis: Redis, account: str, tenant: str, json: bool) -> None:
    usage, ramp, ceiling = read_usage(redis, account), None, None
    if tenant:
        limit = TenantLimits(redis, account).of(tenant)
        ramp, ceiling = limit.ramp, limit.daily
    else:
        ramp, ceiling = usage.ramp, usage.ceiling
    if json:
        print_json(ramp_as_json(ramp))
    elif ramp is None:
        typer.echo(f"{_named(account, tenant)}: no ramp")
    else:
        _tell_steps(ramp, ceiling, usage.now)
        if not Reputation(redis, account).read().sent:
            typer.echo(NO_EVENTS)


def _tell_steps(ramp: Ramp, ceiling: float | None, now: float) -> None:
    if ramp.steps:
        rows = [("now", f"{ramp.cap:,}"), *((local(at, now), f"{cap:,}") for at, cap in ramp.steps)]
        show(table(("from", "recipients in 24 hours"), rows))
    for sentence in sentences_of(ramp, ceiling, now):
        typer.echo(printable(sentence))
