"""`sesq quota request`: asks AWS for larger sending quotas."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from sesq.config.errors import InputError
from sesq.config.parts import part
from sesq.config.quotas import format_daily, format_rate, parse_daily, parse_rate
from sesq.console.audit import change_in
from sesq.console.consent import Yes, agree
from sesq.console.context import DEFAULT_ACCOUNT, Account, Json, load_settings, note, open_redis
from sesq.console.output import print_json, show
from sesq.console.tables import table

if TYPE_CHECKING:
    from sesq.worker.control import Quota

REQUEST_EXAMPLES = """Examples

  sesq quota request --rate 50/second --daily 500000/day
"""


def request(
    rate: Annotated[str | None, typer.Option(metavar="RATE", help="Recipients a second.")] = None,
    daily: Annotated[str | None, typer.Option(metavar="DAILY", help="Recipients in 24 hours.")] = None,
    yes: Yes = False,
    account: Account = DEFAULT_ACCOUNT,
    json: Json = False,
) -> None:
    """Ask AWS for larger quotas, through Service Quotas. The account must be out of the sandbox first."""
    wanted = _wanted(rate, daily)
    settings = load_settings()
    with part("worker"):
        from sesq.worker.aws_clients import open_client, open_control
        from sesq.worker.control import Access, QuotaRequests
    redis = open_redis(settings)
    access = Access.read(open_control(redis, account, settings))
    if not access.production:
        raise InputError(
            f"account {account} is in the sandbox, whose quotas are fixed: `sesq sandbox leave` first"
        )
    have = {"rate": access.rate, "daily": access.daily}
    _check_larger(wanted, have)
    rows = [(name, _shown(name, have[name]), _shown(name, value)) for name, value in wanted.items()]
    if not json:
        show(table(("quota", "now", "asked for"), rows))
    agree("Send this request to AWS?", yes)
    requests = QuotaRequests(open_client(account, settings).service("service-quotas"))
    asked: list[Quota] = []
    try:
        asked.extend(requests.ask(name, value) for name, value in wanted.items())
    finally:
        for quota in asked:
            sides = (_shown(quota.name, value) for value in (have[quota.name], quota.wanted))
            note(redis, account, "ask AWS for a larger quota", change_in(quota.name, *sides))
        _tell(asked, json)  # prints what AWS has taken, also if it refuses the next one


def _tell(asked: list[Quota], json: bool) -> None:
    if json:
        print_json([asdict(quota) for quota in asked])
        return
    for quota in asked:
        case = f", support case {quota.case_id}" if quota.case_id else ""
        typer.echo(f"{quota.name}: {quota.status.lower() or 'asked'}{case}")


def _wanted(rate: str | None, daily: str | None) -> dict[str, float]:
    wanted = {}
    if rate is not None:
        wanted["rate"] = parse_rate(rate)
    if daily is not None:
        number = parse_daily(daily)
        if number is None:
            raise InputError("--daily: AWS wants a number of recipients, not unlimited")
        wanted["daily"] = number
    if not wanted:
        raise InputError("give --rate, --daily or both")
    return wanted


def _check_larger(wanted: dict[str, float], have: dict[str, float]) -> None:
    for name, value in wanted.items():
        if have[name] < 0 or value <= have[name]:
            raise InputError(f"--{name}: the account has {_shown(name, have[name])} already")


def _shown(name: str, value: float) -> str:
    return format_rate(value) if name == "rate" else format_daily(value)
