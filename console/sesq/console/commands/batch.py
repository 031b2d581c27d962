"""`sesq batch`: checks and queues a batch, shows how it goes, and reports what became of each recipient."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer
from redis import Redis

from sesq.config.errors import InputError, SesqError
from sesq.config.numbers import number_of
from sesq.console import batch_view
from sesq.console.audit import change_in
from sesq.console.batch_check import Check, check
from sesq.console.batch_files import Digest, report_lines, rows_expected, rows_file
from sesq.console.batch_options import (
    At,
    ConfigurationSet,
    Form,
    FormOfRows,
    Recipients,
    Sender,
    Share,
    Tags,
    Template,
    Watch,
    Window,
    ZoneColumn,
    is_agreed,
    open_outbox,
    request_for,
    rows_of,
    starts_at,
)
from sesq.console.batch_plan import plan
from sesq.console.context import (
    DEFAULT_ACCOUNT,
    Account,
    EmailColumn,
    Encoding,
    Id,
    Json,
    Wide,
    asker,
    note,
)
from sesq.console.output import console, print_json, show
from sesq.console.progress import progress_of
from sesq.console.ses_options import ContactList, FeedbackTo, Tenant, Topic, Track, of_ses
from sesq.console.tables import printable
from sesq.console.watch import watch
from sesq.producer.batch.batch_intake import take
from sesq.queue.batch import Batch
from sesq.queue.batches import Batches
from sesq.queue.short_ids import find_batch_id

CHECK_EXAMPLES = """Examples

  sesq batch check newsletter customers.csv --from "Shop <news@example.com>"
  sesq batch check newsletter customers.csv --from news@example.com --json | jq .ends_at
"""
SEND_EXAMPLES = """Examples

  sesq batch send newsletter customers.csv --from "Shop <news@example.com>"
  sesq batch send newsletter customers.csv --from news@example.com --at 2027-01-31T09:00
  sesq batch send newsletter customers.csv --from news@example.com --window "Mon-Fri 09:00-17:00 Europe/Berlin"
  sesq batch send newsletter customers.csv --from news@example.com --window "09:00-20:00 UTC" --zone-column tz
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
    "heading, or JSON lines: the column `email` is the recipient, the other columns are variables.",
)


class NothingToSend(SesqError):
    """No row can be sent."""


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
    tenant: Tenant = None,
    feedback_to: FeedbackTo = None,
    contact_list: ContactList = None,
    topic: Topic = None,
    track: Track = None,
    at: At = None,
    window: Window = None,
    zone_column: ZoneColumn = None,
    account: Account = DEFAULT_ACCOUNT,
    json: Json = False,
) -> None:
    """Say what would happen, and send nothing.

    Shows which rows would be left out and why, the first mails, and when the last one goes by the limits in force.
    """
    outbox = open_outbox(account)
    with rows_file(recipients) as file, progress_of("checking", rows_expected(file)) as progress:
        options = of_ses(tenant, feedback_to, contact_list, topic, track)
        options |= {"starts_at": starts_at(at), "window": window, "zone_column": zone_column}
        request = request_for(outbox, template, sender, account, tag, configuration_set, **options)
        found = check(outbox.redis, request, rows_of(request, file, encoding, form, email_column), progress)
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
    tenant: Tenant = None,
    feedback_to: FeedbackTo = None,
    contact_list: ContactList = None,
    topic: Topic = None,
    track: Track = None,
    at: At = None,
    window: Window = None,
    zone_column: ZoneColumn = None,
    stop_bounces: Share = None,
    stop_complaints: Share = None,
    again: Annotated[
        bool, typer.Option("--again", help="Send it even if the same batch was sent before.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    account: Account = DEFAULT_ACCOUNT,
    json: Json = False,
) -> None:
    """Queue one mail for each row, in the bulk lane.

    Rows that cannot be sent are left out and reported; if the template or the file is wrong, nothing is queued. If the
    command dies, run it again: it goes on, and nobody gets two mails. With --stop-bounces or --stop-complaints the
    batch pauses itself when more than that share of it bounces, or is complained about. With --window it goes only in
    those hours; with --zone-column they are hours in each row's own time zone.
    """
    outbox = open_outbox(account)
    with rows_file(recipients) as file:
        options = of_ses(tenant, feedback_to, contact_list, topic, track) | {
            "stop_bounces": stop_bounces,
            "stop_complaints": stop_complaints,
            "starts_at": starts_at(at),
            "window": window,
            "zone_column": zone_column,
        }
        request = request_for(outbox, template, sender, account, tag, configuration_set, **options)
        digest = Digest()
        with progress_of("checking", rows_expected(file)) as progress:
            rows = digest.of(rows_of(request, file, encoding, form, email_column))
            found = check(outbox.redis, request, rows, progress)
        request = replace(request, key=digest.hexdigest())
        if not found.intake.queued:
            _show_check(found, json)
            raise NothingToSend(f"none of {found.intake.rows} rows can be sent, so nothing is queued")
        _ask(found, yes or json)
        with progress_of("queueing", found.intake.rows) as progress:
            rows = rows_of(request, file, encoding, form, email_column)
            printed = found.intake.unprintable is None
            intake = take(outbox.redis, request, rows, again=again, printed=printed, progress=progress)
    note(outbox.redis, account, f"send batch {intake.id}: {number_of(intake.queued, 'recipient')}")
    told = found.as_json() | {"id": intake.id, "queued": intake.queued}
    _tell_left_out(found)
    if json:
        print_json(told)
    else:
        typer.echo(intake.id)


def _show_check(found: Check, json: bool) -> None:
    print_json(found.as_json()) if json else show(batch_view.check_as_text(found))


def _tell_left_out(found: Check) -> None:
    """Prints what is left out on stderr, so that stdout has only the id."""
    problems, left_out = found.intake.problems, found.intake.left_out.total()
    for line in batch_view.unused(found):
        typer.echo(line, err=True)
    for problem in problems[: batch_view.PROBLEMS_SHOWN]:
        typer.echo(printable(f"line {problem.line}: {problem.reason}"), err=True)
    if left_out:
        typer.echo(f"{left_out:,} of {found.intake.rows:,} rows are left out", err=True)


def _ask(found: Check, sure: bool) -> None:
    """Shows the check at a terminal, and asks whether to go on."""
    if sure or not sys.stdout.isatty():
        return
    show(batch_view.check_as_text(found))
    if not is_agreed(f"Queue {number_of(found.intake.queued, 'mail')}?"):
        raise typer.Exit(1)


@app.command("list", epilog=LIST_EXAMPLES)
def list_(wide: Wide = False, account: Account = DEFAULT_ACCOUNT, json: Json = False) -> None:
    """List the batches, the newest first."""
    redis = open_outbox(account).redis
    batches = Batches(redis, account).all()
    if json:
        print_json([_as_json(redis, batch) for batch in batches])
    else:
        show(batch_view.rows_of(redis, batches, wide=wide) if batches else "no batches")


@app.command("show", epilog=SHOW_EXAMPLES)
def show_(id: Id, account: Account = DEFAULT_ACCOUNT, json: Json = False, live: Watch = False) -> None:
    """Show how far a batch is, and when it ends."""
    if live and (json or not console().is_terminal):
        raise InputError("--watch: needs a terminal, and no --json; repeat the command with --json instead")
    redis = open_outbox(account).redis
    batches, id = Batches(redis, account), find_batch_id(redis, account, id)

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
    _act("pause", account, id, lambda batches, id: batches.pause(id, _why("paused", reason)), "paused")


@app.command(epilog=RESUME_EXAMPLES)
def resume(id: Id, account: Account = DEFAULT_ACCOUNT) -> None:
    """Let a paused batch go on."""
    _act("resume", account, id, lambda batches, id: batches.resume(id), "running")


@app.command(epilog=CANCEL_EXAMPLES)
def cancel(
    id: Id,
    reason: Annotated[str, typer.Argument(help="Why, for those who look.")] = "",
    account: Account = DEFAULT_ACCOUNT,
) -> None:
    """End a batch: nobody else gets it; `sesq batch report` tells who has got it."""
    _act(
        "cancel", account, id, lambda batches, id: batches.cancel(id, _why("cancelled", reason)), "cancelled"
    )


def _why(done: str, reason: str) -> str:
    return f"{done} by {asker()}" + (f": {reason}" if reason else "")


def _act(verb: str, account: str, given: str, act: Callable[[Batches, str], None], done: str) -> None:
    redis = open_outbox(account).redis
    id = find_batch_id(redis, account, given)
    batches = Batches(redis, account)
    before = batches.get(id).state
    act(batches, id)
    note(redis, account, f"{verb} batch {id}", change_in("state", before, done))
    typer.echo(f"{id} {done}")


@app.command(epilog=REPORT_EXAMPLES)
def report(
    id: Id,
    form: Annotated[Form, typer.Option("--format", help="csv or jsonl.")] = Form.csv,
    output: Annotated[Path | None, typer.Option(metavar="FILE", help="Write it to this file.")] = None,
    account: Account = DEFAULT_ACCOUNT,
) -> None:
    """Tell each recipient's state, MessageId, time and reason, as CSV or JSON lines."""
    redis = open_outbox(account).redis
    batches, id = Batches(redis, account), find_batch_id(redis, account, id)
    if output is None:
        sys.stdout.writelines(report_lines(batches, id, jsonl=form is Form.jsonl))
        return
    try:
        with output.open("w", encoding="utf-8", newline="") as file:
            file.writelines(report_lines(batches, id, jsonl=form is Form.jsonl))
    except OSError as error:
        raise InputError(f"--output: {output} cannot be written: {error.strerror}") from error
