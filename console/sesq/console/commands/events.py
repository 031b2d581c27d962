"""`sesq events`: listens to what SES tells of mail that it took."""

from __future__ import annotations

import logging
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sesq.config.errors import InputError
from sesq.config.parts import part
from sesq.config.settings import Settings
from sesq.console.commands.consumers import CONSUMERS_EXAMPLES, FORGET_EXAMPLES, consumers, forget
from sesq.console.consent import Yes, agree
from sesq.console.context import (
    DEFAULT_ACCOUNT,
    Account,
    Json,
    load_settings,
    open_account,
    open_redis,
    start_logging,
)
from sesq.console.output import print_json, show
from sesq.console.reputation_view import read_reputation, reputation_as_json
from sesq.console.tables import printable, table, wrapped
from sesq.console.times import local, utc
from sesq.queue.reputation import REVIEW, WORDS, Level, Passed, Standing, share
from sesq.queue.snapshot import redis_now

if TYPE_CHECKING:
    from collections.abc import Iterator

    from redis import Redis

    from sesq.console.reputation_view import ReputationView
    from sesq.worker.events import Feedback
    from sesq.worker.events.queue import QueueReader
    from sesq.worker.events.setup import Plumbing

EXAMPLES = """Examples

  sesq events
  sesq events --account shop --burst
"""
SETUP_EXAMPLES = """Examples

  sesq events setup
  sesq events setup --name sesq-events --yes --json
"""
ENDPOINT_EXAMPLES = """Examples

  sesq events endpoint --port 8443 --host 0.0.0.0 --cert tls.pem --key tls.key
"""
POISON_EXAMPLES = """Examples

  sesq events poison --json
"""
NOTICES_EXAMPLES = """Examples

  sesq events notices
  sesq events notices --json
"""
STANDING_EXAMPLES = """Examples

  sesq events standing
"""

app = typer.Typer(add_completion=False)


@app.callback(invoke_without_command=True, epilog=EXAMPLES)
def events(
    ctx: typer.Context,
    burst: Annotated[bool, typer.Option("--burst", help="End when the queue is empty.")] = False,
    account: Account = DEFAULT_ACCOUNT,
) -> None:
    """Read what SES reports of sent mail.

    Reads the account's SQS queue until Ctrl-C or SIGTERM; several readers may share it. It settles unknown messages,
    and marks sent ones as delivered, bounced or complained of. Addresses that bounced for good, or complained, get no
    more mail.
    """
    if ctx.invoked_subcommand is None:
        _listen(account, burst)


def _listen(account: str, burst: bool) -> None:
    settings = load_settings()
    url = settings.account(account).events.queue_url
    if not url:
        raise InputError(f"accounts.{account}.events.queue_url is not set: `sesq events setup` makes a queue")
    start_logging(settings)
    with part("worker"):
        from sesq.worker.aws_clients import open_client
        from sesq.worker.events.queue import POLL_SECONDS, QueueReader
    sqs = open_client(account, settings).service("sqs", read_seconds=POLL_SECONDS + 10)
    reader = QueueReader(sqs, url, _feedback(open_redis(settings), settings, account))
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: _end(reader))
    reader.run(until_empty=burst)
    told = ", ".join(f"{count} {handled}" for handled, count in reader.counts.items())
    logging.getLogger("sesq.events").info("account %s: %s", account, told or "no events")


def _end(reader: QueueReader) -> None:
    """Ends the reader after the messages that it has, or at once if it has none."""
    reader.stop()
    if reader.polling:
        raise typer.Exit


@app.command(epilog=ENDPOINT_EXAMPLES)
def endpoint(
    port: Annotated[int, typer.Option(min=0, max=65_535, help="The port; 0 takes a free one.")] = 8443,
    host: Annotated[str, typer.Option(help="Where it listens.")] = "127.0.0.1",
    cert: Annotated[Path | None, typer.Option(metavar="FILE", help="The certificate, as PEM.")] = None,
    key: Annotated[Path | None, typer.Option(metavar="FILE", help="Its key, as PEM.")] = None,
    account: Account = DEFAULT_ACCOUNT,
) -> None:
    """Take events from SNS over HTTPS, in place of a queue; signatures are checked, subscriptions confirmed.

    Without --cert it speaks HTTP, for a proxy in front of it that speaks HTTPS. SNS must not deliver raw.
    """
    settings = load_settings()
    topic = settings.account(account).events.topic_arn
    if not topic:
        raise InputError(
            f"accounts.{account}.events.topic_arn is not set: set it, since only messages of that topic are believed"
        )
    if bool(cert) != bool(key):
        raise InputError("--cert and --key go together: give both")
    start_logging(settings)
    with part("events,worker"):
        from sesq.worker.events.endpoint import Endpoint
        from sesq.worker.events.sns import SnsGuard
        from sesq.worker.http_server import HttpServer
    redis = open_redis(settings)
    served = Endpoint(redis, SnsGuard(topic), _feedback(redis, settings, account))
    server = HttpServer(served.app, host, port, cert, key)
    typer.echo(f"listening on {server.url}")
    server.run()


@app.command(epilog=SETUP_EXAMPLES)
def setup(
    name: Annotated[
        str, typer.Option(help="The name of the configuration set, the topic and the queue.")
    ] = "sesq-events",
    yes: Yes = False,
    account: Account = DEFAULT_ACCOUNT,
    json: Json = False,
) -> None:
    """Print what must exist at AWS so that events come, and create it if you say yes.

    It creates a configuration set that reports to an SNS topic, an SQS queue that the topic writes to, and the policies
    for both. You can run it again: what exists stays, or is brought up to date.
    """
    settings = load_settings()
    with part("worker"):
        from sesq.worker.aws_clients import open_client, open_control
        from sesq.worker.events import setup as plumbing
    client = open_client(account, settings)
    planned = plumbing.planned(name, client.region)
    if not json:
        _show_plan(planned)
    if not yes and not sys.stdin.isatty():
        if json:
            print_json({"created": False, **planned.settings})
        else:
            typer.echo("Nothing was created: --yes creates it.")
        return
    _refuse_half_a_simulator(account, settings)
    agree("Create this at AWS?", yes)
    control = open_control(open_redis(settings), account, settings)
    made = plumbing.create(name, control, client.service("sns"), client.service("sqs"))
    if json:
        print_json({"created": True, **made.settings})
        return
    typer.echo(f"\nCreated. For sesq.toml:\n\n[accounts.{account}.events]")
    for setting, value in made.settings.items():
        typer.echo(f'{setting} = "{value}"')


def _refuse_half_a_simulator(account: str, settings: Settings) -> None:
    """Raises InputError if SES is simulated, and SNS and SQS would be Amazon's own."""
    elsewhere = settings.account(account).endpoint_url
    named = [os.environ.get(f"AWS_ENDPOINT_URL_{service}") for service in ("SNS", "SQS")]
    if elsewhere and not os.environ.get("AWS_ENDPOINT_URL") and not all(named):
        raise InputError(
            f"accounts.{account}.endpoint_url: SES is at {elsewhere}, and topic and queue would be made at AWS; "
            "set AWS_ENDPOINT_URL_SNS and AWS_ENDPOINT_URL_SQS too, or leave endpoint_url out"
        )


def _show_plan(planned: Plumbing) -> None:
    from sesq.worker.events.setup import event_destination, queue_policy, topic_policy

    steps = [
        ("SNS topic", planned.topic_arn, topic_policy(planned)),
        ("SQS queue", planned.queue_arn, queue_policy(planned)),
        ("subscription", "of the queue to the topic", {"RawMessageDelivery": "true"}),
        ("configuration set", planned.configuration_set, event_destination(planned)),
    ]
    for what, named, document in steps:
        typer.echo(f"{what}: {named}")
        print_json(document)


@app.command(epilog=POISON_EXAMPLES)
def poison(account: Account = DEFAULT_ACCOUNT, json: Json = False) -> None:
    """Show messages that came as events and could not be read; they are set apart, and do not come again."""
    settings = load_settings()
    with part("worker"):
        from sesq.worker.events import Feedback
    redis = open_account(account, settings)
    entries: list[dict[str, Any]] = Feedback(redis, account).poison()
    if json:
        print_json([entry | {"at": utc(entry["at"])} for entry in entries])
        return
    now = redis_now(redis)
    rows = [(local(entry["at"], now), entry["why"], printable(str(entry["body"])[:60])) for entry in entries]
    show(wrapped(("at", "why", "begins with"), rows) if rows else "nothing was set apart")


@app.command(epilog=NOTICES_EXAMPLES)
def notices(account: Account = DEFAULT_ACCOUNT, json: Json = False) -> None:
    """Show messages that are not events: greetings, confirmations, notices of SES about the account, such as a pause,
    and values of events that this version does not know.
    """
    settings = load_settings()
    with part("worker"):
        from sesq.worker.events import Feedback
    redis = open_account(account, settings)
    entries: list[dict[str, Any]] = Feedback(redis, account).notices()
    if json:
        print_json([entry | {"at": utc(entry["at"])} for entry in entries])
        return
    now = redis_now(redis)
    rows = [(local(entry["at"], now), entry["kind"], printable(entry["text"])) for entry in entries]
    show(wrapped(("first came", "what it is", "what it says"), rows) if rows else "no notices came")


@app.command(epilog=STANDING_EXAMPLES)
def standing(account: Account = DEFAULT_ACCOUNT, json: Json = False) -> None:
    """Show how much of the last week's mail bounced or was complained of, how bad that is, and which domains, tags,
    tenants and batches it comes from. Exit 1 if it is bad.
    """
    found = read_reputation(open_account(account), account)
    if json:
        print_json(reputation_as_json(found))
    else:
        typer.echo(found.problem or f"{found.week.level}: {found.week.words}")
        for what, parts in _parts(found):
            if parts:
                show(table(_heads(what), [_part(name, standing) for name, standing in parts]))
    if found.week.level is not Level.FINE:
        raise typer.Exit(1)


def _parts(found: ReputationView) -> Iterator[tuple[str, list[tuple[str, Standing]]]]:
    """What the rates are of -> the name and the counts of each."""
    for what, origins in (("domain", found.domains), ("tag", found.tags)):
        yield what, [(each.name or "all others", each.standing) for each in origins]
    yield "tenant", [*found.tenants.items()]
    yield "batch", [(batch.name or batch.id, standing) for batch, standing in found.batches]


def _heads(what: str) -> tuple[str, ...]:
    return (what, "sent", *(name for kind in REVIEW for name in (WORDS[kind], "rate")), "reached")


def _part(name: str, part: Standing) -> tuple[object, ...]:
    rates = (each for kind in REVIEW for each in (getattr(part, kind), share(part.rate(kind))))
    reached = [f"{part.passed(kind)} ({WORDS[kind]})" for kind in REVIEW if part.passed(kind).is_bad]
    few = all(part.passed(kind) is Passed.TOO_FEW for kind in REVIEW)
    return printable(name), part.sent, *rates, "too few to judge" if few else ", ".join(reached)


app.command(epilog=CONSUMERS_EXAMPLES)(consumers)
app.command(epilog=FORGET_EXAMPLES)(forget)


def _feedback(redis: Redis, settings: Settings, account: str) -> Feedback:
    with part("worker"):
        from sesq.worker.events import Feedback
    events, tenant = settings.account(account).events, settings.account(account).tenant
    return Feedback(
        redis,
        account,
        keep_content=settings.keep_content,
        pauses_bulk=events.on_reputation == "pause_bulk",
        suppress_possible=events.suppress_possible_complainers,
        tenant=tenant,
    )
