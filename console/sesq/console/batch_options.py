"""The options of the commands of `sesq batch`, and the request and the rows that are made from them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import datetime
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import typer

from sesq.config.errors import InputError, InvalidMessage
from sesq.console.batch_files import RowsFile
from sesq.console.context import load_settings, open_account, pairs
from sesq.console.times import ahead, parse_moment
from sesq.producer import Outbox
from sesq.producer.batch.csv_rows import SourceRow, Wanted
from sesq.producer.batch.request import BatchRequest, batch_request
from sesq.producer.batch.rows import read_rows

Form = Enum("Form", {"csv": "csv", "jsonl": "jsonl"}, type=str)
Template = Annotated[Path, typer.Argument(metavar="TEMPLATE", help="The template's folder.")]
Recipients = Annotated[str, typer.Argument(metavar="RECIPIENTS", help="CSV or JSON lines; - for stdin.")]
Sender = Annotated[
    str, typer.Option("--from", metavar="ADDRESS", help="The sender: an address that is verified at SES.")
]
FormOfRows = Annotated[
    Form | None, typer.Option("--format", help="The format of the rows; if not given, from the file's name.")
]
Tags = Annotated[list[str] | None, typer.Option("--tag", metavar="NAME=VALUE", help="A message tag of SES.")]
ConfigurationSet = Annotated[str | None, typer.Option(metavar="NAME", help="SES's configuration set.")]
Share = Annotated[
    float | None, typer.Option(metavar="PERCENT", min=0, max=100, help="Pause the batch above this share.")
]
At = Annotated[
    str | None,
    typer.Option(
        "--at",
        metavar="TIME",
        help="Do not send before: ISO 8601 (local time if without a zone), or +10m, +2h.",
    ),
]
Window = Annotated[
    str | None,
    typer.Option(metavar="WINDOW", help='Send only in these hours: "Mon-Fri 09:00-17:00 Europe/Berlin".'),
]
ZoneColumn = Annotated[
    str | None, typer.Option(metavar="NAME", help="The column with the time zone of each row, for --window.")
]
Watch = Annotated[bool, typer.Option("--watch", help="Show it again every second; q or Ctrl-C ends it.")]


def starts_at(at: str | None) -> datetime | None:
    """Reads `--at`. Raises InputError."""
    return ahead(parse_moment(at, "--at"), "--at") if at else None


def request_for(
    outbox: Outbox,
    template: Path,
    sender: str,
    account: str,
    tag: list[str] | None,
    configuration_set: str | None,
    **options: Any,
) -> BatchRequest:
    """Checks what was asked for. Raises InputError, which names the option."""
    tags = pairs(tag, "=", "--tag") if tag else {}
    given = {"account": account, "tags": tags, "configuration_set": configuration_set, **options}
    try:
        request = batch_request(template, sender, "", keep_seconds=outbox.keep_seconds, **given)
        outbox.check_transport(account, request.envelope.track)
        return request
    except InvalidMessage as error:
        option = {"sender": "--from", "tags": "--tag"}.get(error.field, f"--{error.field.replace('_', '-')}")
        raise InputError(f"{option}: {error.problem}") from error


def rows_of(
    request: BatchRequest, file: RowsFile, encoding: str | None, form: Form | None, email_column: str | None
) -> Iterator[SourceRow]:
    """Reads the rows of a file, in the form that was given, or that its name has."""
    jsonl = form is Form.jsonl if form else file.jsonl
    renderer = request.template.renderer
    wanted = Wanted(email_column, needed=renderer.needed, used=renderer.used, zone_column=request.zone_column)
    return read_rows(file.path, jsonl=jsonl, encoding=encoding, wanted=wanted, name=file.name)


def is_agreed(question: str) -> bool:
    """Asks at the terminal, also if the rows come on stdin. Without a terminal the answer is yes."""
    if sys.stdin.isatty():
        return typer.confirm(question)
    try:
        terminal = Path("/dev/tty").open()  # noqa: SIM115 - closed only if it could be opened
    except OSError:
        return True
    with terminal:
        typer.echo(f"{question} [y/N]: ", nl=False)
        return terminal.readline().strip().lower() in ("y", "yes")


def open_outbox(account: str) -> Outbox:
    """Opens the queue of a configured account. Raises SettingsError."""
    settings = load_settings()
    redis = open_account(account, settings)
    return Outbox(redis, keep_days=settings.keep_days, smtp_accounts=settings.smtp_accounts)
