"""`sesq identities`: shows and verifies who may send, and in the sandbox receive."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from sesq.config.errors import InvalidMessage
from sesq.config.parts import part
from sesq.console.address_file import read_address_file
from sesq.console.consent import Wait, Yes, agree, follow, seconds_of
from sesq.console.context import (
    DEFAULT_ACCOUNT,
    Account,
    EmailColumn,
    Encoding,
    Json,
    Wide,
    load_settings,
    note,
    open_redis,
)
from sesq.console.output import complain, print_json, show
from sesq.console.tables import Column, table, wrapped
from sesq.queue.addresses import parse_address
from sesq.queue.identities import BorrowedIdentities, Identities
from sesq.queue.snapshot import read_identities, read_snapshot

if TYPE_CHECKING:
    from sesq.worker.control import Identity, IdentityBook

POLL_SECONDS = 5.0
LIST_EXAMPLES = """Examples

  sesq identities list
"""
VERIFY_EXAMPLES = """Examples

  sesq identities verify example.com
  sesq identities verify ada@example.org --yes --wait 1h
"""
CHECK_EXAMPLES = """Examples

  sesq identities check recipients.csv
  cut -d, -f2 customers.csv | sesq identities check - --json
"""

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="Show and verify addresses and domains.\n\nIn the sandbox mail goes to verified ones only.",
)


@app.command("list", epilog=LIST_EXAMPLES)
def list_(wide: Wide = False, account: Account = DEFAULT_ACCOUNT, json: Json = False) -> None:
    """List the identities of the account at SES."""
    found = _open(account).list()
    if json:
        print_json([asdict(identity) for identity in found])
        return
    rows = [(each.name, each.kind, each.status, "yes" if each.verified else "no") for each in found]
    columns = (Column("identity", cut=True, least=30), "kind", "status", "may send")
    show(table(columns, rows, wide=wide) if rows else "no identities")


@app.command(epilog=VERIFY_EXAMPLES)
def verify(
    name: Annotated[str, typer.Argument(metavar="ADDRESS|DOMAIN")],
    yes: Yes = False,
    wait: Wait = None,
    account: Account = DEFAULT_ACCOUNT,
    json: Json = False,
) -> None:
    """Start the verification of an address or a domain, or show how far it is.

    SES sends a mail with a link to an address; a domain needs three DNS records, which are shown. With --wait, exit 1
    if it is not verified within that time.
    """
    identity_name, seconds = _identity_name(name), seconds_of(wait)
    book = _open(account)
    agree(_question(identity_name), yes)
    identity = book.verify(identity_name)
    note(open_redis(load_settings()), account, f"verify {identity.name}")
    if not json:
        _show(identity)
    if wait:
        identity = follow(
            lambda: book.get(identity_name), lambda seen: seen.verified, seconds, every=POLL_SECONDS
        )
    if json:
        print_json(asdict(identity))
    elif wait:
        typer.echo(f"{identity.name}: {identity.status}")
    if wait and not identity.verified:
        raise typer.Exit(1)


def _identity_name(name: str) -> str:
    """Returns an address as it is, since case counts at SES; a domain in lower case."""
    if "@" in name:
        return parse_address(name, "ADDRESS").spec
    return parse_address(f"postmaster@{name}", "DOMAIN").domain.lower()


def _question(name: str) -> str:
    mail = "SES sends it a mail with a link." if "@" in name else "SES then waits for its DNS records."
    return f"Verify {name}? {mail}"


def _show(identity: Identity) -> None:
    typer.echo(f"{identity.name}: {identity.status}{f' ({identity.error})' if identity.error else ''}")
    if identity.records and not identity.verified:
        rows = [(record.name, record.type, record.value) for record in identity.records]
        show("Add these records to the domain's DNS:", wrapped(("name", "type", "value"), rows))
    elif not identity.verified:
        typer.echo("The link in the mail works for 24 hours.")


@app.command(epilog=CHECK_EXAMPLES)
def check(
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="One address a line, or CSV with the column email.")
    ],
    email_column: EmailColumn = None,
    encoding: Encoding = None,
    account: Account = DEFAULT_ACCOUNT,
    json: Json = False,
) -> None:
    """Say which recipients the sandbox would refuse. Exit 1 if there are any.

    Sends nothing. It uses the list that workers read last from SES; if no worker has run yet, it asks SES.
    """
    lines = read_address_file(file, email_column, encoding)
    identities, production = _known(account)
    refused, unreadable = [], []
    for line in lines:
        try:
            spec = parse_address(line.email, "email").spec
        except InvalidMessage:
            unreadable.append(line.email)
            continue
        if not production and not identities.covers_recipient(spec):
            refused.append(spec)
    if json:
        told = {"production": production, "checked": len(lines)}
        print_json({**told, "refused": refused, "unreadable": unreadable})
    else:
        _show_refused(len(lines), refused, unreadable, production)
    if refused or unreadable:
        raise typer.Exit(1)


def _show_refused(checked: int, refused: list[str], unreadable: list[str], production: bool) -> None:
    for spec in refused:
        typer.echo(f"{spec}: not verified")
    for written in unreadable:
        complain(f"{written!r} is no address")
    mode = (
        "production: everybody gets mail" if production else f"{len(refused)} would be refused in the sandbox"
    )
    typer.echo(f"{checked} checked, {mode}", err=True)


def _known(account: str) -> tuple[Identities, bool]:
    settings = load_settings()
    settings.account(account)
    redis = open_redis(settings)
    snapshot = read_snapshot(redis, account)
    if snapshot.readable and (snapshot.listed or snapshot.production):
        return read_identities(redis, account), snapshot.production
    with part("worker"):
        from sesq.worker.aws_clients import open_control
        from sesq.worker.control import Access, IdentityBook
    control = open_control(redis, account, settings)
    listed = IdentityBook(control).list()
    borrowed = BorrowedIdentities.of(settings.account(account).identity_arns).arns
    known = Identities.from_names(((each.name, each.verified) for each in listed), borrowed)
    return known, Access.read(control).production


def _open(account: str) -> IdentityBook:
    settings = load_settings()
    with part("worker"):
        from sesq.worker.aws_clients import open_control
        from sesq.worker.control import IdentityBook
    return IdentityBook(open_control(open_redis(settings), account, settings))
