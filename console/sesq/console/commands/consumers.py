"""`sesq events consumers` and `forget`: the programs that are told what becomes of messages."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from sesq.config.errors import InputError
from sesq.console.context import DEFAULT_ACCOUNT, Account, Json, note, open_account
from sesq.console.output import print_json, show
from sesq.console.tables import table
from sesq.console.times import local_cell, utc
from sesq.queue.consumers import consumers as read_consumers
from sesq.queue.events import forget as end_listening
from sesq.queue.snapshot import redis_now

CONSUMERS_EXAMPLES = """Examples

  sesq events consumers --json
"""
FORGET_EXAMPLES = """Examples

  sesq events forget crm
"""


def consumers(account: Account = DEFAULT_ACCOUNT, json: Json = False) -> None:
    """Show which programs are told what becomes of messages, and how far each is."""
    redis = open_account(account)
    found = read_consumers(redis, account)
    if json:
        times = ("since", "waiting_since")
        print_json([asdict(each) | {name: utc(getattr(each, name)) for name in times} for each in found])
        return
    now = redis_now(redis)
    rows = [
        (
            each.name,
            local_cell(each.since, now),
            local_cell(each.waiting_since, now),
            "yes" if each.has_reader else "no",
        )
        for each in found
    ]
    columns = ("consumer", "listens since", "waits since", "is read")
    show(table(columns, rows) if rows else "nobody listens: `Outbox.events` begins to")


def forget(
    consumer: Annotated[str, typer.Argument(help="Its name: see `sesq events consumers`.")],
    account: Account = DEFAULT_ACCOUNT,
) -> None:
    """Stop keeping events for a consumer that nobody needs any more. The events that it has not read are lost."""
    redis = open_account(account)
    if not end_listening(redis, account, consumer):
        raise InputError(f"nobody listens as {consumer}: `sesq events consumers` lists those who do")
    note(redis, account, f"forget consumer {consumer}")
    typer.echo(f"{consumer} gets no more events")
