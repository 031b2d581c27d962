"""`sesq doctor`: is everything there that sending needs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

import typer

from sesq.config.addresses import parse_address
from sesq.config.errors import MissingPart, QueueUnavailable
from sesq.config.settings import Settings
from sesq.console.checkup import CURE, Check, Status, check_account, check_queue, check_redis, check_strangers
from sesq.console.context import DEFAULT_ACCOUNT, Account, Json, load_settings, open_redis
from sesq.console.output import print_json, show, table

EXAMPLES = """Examples

  sesq doctor
  sesq doctor --from shop@example.com
  sesq doctor --json | jq '.[] | select(.status == "fail")'
"""

app = typer.Typer(add_completion=False)


@app.command(epilog=EXAMPLES)
def doctor(
    sender: Annotated[
        str | None, typer.Option("--from", metavar="ADDRESS", help="Whether this one may send.")
    ] = None,
    account: Account = DEFAULT_ACCOUNT,
    json: Json = False,
) -> None:
    """Check all that sending needs, and name the cure of what is wrong.

    Sends nothing. Exit 1 when anything fails.
    """
    if sender is not None:
        parse_address(sender, "--from")
    settings = load_settings()
    settings.account(account)
    checks = list(examine(settings, account, sender))
    if json:
        print_json([{"name": c.name, "status": c.status, "detail": c.detail, "cure": c.cure} for c in checks])
    else:
        show(table(("check", "", "found", "cure"), [(c.name, c.status, c.detail, c.cure) for c in checks]))
    if any(check.status is Status.FAIL for check in checks):
        raise typer.Exit(1)


def examine(settings: Settings, account: str, sender: str | None) -> Iterator[Check]:
    """Redis first: without it there is nothing else to look at."""
    try:
        redis = open_redis(settings)
    except (MissingPart, QueueUnavailable) as error:
        yield Check("redis", Status.FAIL, str(error), "set SESQ_REDIS_URL, or install redis-server")
        return
    try:
        embedded_in = None if settings.redis_url else settings.data_dir / "redis"
        of_redis = list(check_redis(redis, embedded_in))
        yield from of_redis
        if of_redis[0].status is Status.OK:
            yield from check_account(redis, account, settings, sender)
            yield from check_queue(redis, account)
            yield from check_strangers(redis, settings.accounts)
    except QueueUnavailable as error:  # it answers, and does not do what is asked
        yield Check("redis", Status.FAIL, str(error), CURE)
