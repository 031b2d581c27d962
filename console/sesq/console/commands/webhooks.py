"""`sesq webhooks`: tells your endpoints what becomes of messages, by signed HTTP requests."""

from __future__ import annotations

import logging
import signal
import threading
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

import typer

from sesq.config.errors import InputError
from sesq.config.parts import part
from sesq.config.webhook_settings import WebhookSettings
from sesq.console.audit import change_in
from sesq.console.context import (
    DEFAULT_ACCOUNT,
    Account,
    Json,
    Wide,
    asker,
    load_settings,
    note,
    open_account,
    open_redis,
    start_logging,
)
from sesq.console.output import complain, print_json, show
from sesq.console.tables import Column, table
from sesq.console.times import local_cell
from sesq.console.webhook_view import letter_as_json, read_webhooks, require_webhook
from sesq.queue.events import MessageEvent
from sesq.queue.events import forget as stop_listening
from sesq.queue.snapshot import redis_now
from sesq.queue.webhook_body import TEST
from sesq.queue.webhook_queue import MOST_DEAD
from sesq.queue.webhooks import WebhookStore

if TYPE_CHECKING:
    from redis import Redis

RUN_EXAMPLES = """Examples

  sesq webhooks run
  sesq webhooks run --account shop --account billing
"""
LIST_EXAMPLES = """Examples

  sesq webhooks list
  sesq webhooks list --json | jq '.[] | select(.state != "delivering")'
"""
TEST_EXAMPLES = """Examples

  sesq webhooks test app
"""
DEAD_EXAMPLES = """Examples

  sesq webhooks dead app --json
"""
RETRY_EXAMPLES = """Examples

  sesq webhooks retry app
  sesq webhooks retry app 1764512645123-0
"""
ENABLE_EXAMPLES = """Examples

  sesq webhooks enable app
"""
DISABLE_EXAMPLES = """Examples

  sesq webhooks disable app --reason "being moved"
"""
FORGET_EXAMPLES = """Examples

  sesq webhooks forget app
"""

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="Report to your endpoints what becomes of messages.\n\nThey stand in sesq.toml, as accounts.NAME.webhooks.X; "
    "`sesq webhooks run` delivers.",
)
Name = Annotated[str, typer.Argument(metavar="NAME", help="The name of the webhook in sesq.toml.")]


@app.command(epilog=RUN_EXAMPLES)
def run(
    account: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="An account in sesq.toml; several times; all if not given."),
    ] = None,
) -> None:
    """Deliver until Ctrl-C or SIGTERM; each webhook in a thread of its own.

    For each webhook one process at a time delivers; another one takes over within half a minute of its end.
    """
    settings = load_settings()
    accounts = account or sorted(settings.accounts)
    for each in accounts:
        settings.account(each)
    start_logging(settings)
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    with part("webhooks"):
        from sesq.worker.webhooks.runner import open_endpoints, run_endpoints
    endpoints = open_endpoints(open_redis(settings), settings, accounts, stop)
    if not endpoints:  # it goes on: if a Procfile starts it, its end would end the other processes
        logging.getLogger("sesq.webhooks").warning(
            "no webhook is configured, and there is nothing to do: see webhooks in sesq.example.toml"
        )
    run_endpoints(endpoints, stop)


@app.command("list", epilog=LIST_EXAMPLES)
def list_(wide: Wide = False, account: Account = DEFAULT_ACCOUNT, json: Json = False) -> None:
    """List the webhooks, with what was delivered, what waits, and what was given up."""
    redis, configured = _opened(account)
    views = read_webhooks(redis, account, configured)
    if json:
        print_json([view.as_json() for view in views])
        return
    now = redis_now(redis)
    columns = (
        "webhook",
        "state",
        Column("since", worth=4),
        Column("delivered", worth=5),
        Column("waits", worth=6),
        Column("given up", worth=7),
        Column("last ok", worth=3),
        Column("why", worth=8, cut=True),
        Column("url", worth=2, cut=True),
    )
    rows = [
        (
            view.name,
            view.state,
            local_cell(view.health.disabled_at or view.health.failing_since, now),
            f"{view.health.delivered:,}",
            f"{view.health.waiting:,}",
            f"{view.health.dead:,}",
            local_cell(view.health.last_ok, now),
            view.why,
            view.url,
        )
        for view in views
    ]
    show(table(columns, rows, wide=wide) if rows else "no webhook is configured")


@app.command("test", epilog=TEST_EXAMPLES)
def send_test(name: Name, account: Account = DEFAULT_ACCOUNT, json: Json = False) -> None:
    """Send an event of the type "test" now, signed like all events. Exit 1 if the endpoint does not take it."""
    settings = load_settings()
    webhook = settings.account(account).webhooks.get(name)
    if webhook is None:
        known = ", ".join(sorted(settings.account(account).webhooks)) or "none"
        raise InputError(f"webhook {name!r:.80} is not configured in account {account}; known: {known}")
    with part("webhooks"):
        from sesq.worker.webhooks.addresses import NotReached
        from sesq.worker.webhooks.retrying import Verdict, judge
        from sesq.worker.webhooks.sender import Sender
    sender, started = Sender(webhook), time.time()
    event = MessageEvent(id=f"{TEST}-{round(started * 1000)}", account=account, at=started, type=TEST)
    try:
        answer = sender.post(event)
        status, taken = answer.status, judge(answer, started).verdict is Verdict.DELIVERED
        said = f"it answered {status}"
    except NotReached as error:
        status, taken, said = None, False, str(error)
    finally:
        sender.close()
    seconds = round(time.time() - started, 3)
    if json:
        print_json({"event": event.id, "delivered": taken, "status": status, "why": said, "seconds": seconds})
    elif taken:
        typer.echo(f"{said}, after {seconds:g} s")
    else:
        complain(f"webhook {name}: {said}, after {seconds:g} s")
    if not taken:
        raise typer.Exit(1)


@app.command(epilog=DEAD_EXAMPLES)
def dead(
    name: Name,
    limit: Annotated[int, typer.Option(min=1, max=MOST_DEAD, help="At most this number of events.")] = 100,
    wide: Wide = False,
    account: Account = DEFAULT_ACCOUNT,
    json: Json = False,
) -> None:
    """Show the events that were tried for a day and given up; the newest first."""
    redis, configured = _opened(account)
    letters = require_webhook(redis, account, configured, name).dead_letters(limit)
    if json:
        print_json([letter_as_json(letter) for letter in letters])
        return
    now = redis_now(redis)
    rows = [
        (
            letter.event.id,
            letter.event.message,
            letter.event.state or letter.event.type,
            local_cell(letter.event.at, now),
            local_cell(letter.at, now),
            letter.attempts,
            letter.why,
        )
        for letter in letters
    ]
    columns = (
        "event",
        Column("message", worth=3),
        "state",
        Column("at", worth=4),
        Column("given up", worth=2),
        Column("attempts", worth=1),
        Column("why", worth=5, cut=True),
    )
    show(table(columns, rows, wide=wide) if rows else "nothing was given up")


@app.command(epilog=RETRY_EXAMPLES)
def retry(
    name: Name,
    events: Annotated[
        list[str] | None, typer.Argument(metavar="[EVENT...]", help="Only these; all if none is given.")
    ] = None,
    account: Account = DEFAULT_ACCOUNT,
    json: Json = False,
) -> None:
    """Deliver again the events that were given up. Exit 1 if there are none."""
    redis, configured = _opened(account)
    revived = require_webhook(redis, account, configured, name).revive(redis_now(redis), events or ())
    if revived:
        note(redis, account, f"webhook {name}: deliver {len(revived)} again")
    if json:
        print_json(revived)
    else:
        typer.echo(f"{len(revived)} are delivered again")
    unknown = sorted(set(events or ()) - set(revived))
    if unknown:
        complain(f"not among those that were given up: {', '.join(unknown)}")
    if unknown or not revived:
        raise typer.Exit(1)


@app.command(epilog=ENABLE_EXAMPLES)
def enable(name: Name, account: Account = DEFAULT_ACCOUNT) -> None:
    """Deliver to a disabled webhook again: first the events that wait, then those that came meanwhile."""
    redis, configured = _opened(account)
    was_disabled = require_webhook(redis, account, configured, name).enable(redis_now(redis))
    was = "disabled" if was_disabled else "enabled"
    note(redis, account, f"enable webhook {name}", change_in("webhook", was, "enabled"))
    typer.echo(f"{name} is enabled" if was_disabled else f"{name} was not disabled; what waits is tried now")


@app.command(epilog=DISABLE_EXAMPLES)
def disable(
    name: Name,
    reason: Annotated[str, typer.Option(help="Why, for those who look.")] = "",
    account: Account = DEFAULT_ACCOUNT,
) -> None:
    """Deliver nothing to a webhook until it is enabled; what happens meanwhile is kept, up to the stream's length."""
    redis, configured = _opened(account)
    store = require_webhook(redis, account, configured, name)
    because = f"by {asker()}: {reason}" if reason else f"by {asker()}"
    store.disable(because, redis_now(redis))
    note(redis, account, f"disable webhook {name}", change_in("webhook", "enabled", f"disabled {because}"))
    typer.echo(f"{name} is disabled")


@app.command(epilog=FORGET_EXAMPLES)
def forget(name: Name, account: Account = DEFAULT_ACCOUNT) -> None:
    """Delete what Redis keeps for a webhook that is no longer in sesq.toml, and stop keeping events for it."""
    redis, configured = _opened(account)
    if name in configured:
        raise InputError(
            f"webhook {name} is in sesq.toml, as accounts.{account}.webhooks.{name}: take it out first"
        )
    store = WebhookStore(redis, account, name)
    if store.health().is_running:
        raise InputError(f"webhook {name}: a process delivers for it; stop that one first")
    listened = stop_listening(redis, account, store.consumer)
    if not store.delete() and not listened:
        raise InputError(f"webhook {name!r:.80} is not known in account {account}")
    note(redis, account, f"forget webhook {name}")
    typer.echo(f"{name} is forgotten")


def _opened(account: str) -> tuple[Redis, Mapping[str, WebhookSettings]]:
    """Opens the queue's Redis. Returns it, and the webhooks that are configured for the account here."""
    settings = load_settings()
    redis = open_account(account, settings)
    return redis, settings.accounts[account].webhooks if account in settings.accounts else {}
