"""`sesq suppression`: shows and changes who gets no mail any more."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sesq.config.errors import InputError
from sesq.config.numbers import number_of
from sesq.config.parts import part
from sesq.console.address_file import Line, file_name, read_address_file
from sesq.console.audit import suppression_change
from sesq.console.context import (
    DEFAULT_ACCOUNT,
    Account,
    EmailColumn,
    Encoding,
    Json,
    Wide,
    asker,
    load_settings,
    note,
    open_account,
)
from sesq.console.csv_output import csv_line, plain
from sesq.console.output import complain, print_json, show
from sesq.console.tables import Column, table
from sesq.console.times import local_cell, parse_moment, utc
from sesq.queue.addresses import parse_address
from sesq.queue.snapshot import read_snapshot, redis_now
from sesq.queue.suppression import REASONS, Suppressed, SuppressionList

if TYPE_CHECKING:
    from redis import Redis

    from sesq.worker.suppression import SesSuppression

LIST_EXAMPLES = """Examples

  sesq suppression list
  sesq suppression list ada@example.org --json
"""
ADD_EXAMPLES = """Examples

  sesq suppression add ada@example.org --reason complaint
"""
REMOVE_EXAMPLES = """Examples

  sesq suppression remove ada@example.org
"""
IMPORT_EXAMPLES = """Examples

  sesq suppression import list.csv
  sesq suppression import --from-ses
"""
EXPORT_EXAMPLES = """Examples

  sesq suppression export > list.csv
"""
COLUMNS = ("email", "reason", "at", "source")
SHOWN = (
    Column("address", cut=True, least=30),
    "reason",
    Column("since", worth=2),
    Column("by", worth=1, cut=True),
)

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="Show and change who gets no mail.\n\nMail to them is not sent, and costs no quota.",
)
Addresses = Annotated[list[str], typer.Argument(metavar="ADDRESS...")]
Local = Annotated[bool, typer.Option("--local", help="Only here, not at SES.")]


@app.command("list", epilog=LIST_EXAMPLES)
def list_(
    address: Annotated[
        list[str] | None, typer.Argument(metavar="[ADDRESS...]", help="Only these; all if none is given.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most this number of addresses.")] = 1000,
    wide: Wide = False,
    account: Account = DEFAULT_ACCOUNT,
    json: Json = False,
) -> None:
    """List who gets no mail, and why; the newest first."""
    redis = open_account(account)
    ours = SuppressionList(redis, account)
    entries = ours.among(_specs(address)).values() if address else ours
    found = sorted(entries, key=lambda entry: -entry.at)[:limit]
    if json:
        print_json([_as_json(entry) for entry in found])
        return
    now = redis_now(redis)
    rows = [(entry.address, entry.reason, local_cell(entry.at, now), entry.source) for entry in found]
    show(table(SHOWN, rows, wide=wide) if rows else "nobody is suppressed")


@app.command(epilog=ADD_EXAMPLES)
def add(
    addresses: Addresses,
    reason: Annotated[str, typer.Option(metavar="WHY", help=f"{', '.join(REASONS)}.")] = "manual",
    local_only: Local = False,
    account: Account = DEFAULT_ACCOUNT,
) -> None:
    """Let addresses get no mail any more, here and on SES's own list, if the account may change that."""
    if reason not in REASONS:
        raise InputError(f"--reason: {reason!r}; allowed: {', '.join(REASONS)}")
    specs, redis = _specs(addresses), open_account(account)
    at, by = redis_now(redis), asker()
    ours = SuppressionList(redis, account)
    before, entries = ours.among(specs), [Suppressed(spec, reason, at, by) for spec in specs]
    added = ours.add(entries)
    for entry in entries:
        was = before.get(entry.address)
        note(redis, account, f"suppress ({reason}) {entry.address}", suppression_change(was, was or entry))
    typer.echo(f"{added} added")
    if not local_only and (ses := _ses(redis, account)):
        _tell(ses.put(specs, reason))


@app.command(epilog=REMOVE_EXAMPLES)
def remove(addresses: Addresses, local_only: Local = False, account: Account = DEFAULT_ACCOUNT) -> None:
    """Let addresses get mail again. Exit 1 if none was on the list."""
    specs, redis = _specs(addresses), open_account(account)
    ours = SuppressionList(redis, account)
    before = ours.among(specs)
    removed = ours.remove(specs)
    for spec in specs:
        note(redis, account, f"no longer suppress {spec}", suppression_change(before.get(spec), None))
    typer.echo(f"{removed} removed")
    if not local_only and (ses := _ses(redis, account)):
        _tell(ses.delete(specs))
    if not removed:
        raise typer.Exit(1)


@app.command("import", epilog=IMPORT_EXAMPLES)
def import_(
    file: Annotated[
        str | None,
        typer.Argument(
            metavar="[FILE]", help="CSV as `export` writes it, or one address a line; - is stdin."
        ),
    ] = None,
    email_column: EmailColumn = None,
    encoding: Encoding = None,
    from_ses: Annotated[bool, typer.Option("--from-ses", help="Import SES's own list, and no file.")] = False,
    account: Account = DEFAULT_ACCOUNT,
) -> None:
    """Add the addresses of a file, or of SES's own list, to this one."""
    if bool(file) == from_ses:
        raise InputError("import: give FILE, or --from-ses")
    redis = open_account(account)
    if file is None:
        ses = _ses(redis, account, needed=True)
        added = ses.pull() if ses else 0
        note(redis, account, f"suppress {number_of(added, 'address', 'addresses')} of SES's own list")
        typer.echo(f"{added} added")
        return
    lines = read_address_file(file, email_column, encoding)
    entries = list(_read(lines, file, redis_now(redis), asker()))
    added = SuppressionList(redis, account).add(entries)
    note(
        redis, account, f"suppress {number_of(added, 'address', 'addresses')} of {Path(file_name(file)).name}"
    )
    typer.echo(f"{added} added, {len(entries)} read")


@app.command(epilog=EXPORT_EXAMPLES)
def export(account: Account = DEFAULT_ACCOUNT, json: Json = False) -> None:
    """Write the whole list as CSV to stdout."""
    entries = SuppressionList(open_account(account), account)
    if json:
        print_json([_as_json(entry) for entry in entries])
        return
    sys.stdout.write(csv_line(COLUMNS))
    sys.stdout.writelines(csv_line((e.address, e.reason, utc(e.at), e.source)) for e in entries)


def _as_json(entry: Suppressed) -> dict[str, object]:
    return {"email": entry.address, "reason": entry.reason, "at": utc(entry.at), "source": entry.source}


def _specs(addresses: Iterable[str]) -> list[str]:
    return [parse_address(each, "ADDRESS").spec for each in addresses]


def _read(lines: Iterable[Line], file: str, now: float, by: str) -> Iterator[Suppressed]:
    """Reads entries from lines. If a line does not say it, the reason is `manual`, the time is now, the source a user.

    Raises InputError, which names the line.
    """
    for line in lines:
        reason = line.cells.get("reason", "").lower() or "manual"
        if reason not in REASONS:
            raise InputError(f"{line.place}: reason {reason!r}; allowed: {', '.join(REASONS)}")
        spec = parse_address(plain(line.email), line.place).spec
        at = _at(line.cells.get("at", ""), f"{line.place}: at") or now
        yield Suppressed(spec, reason, at, line.cells.get("source") or f"{file_name(file)}, by {by}")


def _at(text: str, place: str) -> float | None:
    if text.startswith("+"):
        raise InputError(f"{place}: {text!r} is no time; allowed: ISO 8601 such as 2026-11-30T09:00")
    return parse_moment(text, place).timestamp() if text else None


def _ses(redis: Redis, account: str, *, needed: bool = False) -> SesSuppression | None:
    """Opens SES's list, if the account may change it: not in the sandbox. Raises MissingPart without boto3."""
    settings = load_settings()
    if not needed and not (account in settings.accounts and read_snapshot(redis, account).production):
        return None
    with part("worker"):
        from sesq.worker.aws_clients import open_control
        from sesq.worker.suppression import SesSuppression
    return SesSuppression(redis, account, open_control(redis, account, settings))


def _tell(problem: str) -> None:
    if problem:
        complain(f"SES's own list is as it was: {problem}")
