"""`sesq quota`: shows the limits in force, and changes them while the queue runs."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from redis import Redis

from sesq.config.parts import part
from sesq.console.commands.of_tenant import OfTenant, checked_tenant, print_tenants, refuse_with_tenant
from sesq.console.commands.quota_ramp import RAMP_EXAMPLES, ramp
from sesq.console.commands.quota_request import REQUEST_EXAMPLES, request
from sesq.console.context import (
    DEFAULT_ACCOUNT,
    Account,
    Json,
    Wide,
    asker,
    load_settings,
    note,
    open_account,
)
from sesq.console.limits import (
    before_change,
    change_as_json,
    changed,
    conditions_of,
    quota_as_json,
    read_limits,
    written,
)
from sesq.console.output import print_json, show
from sesq.console.tables import printable, table, wrapped
from sesq.console.times import local, local_cell, parse_duration
from sesq.queue.limit_values import LIMITS
from sesq.queue.policy import Policy
from sesq.queue.snapshot import read_snapshot, redis_now
from sesq.queue.tenant_limits import TenantLimits
from sesq.queue.usage import read_usage
from sesq.queue.windows import read_window

SHOW_EXAMPLES = """Examples

  sesq quota show
  sesq quota show --json | jq .rate.value
  sesq quota show --tenants
"""
SET_EXAMPLES = """Examples

  sesq quota set --rate 10/second --daily 40000/day
  sesq quota set --rate "1 per 2 seconds" --for 2h
  sesq quota set --reserve 10% --margin 0.05
  sesq quota set --tenant acme --rate 5/second --daily 2000/day
"""
RESET_EXAMPLES = """Examples

  sesq quota reset
  sesq quota reset rate burst
  sesq quota reset --tenant acme
"""
SYNC_EXAMPLES = """Examples

  sesq quota sync
  sesq quota sync --account shop --json
"""
HISTORY_EXAMPLES = """Examples

  sesq quota history
  sesq quota history --limit 500 --json
"""
PAUSE_EXAMPLES = """Examples

  sesq quota pause "bounces are high"
  sesq quota resume
  sesq quota pause --bulk "complaints"
  sesq quota pause --tenant acme "a look at its list"
"""

Bulk = Annotated[bool, typer.Option("--bulk", help="Bulk mail only.")]
app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="Show and change the limits.\n\nA change holds from the next claim on, in every worker.",
)


@app.command("show", epilog=SHOW_EXAMPLES)
def show_(
    tenants: Annotated[
        bool, typer.Option("--tenants", help="The tenants: limits, what SES says, bounces.")
    ] = False,
    wide: Wide = False,
    account: Account = DEFAULT_ACCOUNT,
    json: Json = False,
) -> None:
    """Show each limit: what is in force, where that comes from, what SES allows."""
    redis = open_account(account)
    if tenants:
        print_tenants(redis, account, json=json, wide=wide)
    else:
        _print(redis, account, json)


@app.command("set", epilog=SET_EXAMPLES)
def set_(
    rate: Annotated[
        str | None,
        typer.Option(metavar="RATE", help='Recipients a second: "14/second", "1 per 2 seconds", 0.5.'),
    ] = None,
    daily: Annotated[
        str | None,
        typer.Option(metavar="DAILY", help='Recipients in 24 hours: "50000/day", 200, "unlimited".'),
    ] = None,
    burst: Annotated[str | None, typer.Option(metavar="N", help="Recipients at once, after a pause.")] = None,
    margin: Annotated[
        str | None, typer.Option(metavar="SHARE", help="Share of the rate left unused, 0 to 0.5.")
    ] = None,
    reserve: Annotated[
        str | None,
        typer.Option(metavar="N|N%", help="The part of the day that is kept for transactional mail."),
    ] = None,
    for_: Annotated[
        str | None, typer.Option("--for", metavar="TIME", help="Only for this time: 90s, 10m, 2h, 1d12h.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Allow more than SES allows.")] = False,
    tenant: OfTenant = None,
    account: Account = DEFAULT_ACCOUNT,
    json: Json = False,
) -> None:
    """Change limits; they hold until `sesq quota reset`. The smaller of SES's limit and yours counts."""
    given = {"rate": rate, "daily": daily, "burst": burst, "margin": margin, "reserve": reserve}
    changes = {name: value for name, value in given.items() if value is not None}
    seconds = parse_duration(for_, "--for") if for_ else None
    redis = open_account(account)
    if tenant:
        refuse_with_tenant({"--for": for_, "--force": force})
        TenantLimits(redis, account).set(checked_tenant(tenant), changes, by=asker())
        print_tenants(redis, account, json=json)
        return
    Policy(redis, account).set(changes, by=asker(), for_seconds=seconds, force=force)
    _print(redis, account, json)


@app.command(epilog=RESET_EXAMPLES)
def reset(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[LIMIT...]", help=f"{', '.join(LIMITS)}; all if none is given."),
    ] = None,
    tenant: OfTenant = None,
    account: Account = DEFAULT_ACCOUNT,
    json: Json = False,
) -> None:
    """Forget what was set: back to sesq.toml, or to what SES allows. A ramp and a pause stay.

    With --tenant: the tenant is not limited any more.
    """
    redis = open_account(account)
    if tenant:
        TenantLimits(redis, account).reset(checked_tenant(tenant), names or None, by=asker())
        print_tenants(redis, account, json=json)
        return
    Policy(redis, account).reset(names or None, by=asker())
    _print(redis, account, json)


@app.command(epilog=SYNC_EXAMPLES)
def sync(account: Account = DEFAULT_ACCOUNT, json: Json = False) -> None:
    """Read the account at SES now, as workers do every `sync_seconds`, and free the held messages that may go now."""
    settings = load_settings()
    with part("worker"):
        from sesq.worker import opening
    redis = open_account(account, settings)
    opening.open_account(redis, account, settings).sync.run()
    note(redis, account, "sync")
    snapshot = read_snapshot(redis, account)
    if not json:
        sent = "" if snapshot.sent is None else f", {snapshot.sent:,.10g} sent in 24 hours"
        typer.echo(f"account {account}: {snapshot.mode}{sent}")
    _print(redis, account, json)


@app.command(epilog=HISTORY_EXAMPLES)
def history(
    limit: Annotated[int, typer.Option(min=1, help="At most this number of changes.")] = 50,
    account: Account = DEFAULT_ACCOUNT,
    json: Json = False,
) -> None:
    """Show who changed what, when, and from which value to which; the newest first."""
    redis = open_account(account)
    entries = Policy(redis, account).history(limit)
    if json:
        print_json([change_as_json(entry) for entry in entries])
        return
    now = redis_now(redis)
    rows = [(local_cell(entry["at"], now), entry["by"], *_change(entry, now)) for entry in entries]
    show(wrapped(("at", "by", "what", "until"), rows) if rows else "no changes")


def _change(entry: dict[str, Any], now: float) -> tuple[str, str]:
    old, new = before_change(entry), entry.get("new")
    if new is None:
        return f"reset {', '.join(old)}", ""
    words = [
        f"{name}: {changed(name, old.get(name))} -> {changed(name, value)}" for name, value in new.items()
    ]
    whose = f"tenant {entry['tenant']}: " if entry.get("tenant") else ""
    forced = " (forced)" if entry.get("force") else ""
    return f"{whose}{'; '.join(words)}{forced}", local(entry.get("until"), now)


@app.command(epilog=PAUSE_EXAMPLES)
def pause(
    reason: Annotated[
        str, typer.Argument(metavar="[REASON]", help="The reason, which is shown with the pause.")
    ] = "",
    bulk: Bulk = False,
    tenant: OfTenant = None,
    account: Account = DEFAULT_ACCOUNT,
) -> None:
    """Let nothing go, from the next claim on, until somebody resumes. With --tenant: no bulk mail of that tenant."""
    if tenant:
        TenantLimits(open_account(account), account).pause(checked_tenant(tenant), reason, by=asker())
        typer.echo(f"account {account}: bulk mail of tenant {tenant} paused")
        return
    Policy(open_account(account), account).pause(reason, by=asker(), bulk_only=bulk)
    typer.echo(f"account {account}: {'bulk mail ' if bulk else ''}paused")


@app.command(epilog=PAUSE_EXAMPLES)
def resume(bulk: Bulk = False, tenant: OfTenant = None, account: Account = DEFAULT_ACCOUNT) -> None:
    """End a pause: that of the account, with --bulk that of bulk mail, with --tenant that of a tenant's bulk mail."""
    if tenant:
        TenantLimits(open_account(account), account).resume(checked_tenant(tenant), by=asker())
        typer.echo(f"account {account}: bulk mail of tenant {tenant} open")
        return
    policy = Policy(open_account(account), account)
    policy.resume(by=asker(), bulk_only=bulk)
    typer.echo(f"account {account}: {'bulk mail ' if bulk else ''}open")
    if policy.bulk_paused:
        typer.echo(f"bulk mail is still paused: {policy.bulk_paused}; `sesq quota resume --bulk` ends that")
    elif policy.paused:
        typer.echo(f"the account is still paused: {policy.paused}; `sesq quota resume` ends that")


app.command(epilog=RAMP_EXAMPLES)(ramp)
app.command(epilog=REQUEST_EXAMPLES)(request)


def _print(redis: Redis, account: str, json: bool) -> None:
    if json:
        print_json(quota_as_json(redis, account))
        return
    limits, usage = read_limits(redis, account), read_usage(redis, account)
    now = usage.now
    rows = [
        (
            name,
            written(name, limit.value),
            f"{limit.origin} (forced)" if limit.forced else limit.origin,
            "" if limit.asked is None else written(name, limit.asked),
            "" if limit.ses is None else written(name, limit.ses),
            local_cell(limit.until, now),
        )
        for name, limit in limits.items()
    ]
    show(table(("limit", "in force", "from", "set to", "SES allows", "until"), rows))
    window = read_window(redis, account)
    if window:
        show(f"Bulk mail goes {window}.")
    for condition in conditions_of(redis, account, usage):
        typer.echo(printable(condition.words))
