"""`sesq send`: queues one message, from options or from a mail that is already written."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from sesq.config.errors import InputError, InvalidMessage, in_words
from sesq.console.context import (
    DEFAULT_ACCOUNT,
    Account,
    Json,
    load_settings,
    open_account,
    pairs,
)
from sesq.console.output import complain, option_of, print_json
from sesq.console.ses_options import ContactList, FeedbackTo, Tenant, Topic, Track, of_ses
from sesq.console.streams import typed
from sesq.console.times import ahead, parse_moment
from sesq.producer import Attachment, Message, Outbox
from sesq.queue.record import Record
from sesq.queue.states import FINAL_STATES, SENT_STATES, Lane

POLL_SECONDS = 0.2
OPTIONS = {
    "sender": "--from",
    "attachments": "--attach",
    "headers": "--header",
    "tags": "--tag",
    "send_at": "--at",
    "expires_at": "--expires",
    "idempotency_key": "--key",
}
"""Field of a message -> the option that fills it, if that has another name."""
EXAMPLES = """Examples

  sesq send --from shop@example.com --to ada@example.org --subject Hi --text "It is here."
  sesq send --from shop@example.com --to ada@example.org --subject Invoice --text @body.txt --attach invoice.pdf
  sesq send --from news@example.com --to ada@example.org --subject News --html @news.html --lane bulk --at +2h
  sesq send --raw mail.eml
  generate-mail | sesq send --raw --tag campaign=autumn --wait 30
"""

Given = dict[str, Any]

app = typer.Typer(add_completion=False)
Addresses = Annotated[list[str] | None, typer.Option(metavar="ADDRESS", help="May be given several times.")]


@app.command(epilog=EXAMPLES)
def send(
    file: Annotated[
        Path | None, typer.Argument(metavar="FILE", help="With --raw: the mail; stdin if not given, or -.")
    ] = None,
    sender: Annotated[
        str | None,
        typer.Option("--from", metavar="ADDRESS", help="The sender: an address that is verified at SES."),
    ] = None,
    to: Addresses = None,
    cc: Addresses = None,
    bcc: Addresses = None,
    reply_to: Addresses = None,
    subject: Annotated[str | None, typer.Option(metavar="TEXT")] = None,
    text: Annotated[
        str | None, typer.Option(metavar="TEXT", help="The plain body: text, @FILE, or - for stdin.")
    ] = None,
    html: Annotated[
        str | None, typer.Option(metavar="HTML", help="The HTML body: HTML, @FILE, or - for stdin.")
    ] = None,
    attach: Annotated[
        list[Path] | None, typer.Option(metavar="FILE", help="May be given several times.")
    ] = None,
    header: Annotated[
        list[str] | None, typer.Option(metavar="NAME:VALUE", help="May be given several times.")
    ] = None,
    raw: Annotated[
        bool,
        typer.Option("--raw", help="Send a finished mail (RFC 5322); addresses given here replace its own."),
    ] = False,
    lane: Annotated[
        Lane, typer.Option(help="Which lane: transactional mail goes first.")
    ] = Lane.TRANSACTIONAL,
    at: Annotated[
        str | None,
        typer.Option(
            metavar="TIME", help="Do not send before: ISO 8601 (local time if without a zone), or +10m, +2h."
        ),
    ] = None,
    expires: Annotated[
        str | None, typer.Option(metavar="TIME", help="Do not send after: written as for --at.")
    ] = None,
    tag: Annotated[list[str] | None, typer.Option(metavar="NAME=VALUE", help="A message tag of SES.")] = None,
    configuration_set: Annotated[
        str | None, typer.Option(metavar="NAME", help="SES's configuration set.")
    ] = None,
    tenant: Tenant = None,
    feedback_to: FeedbackTo = None,
    contact_list: ContactList = None,
    topic: Topic = None,
    track: Track = None,
    key: Annotated[
        str | None, typer.Option(metavar="KEY", help="Idempotency key: the same key queues the mail once.")
    ] = None,
    account: Account = DEFAULT_ACCOUNT,
    wait: Annotated[
        float | None, typer.Option(min=0, metavar="SECONDS", help="Wait this long until it is sent.")
    ] = None,
    json: Json = False,
) -> None:
    """Put one message into the queue.

    Prints the message's id. A worker sends it when SES's limits let it go. With --wait: exit 0 if it is sent, 1 if
    it is refused or failed, or still waits.
    """
    options: Given = {"lane": lane, "account": account, "idempotency_key": key}
    options |= {"send_at": _moment(at, "--at"), "expires_at": _moment(expires, "--expires")}
    if configuration_set:
        options["configuration_set"] = configuration_set
    options |= of_ses(tenant, feedback_to, contact_list, topic, track)
    if tag:
        options["tags"] = pairs(tag, "=", "--tag")
    envelope: Given = {"sender": sender and typed(sender)}
    envelope |= {
        name: [typed(each) for each in given or ()] for name, given in (("to", to), ("cc", cc), ("bcc", bcc))
    }
    content: Given = {"--reply-to": reply_to, "--subject": subject, "--text": text, "--html": html}
    content |= {"--attach": attach, "--header": header}
    if text == html == "-":
        raise InputError("--text and --html: only one of them can come from stdin; give the other as @FILE")
    with _named_by_option():
        message = (
            _finished(file, envelope, content, options)
            if raw
            else _composed(file, envelope, content, options)
        )
    settings = load_settings()
    redis = open_account(account, settings)
    outbox = Outbox(redis, keep_days=settings.keep_days, smtp_accounts=settings.smtp_accounts)
    with _named_by_option():
        id = outbox.send(message)
    if not json:
        typer.echo(id)
    if wait is not None:
        _report(wait_for_end(lambda: outbox.status(id, account), wait), json)
    elif json:
        print_json({"id": id})


def _composed(file: Path | None, envelope: Given, content: Given, options: Given) -> Message:
    _refuse({"FILE": file}, "goes with --raw only")
    if envelope["sender"] is None:
        raise InputError("--from: is missing: give the address that sends, one that is verified at SES")
    return Message(
        **envelope,
        reply_to=[typed(each) for each in content["--reply-to"] or ()],
        subject=typed(content["--subject"] or ""),
        text=_body(content["--text"], "--text"),
        html=_body(content["--html"], "--html"),
        attachments=[Attachment(path.name, _read(path, "--attach")) for path in content["--attach"] or ()],
        headers=pairs(content["--header"] or [], ":", "--header"),
        **options,
    )


def _finished(file: Path | None, envelope: Given, content: Given, options: Given) -> Message:
    """Makes a message of a mail that is already written. Its own addresses count if none are given."""
    _refuse(content, "is part of the raw mail already")
    mail = sys.stdin.buffer.read() if file is None or str(file) == "-" else _read(file, "--raw")
    if not any(envelope[name] for name in ("to", "cc", "bcc")):
        envelope = {"sender": envelope["sender"]}
    return Message.from_bytes(mail, **envelope, **options)


def _moment(text: str | None, option: str) -> datetime | None:
    if not text:
        return None
    moment = parse_moment(text, option)
    return moment if option == "--expires" else ahead(moment, option)


@contextmanager
def _named_by_option() -> Iterator[None]:
    """Turns errors of a message into InputError, which names the option."""
    try:
        yield
    except InvalidMessage as error:
        raise InputError(f"{_option(error.field)}: {in_words(error.problem, _option)}") from error


def _option(field: str) -> str:
    return OPTIONS.get(field) or option_of(field)


def wait_for_end(
    look: Callable[[], Record],
    seconds: float,
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Record:
    """Waits until the message has ended, at most this many seconds. Returns its record."""
    deadline = clock() + seconds
    while (record := look()).state not in FINAL_STATES and (left := deadline - clock()) > 0:
        sleep(min(POLL_SECONDS, left))
    return record


def _report(record: Record, json: bool) -> None:
    sent = record.state in SENT_STATES
    if json:
        told = {"id": record.id, "state": record.state.value, "reason": record.reason}
        print_json(told | {"waits_because": record.waits_because, "message_id": record.message_id})
    elif sent:
        typer.echo(f"{record.state} {record.message_id}")
    else:
        why = record.waits_because or record.reason
        complain(f"message {record.id} is {record.state}{': ' if why else ''}{why}")
    if not sent:
        raise typer.Exit(1)


def _refuse(given: Given, why: str) -> None:
    for option, value in given.items():
        if value:
            raise InputError(f"{option}: {why}")


def _body(text: str | None, option: str) -> str | None:
    """Returns the text itself, the text of `@FILE`, or stdin for `-`."""
    if text == "-":
        return _decoded(sys.stdin.buffer.read(), option)
    if text is not None and text.startswith("@"):
        return _decoded(_read(Path(text[1:]), option), option)
    return None if text is None else typed(text)


def _decoded(data: bytes, option: str) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise InputError(f"{option}: is not UTF-8: {error.reason} at byte {error.start}") from error


def _read(path: Path, option: str) -> bytes:
    try:
        return path.read_bytes()
    except (OSError, ValueError) as error:
        raise InputError(f"{option}: {path} cannot be read: {error}") from error
