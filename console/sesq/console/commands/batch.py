"""`sesq batch`: one template to many recipients; what will happen, what happens, and what happened."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import typer
from redis import Redis

from sesq.config.errors import InputError, InvalidMessage, SesqError
from sesq.console import batch_view
from sesq.console.batch_check import Check, check
from sesq.console.batch_files import Digest, RowsFile, report_lines, rows_file
from sesq.console.batch_plan import plan
from sesq.console.context import (
    DEFAULT_ACCOUNT,
    Account,
    EmailColumn,
    Encoding,
    Json,
    asker,
    load_settings,
    open_account,
    pairs,
)
from sesq.console.output import console, print_json, printable, show
from sesq.console.times import ahead, parse_moment
from sesq.console.watch import watch
from sesq.producer.batch.batch_intake import take
from sesq.producer.batch.csv_rows import SourceRow, Wanted
from sesq.producer.batch.request import BatchRequest, batch_request
from sesq.producer.batch.rows import read_rows
from sesq.queue.batches import Batch, Batches

CHECK_EXAMPLES = """Examples

  sesq batch check newsletter customers.csv --from "Shop <news@example.com>"
  sesq batch check newsletter customers.csv --from news@example.com --json | jq .ends_at
"""
SEND_EXAMPLES = """Examples

  sesq batch send newsletter customers.csv --from "Shop <news@example.com>"
  sesq batch send newsletter customers.csv --from news@example.com --at 2027-01-31T09:00
  export-customers | sesq batch send newsletter - --from news@example.com --yes
  sesq batch send newsletter customers.jsonl --from news@example.com --stop-bounces 5 --stop-complaints 0.1
"""
SHOW_EXAMPLES = """Examples

  sesq batch show 3f0c2a91d4e55b607a18 --watch
"""
LIST_EXAMPLES = """Examples

  sesq batch list
  sesq batch list --json | jq -r '.[] | select(.state == "running") | .id'
"""
PAUSE_EXAMPLES = """Examples

  sesq batch pause 3f0c2a91d4e55b607a18 "a wrong link in it"
"""
RESUME_EXAMPLES = """Examples

  sesq batch resume 3f0c2a91d4e55b607a18
"""
CANCEL_EXAMPLES = """Examples

  sesq batch cancel 3f0c2a91d4e55b607a18 && sesq batch report 3f0c2a91d4e55b607a18
"""
REPORT_EXAMPLES = """Examples

  sesq batch report 3f0c2a91d4e55b607a18 > who-got-it.csv
  sesq batch report 3f0c2a91d4e55b607a18 --format jsonl --output report.jsonl
"""

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="Send one template to many recipients.\n\n"
    "TEMPLATE is a folder with subject.txt, and body.txt or body.html or both; RECIPIENTS is a CSV file with a "
    "heading, or JSON lines: `email` is who gets it, the rest are variables.",
)


class NothingToSend(SesqError):
    """No row can be sent."""


Form = Enum("Form", {"csv": "csv", "jsonl": "jsonl"}, type=str)
Template = Annotated[Path, typer.Argument(metavar="TEMPLATE", help="The template's folder.")]
Recipients = Annotated[str, typer.Argument(metavar="RECIPIENTS", help="CSV or JSON lines; - for stdin.")]
Sender = Annotated[str, typer.Option("--from", metavar="ADDRESS", help="Who sends it.")]
FormOfRows = Annotated[Form | None, typer.Option("--format", help="Of the rows; else by the file's name.")]
Tags = Annotated[list[str] | None, typer.Option("--tag", metavar="NAME=VALUE", help="A message tag of SES.")]
ConfigurationSet = Annotated[str | None, typer.Option(metavar="NAME", help="SES's configuration set.")]
Share = Annotated[float | None, typer.Option(metavar="PERCENT", min=0, max=100)]
At = Annotated[
    str | None,
    typer.Option("--at", metavar="TIME", help="Not before: ISO 8601, local without a zone; or +10m, +2h."),
]
Id = Annotated[str, typer.Argument(metavar="ID")]
Watch = Annotated[bool, typer.Option("--watch", help="Draw it again every second; q or Ctrl-C ends it.")]


@app.command("check", epilog=CHECK_EXAMPLES)
def check_(
    template: Template,
    recipients: Recipients,
    sender: Sender,
    encoding: Encoding = None,
    form: FormOfRows = None,
    email_column: EmailColumn = None,
    tag: Tags = None,
    configuration_set: ConfigurationSet = None,
    at: At = None,
    account: Account = DEFAULT_ACCOUNT,
    json: Json = False,
) -> None:
    """Say what would happen, and send nothing.

    Who would be left out and why, how the first mails look, and when the last one goes by the limits in force.
    """
    redis, _ = _open(account)
    with rows_file(recipients) as file, _progress("checking") as progress:
        request = _request(template, sender, account, tag, configuration_set, starts_at=_starts(at))
        found = check(redis, request, _read(request, file, encoding, form, email_column), progress)
    _show_check(found, json)
    if not found.intake.queued:
        raise NothingToSend(f"none of {found.intake.rows} rows can be sent")


@app.command(epilog=SEND_EXAMPLES)
def send(
    template: Template,
    recipients: Recipients,
    sender: Sender,
    encoding: Encoding = None,
    form: FormOfRows = None,
    email_column: EmailColumn = None,
    tag: Tags = None,
    configuration_set: ConfigurationSet = None,
    at: At = None,
    stop_bounces: Share = None,
    stop_complaints: Share = None,
    again: Annotated[bool, typer.Option("--again", help="Even if the same batch was sent before.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    account: Account = DEFAULT_ACCOUNT,
    json: Json = False,
) -> None:
    """Queue one mail for each row, in the bulk lane.

    Rows that cannot be sent are left out and told; nothing is queued where the template or the file is wrong. A command
    that died goes on when it is given again; nobody gets two mails. With --stop-bounces or --stop-complaints the batch
    pauses itself when more than that share of it bounces, or is complained about.
    """
    redis, keep_seconds = _open(account)
    with rows_file(recipients) as file:
        options = {
            "stop_bounces": stop_bounces,
            "stop_complaints": stop_complaints,
            "keep_seconds": keep_seconds,
            "starts_at": _starts(at),
        }
        request, digest = _request(template, sender, account, tag, configuration_set, **options), Digest()
        with _progress("checking") as progress:
            rows = digest.of(_read(request, file, encoding, form, email_column))
            found = check(redis, request, rows, progress)
        request = replace(request, key=digest.hexdigest())
        if not found.intake.queued:
            _show_check(found, json)
            raise NothingToSend(f"none of {found.intake.rows} rows can be sent, so nothing is queued")
        _ask(found, yes or json)
        with _progress("queueing", found.intake.rows) as progress:
            rows = _read(request, file, encoding, form, email_column)
            printed = found.intake.unprintable is None
            intake = take(redis, request, rows, again=again, printed=printed, progress=progress)
    told = found.as_json() | {"id": intake.id, "queued": intake.queued}
    _tell_left_out(found)
    if json:
        print_json(told)
    else:
        typer.echo(intake.id)


def _show_check(found: Check, json: bool) -> None:
    print_json(found.as_json()) if json else show(batch_view.check_as_text(found))


def _tell_left_out(found: Check) -> None:
    """On stderr, so that a script's stdout is the id alone."""
    problems, left_out = found.intake.problems, found.intake.left_out.total()
    for line in batch_view.unused(found):
        typer.echo(line, err=True)
    for problem in problems[: batch_view.PROBLEMS_SHOWN]:
        typer.echo(printable(f"line {problem.line}: {problem.reason}"), err=True)
    if left_out:
        typer.echo(f"{left_out:,} of {found.intake.rows:,} rows are left out", err=True)


def _ask(found: Check, sure: bool) -> None:
    """At a terminal the check is shown, and a person decides."""
    if sure or not sys.stdout.isatty():
        return
    show(batch_view.check_as_text(found))
    if not _agreed(f"Queue {found.intake.queued:,} mails?"):
        raise typer.Exit(1)


def _agreed(question: str) -> bool:
    """Asked at the terminal, also where the rows come on stdin; nobody says no where there is none."""
    if sys.stdin.isatty():
        return typer.confirm(question)
    try:
        terminal = Path("/dev/tty").open()  # noqa: SIM115 - only where it can be opened
    except OSError:
        return True
    with terminal:
        typer.echo(f"{question} [y/N]: ", nl=False)
        return terminal.readline().strip().lower() in ("y", "yes")


@app.command("list", epilog=LIST_EXAMPLES)
def list_(account: Account = DEFAULT_ACCOUNT, json: Json = False) -> None:
    """List the batches, the newest first."""
    redis, _ = _open(account)
    batches = Batches(redis, account).all()
    if json:
        print_json([_as_json(redis, batch) for batch in batches])
    else:
        show(batch_view.rows_of(redis, batches) if batches else "no batches")


@app.command("show", epilog=SHOW_EXAMPLES)
def show_(id: Id, account: Account = DEFAULT_ACCOUNT, json: Json = False, live: Watch = False) -> None:
    """Show how far a batch is, and when it ends."""
    if live and (json or not console().is_terminal):
        raise InputError("--watch: needs a terminal, and no --json; ask for --json every so often instead")
    redis, _ = _open(account)
    batches = Batches(redis, account)

    def look() -> Any:
        batch = batches.get(id)
        return batch_view.as_text(batch, plan(redis, account, batch.left, of=batch))

    if live:
        watch(look)
    elif json:
        print_json(_as_json(redis, batches.get(id)))
    else:
        show(look())


def _as_json(redis: Redis, batch: Batch) -> dict[str, Any]:
    return batch_view.as_json(batch, plan(redis, batch.account, batch.left, of=batch))


@app.command(epilog=PAUSE_EXAMPLES)
def pause(
    id: Id,
    reason: Annotated[str, typer.Argument(help="Why, for those who look.")] = "",
    account: Account = DEFAULT_ACCOUNT,
) -> None:
    """Stop a batch, from the next claim of every worker on; other mail goes on."""
    _act(account, id, lambda batches: batches.pause(id, _why("paused", reason)), "paused")


@app.command(epilog=RESUME_EXAMPLES)
def resume(id: Id, account: Account = DEFAULT_ACCOUNT) -> None:
    """Let a paused batch go on."""
    _act(account, id, lambda batches: batches.resume(id), "running")


@app.command(epilog=CANCEL_EXAMPLES)
def cancel(
    id: Id,
    reason: Annotated[str, typer.Argument(help="Why, for those who look.")] = "",
    account: Account = DEFAULT_ACCOUNT,
) -> None:
    """End a batch: who has not got it will not; `sesq batch report` tells who has."""
    _act(account, id, lambda batches: batches.cancel(id, _why("cancelled", reason)), "cancelled")


def _why(done: str, reason: str) -> str:
    return f"{done} by {asker()}" + (f": {reason}" if reason else "")


def _act(account: str, id: str, act: Callable[[Batches], None], done: str) -> None:
    redis, _ = _open(account)
    act(Batches(redis, account))
    typer.echo(f"{id} {done}")


@app.command(epilog=REPORT_EXAMPLES)
def report(
    id: Id,
    form: Annotated[Form, typer.Option("--format", help="csv or jsonl.")] = Form.csv,
    output: Annotated[Path | None, typer.Option(metavar="FILE", help="Instead of stdout.")] = None,
    account: Account = DEFAULT_ACCOUNT,
) -> None:
    """Tell each recipient's state, MessageId, time and reason, as CSV or JSON lines."""
    redis, _ = _open(account)
    batches = Batches(redis, account)
    batches.get(id)
    if output is None:
        sys.stdout.writelines(report_lines(batches, id, jsonl=form is Form.jsonl))
        return
    try:
        with output.open("w", encoding="utf-8", newline="") as file:
            file.writelines(report_lines(batches, id, jsonl=form is Form.jsonl))
    except OSError as error:
        raise InputError(f"--output: {output} cannot be written: {error.strerror}") from error


# what check and send share --------------------------------------------------------------------------------------


def _open(account: str) -> tuple[Redis, int]:
    """The queue, and for how many seconds it keeps records."""
    settings = load_settings()
    redis = open_account(account, settings)
    return redis, round(settings.keep_days * 86_400)


def _starts(at: str | None) -> datetime | None:
    return ahead(parse_moment(at, "--at"), "--at") if at else None


def _request(
    template: Path,
    sender: str,
    account: str,
    tag: list[str] | None,
    configuration_set: str | None,
    **options: Any,
) -> BatchRequest:
    tags = pairs(tag, "=", "--tag") if tag else {}
    given = {"account": account, "tags": tags, "configuration_set": configuration_set, **options}
    try:
        return batch_request(template, sender, "", **given)
    except InvalidMessage as error:
        option = {"sender": "--from", "tags": "--tag"}.get(error.field, f"--{error.field.replace('_', '-')}")
        raise InputError(f"{option}: {error.problem}") from error


def _read(
    request: BatchRequest, file: RowsFile, encoding: str | None, form: Form | None, email_column: str | None
) -> Iterator[SourceRow]:
    jsonl = form is Form.jsonl if form else file.jsonl
    renderer = request.template.renderer
    wanted = Wanted(email_column, needed=renderer.needed, used=renderer.used)
    return read_rows(file.path, jsonl=jsonl, encoding=encoding, wanted=wanted, name=file.name)


@contextmanager
def _progress(what: str, total: int | None = None) -> Iterator[Callable[[int], object]]:
    """A bar on stderr, where that is a terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    bars = Progress(*columns, console=Console(stderr=True), disable=not sys.stderr.isatty(), transient=True)
    with bars:
        task = bars.add_task(what, total=total)
        yield lambda done: bars.update(task, completed=done)
