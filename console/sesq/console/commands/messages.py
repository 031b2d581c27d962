"""`sesq messages`: show and change messages."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from enum import Enum
from functools import partial
from typing import Annotated

import typer

from sesq.config.errors import InputError, UnknownMessage, WrongState
from sesq.console import message_view
from sesq.console.batch_options import Form
from sesq.console.commands.of_filter import Filter, FilterOfAct, FilterOfRelease, do_to_all, takes
from sesq.console.consent import Yes
from sesq.console.context import DEFAULT_ACCOUNT, Account, Id, Json, Wide, asker, note, open_account
from sesq.console.find import Finder
from sesq.console.many import change_of, told
from sesq.console.message_view import as_json, listed_as_json, reason_of
from sesq.console.output import complain, print_json, show
from sesq.console.progress import progress_of
from sesq.console.subjects import Subjects
from sesq.console.tables import wrapped
from sesq.console.times import local
from sesq.console.web.search import Query
from sesq.queue.batches import Batches
from sesq.queue.explain import explain
from sesq.queue.messages import RESOLUTIONS, Messages
from sesq.queue.record import Record
from sesq.queue.short_ids import AmbiguousId, find_message
from sesq.queue.snapshot import redis_now
from sesq.queue.states import State

MOST_LISTED = 100_000
LIST_EXAMPLES = """Examples

  sesq messages list
  sesq messages list --state held --state unknown --limit 500
  sesq messages list --to ada@example.org --since 7d
  sesq messages list --subject "password reset" --since 2026-11-30T09:00 --until 2026-11-30T12:00
  sesq messages list --message-id 0107018c51b3f6a2-7f2c5d1e
  sesq messages list --tag campaign=autumn --format csv --limit 100000 > autumn.csv
  sesq messages list --state failed --json | jq -r '.[].id' | xargs sesq messages retry
"""
SHOW_EXAMPLES = """Examples

  sesq messages show 01M8Q5VJZMEKDECGA6FT5GBX1K
  sesq messages show 01M8Q5VJZMEKD
"""
CANCEL_EXAMPLES = """Examples

  sesq messages cancel 01M8Q5VJZMEKD
  sesq messages cancel --state queued --tag campaign=autumn
"""
RETRY_EXAMPLES = """Examples

  sesq messages retry 01M8Q5VJZMEKD 8ca4b911-0-4
  sesq messages retry --state failed --yes
"""
RELEASE_EXAMPLES = """Examples

  sesq messages release 01M8Q5VJZMEKD
  sesq messages release --waiting-for sender:shop@example.com --since 2h
"""
RESOLVE_EXAMPLES = """Examples

  sesq messages resolve 01M8Q5VJZMEKD --as sent
  sesq messages resolve --state unknown --to sent --older 1d
"""

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="Show and change messages.\n\nRecords of finished messages are kept for `keep_days`.",
)
Ids = Annotated[
    list[str] | None,
    typer.Argument(metavar="ID", help="One message or more; the beginning of an id is enough."),
]
Resolution = Enum("Resolution", {name: name for name in RESOLUTIONS}, type=str)  # type: ignore[misc]


@app.command("list", epilog=LIST_EXAMPLES)
@takes(Filter)
def list_(
    chosen: Filter,
    limit: Annotated[int, typer.Option(min=1, max=MOST_LISTED, help="At most this number of messages.")] = 50,
    form: Annotated[Form | None, typer.Option("--format", help="csv or jsonl, instead of a table.")] = None,
    wide: Wide = False,
    account: Account = DEFAULT_ACCOUNT,
    json: Json = False,
) -> None:
    """List messages, the newest first.

    With any of --state, --to, --tag, --subject, --message-id, --since and --until it also searches the recipients of
    batches. It ends when it has looked at all messages, or has found as many as --limit.
    """
    if json and form:
        raise InputError("--format: replaces --json; give one of them")
    messages = _open(account)
    now = redis_now(messages.redis)
    query = chosen.query(now)
    finder = Finder(messages.redis, account, query)
    with progress_of("looking", finder.to_look_at() if query.is_filtered else limit) as progress:
        matching = finder.all(limit, progress)
        if form:
            sys.stdout.writelines(message_view.lines(matching, jsonl=form is Form.jsonl))
            return
        found = sorted(matching, key=lambda record: (record.since, record.id), reverse=True)
    if json:
        print_json([listed_as_json(record) for record in found])
    else:
        show(message_view.as_table(found, now, wide=wide) if found else _nothing(messages, query))
    if query.is_filtered and len(found) == limit:
        complain(f"there may be more than these {limit}: --limit takes up to {MOST_LISTED:,}")


def _nothing(messages: Messages, query: Query) -> str:
    if query.is_filtered:
        return "no message matches"
    there = Batches(messages.redis, messages.keys.account).all()
    return "no messages" + ("; recipients of batches are in `sesq batch list`" if there else "")


@app.command("show", epilog=SHOW_EXAMPLES)
def show_(id: Id, account: Account = DEFAULT_ACCOUNT, json: Json = False) -> None:
    """Show one message: what it is, where it stands, and all it went through."""
    messages = _open(account)
    found = find_message(messages, id)
    record = explain(messages.redis, Subjects(messages.redis, account).of(found))
    if json:
        print_json(as_json(record))
        return
    now = redis_now(messages.redis)
    facts = [(name, value) for name, value in _facts(record, now) if value]
    history = [(local(event.at, now), event.state, event.reason) for event in record.history]
    show(wrapped(("", ""), facts), wrapped(("at", "state", "why"), history))


def _facts(record: Record, now: float) -> Iterable[tuple[str, object]]:
    envelope = record.envelope
    yield "id", record.id
    yield "state", f"{record.state} since {local(record.since, now)}"
    yield "why", reason_of(record)
    yield "waits because", record.waits_because if record.waits_because != record.reason else ""
    yield "goes", local(record.goes_at, now)
    yield "waits for", record.hold
    yield "delayed because", record.delayed_because
    yield "MessageId", record.message_id
    yield "from", envelope.sender
    for name in ("to", "cc", "bcc"):
        yield name, ", ".join(getattr(envelope, name))
    yield "subject", envelope.subject
    yield "lane", record.lane
    yield "tags", ", ".join(f"{name}={value}" for name, value in envelope.tags.items())
    yield "configuration set", envelope.configuration_set
    yield "tenant", envelope.tenant
    yield "feedback to", envelope.feedback_to
    yield "contact list", " / ".join(filter(None, (envelope.contact_list, envelope.topic)))
    yield "tracking", envelope.track
    yield "attempts", record.attempts
    yield "not before", local(record.send_at, now)
    yield "not after", local(record.expires_at, now)


@app.command(epilog=CANCEL_EXAMPLES)
@takes(FilterOfAct)
def cancel(
    chosen: FilterOfAct, ids: Ids = None, yes: Yes = False, account: Account = DEFAULT_ACCOUNT
) -> None:
    """Cancel messages that are not sent yet: those with these ids, or all that match a filter."""
    _do("cancel", account, ids, chosen, yes=yes)


@app.command(epilog=RETRY_EXAMPLES)
@takes(FilterOfAct)
def retry(chosen: FilterOfAct, ids: Ids = None, yes: Yes = False, account: Account = DEFAULT_ACCOUNT) -> None:
    """Queue failed, refused, suppressed, expired or retrying messages again, and forget their attempts.

    Those with these ids, or all that match a filter.
    """
    _do("retry", account, ids, chosen, yes=yes)


@app.command(epilog=RELEASE_EXAMPLES)
@takes(FilterOfRelease)
def release(
    chosen: FilterOfRelease, ids: Ids = None, yes: Yes = False, account: Account = DEFAULT_ACCOUNT
) -> None:
    """Let held messages try again now, whatever they wait for: those with these ids, or all that match a filter."""
    _do("release", account, ids, chosen, yes=yes)


@app.command(epilog=RESOLVE_EXAMPLES)
@takes(FilterOfAct, without=["to"])
def resolve(
    outcome: Annotated[
        Resolution, typer.Option("--as", "--to", help="The state that it gets; queued sends it again.")
    ],
    chosen: FilterOfAct,
    ids: Ids = None,
    yes: Yes = False,
    account: Account = DEFAULT_ACCOUNT,
) -> None:
    """Settle unknown messages, which SES may have taken, or not: those with these ids, or all that match a filter."""
    _do(f"resolve as {outcome.value}", account, ids, chosen, yes=yes)


def _open(account: str) -> Messages:
    return Messages(open_account(account), account)


def _do(verb: str, account: str, ids: list[str] | None, chosen: FilterOfAct, *, yes: bool) -> None:
    """Acts on all messages that match the filter, or on each of the ids, the oldest first."""
    if chosen.is_chosen(ids, verb.partition(" ")[0]):
        do_to_all(open_account(account), account, verb, chosen, yes=yes)
        return
    messages, outcome = _open(account), verb.partition(" as ")[2]
    known = {"cancel": messages.cancel, "retry": messages.retry, "release": messages.release}
    act = known.get(verb) or partial(_resolve, messages, outcome)
    found = [record for given in ids or () if (record := _find(messages, given))]
    done: dict[str, str] = {}
    try:
        for record in sorted(found, key=lambda record: record.created):
            if _try(act, record.id):
                done[record.id] = record.state.value
    finally:  # what was done before an error, or Ctrl-C, is noted too
        if done:
            note(messages.redis, account, told(verb, list(done)), change_of(verb, done.values()))
    if len(done) < len(ids or ()):
        raise typer.Exit(1)


def _resolve(messages: Messages, outcome: str, id: str, by: str) -> State:
    messages.resolve(id, outcome, by)
    return State(outcome)


def _find(messages: Messages, given: str) -> Record | None:
    try:
        return find_message(messages, given)
    except (UnknownMessage, AmbiguousId) as error:
        complain(str(error))
        return None


def _try(act: Callable[[str, str], State], id: str) -> bool:
    """Acts on one message and prints its new state. Returns whether it was changed."""
    try:
        typer.echo(f"{id} {act(id, asker())}")
    except (UnknownMessage, WrongState) as error:
        complain(str(error))
        return False
    return True
