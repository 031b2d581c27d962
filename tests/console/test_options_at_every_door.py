"""What may be said of a message can be said at every door: it arrives, and what SES would refuse is refused there."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.mail import EmailMessage
from django.test import override_settings
from redis import Redis

from batch import write_template
from django_project import MAIL_SETTINGS
from sesq.config.embedded import EmbeddedRedis
from sesq.config.errors import InvalidMessage
from sesq.producer import AsyncOutbox, Message, Outbox
from sesq.producer.django import EmailBackend
from sesq.producer.django.kept_options import keep_options
from sesq.queue.batches import Batches
from sesq.queue.envelope import Envelope
from sesq.queue.transport import note_transport
from waiting import in_order

Run = Callable[..., Any]
Door = Callable[["Place", dict[str, Any]], None]

MAIL: dict[str, Any] = {"sender": "shop@example.com", "to": "ada@example.org", "text": "Hello"}
RAW = b"From: shop@example.com\r\nTo: ada@example.org\r\nSubject: Hi\r\n\r\nHello\r\n"

GOOD: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"tenant": "acme"}, {"tenant": "acme"}),
    (
        {"feedback_to": "Bounces <bounces@b\u00fccher.example>"},
        {"feedback_to": "bounces@xn--bcher-kva.example"},
    ),
    ({"contact_list": "news"}, {"contact_list": "news", "topic": None}),
    ({"contact_list": "news", "topic": "weekly"}, {"contact_list": "news", "topic": "weekly"}),
    ({"track": False}, {"track": "off"}),
    ({"track": True}, {"track": "on"}),
]
"""Options, and what the envelope has then."""
BAD: list[tuple[str, dict[str, Any]]] = [
    *(("tenant", {"tenant": value}) for value in ("a b", "t" * 65, "t\u00e9l\u00e9")),
    *(
        ("feedback_to", {"feedback_to": value})
        for value in ("nobody", "a@b@c.example", "j\u00f6rg@example.com")
    ),
    *(("contact_list", {"contact_list": value}) for value in ("a b", "news;topic", "c" * 65)),
    ("topic", {"topic": "weekly"}),
    *(("topic", {"contact_list": "news", "topic": value}) for value in ("a b", "t" * 65)),
    ("track", {"track": "perhaps"}),
]
"""Which of the options SES would refuse."""


class Place:
    """Where the mail goes, and what every door needs."""

    def __init__(self, redis: Redis, run: Run, folder: Path) -> None:
        self.redis, self.run = redis, run
        self.template = write_template(folder / "news")
        self.rows = folder / "rows.csv"
        self.rows.write_text("email,name\nada@example.org,Ada\n")

    def command(self, *words: str, stdin: bytes | None = None) -> None:
        ran = self.run(*words, stdin=stdin)
        if ran.exit_code:
            raise InvalidMessage(
                ran.output.partition("--")[2].partition(":")[0].replace("-", "_"), ran.output
            )

    def queued(self) -> Envelope:
        """Of the message, or of the batch, that was queued."""
        batches = Batches(self.redis).all()
        (envelope,) = [each.envelope for each in (*batches, *in_order(self.redis))]
        return envelope


def message(place: Place, options: dict[str, Any]) -> None:
    Outbox(place.redis).send(Message(**MAIL, **options))


def message_as_json(place: Place, options: dict[str, Any]) -> None:
    Outbox(place.redis).send(Message.from_json(json.dumps({"v": 1, **MAIL, **options})))


def message_there_and_back(place: Place, options: dict[str, Any]) -> None:
    made = Message.from_json(Message(**MAIL, **options).to_json())
    Outbox(place.redis).send_many([made])


def message_from_bytes(place: Place, options: dict[str, Any]) -> None:
    Outbox(place.redis).send(Message.from_bytes(RAW, **options))


def asyncio_outbox(place: Place, options: dict[str, Any]) -> None:
    asyncio.run(AsyncOutbox(place.redis).send(Message(**MAIL, **options)))


def batch(place: Place, options: dict[str, Any]) -> None:
    rows = [{"email": "ada@example.org", "name": "Ada"}]
    Outbox(place.redis).send_batch(place.template, rows, sender="shop@example.com", **options)


def as_words(options: dict[str, Any]) -> list[str]:
    words = []
    for name, value in options.items():
        option = f"--{name.replace('_', '-')}"
        words += [option, value] if isinstance(value, str) else [option if value else f"--no-{name}"]
    return words


def send_command(place: Place, options: dict[str, Any]) -> None:
    words = ["send", "--from", MAIL["sender"], "--to", MAIL["to"], "--text", "Hello"]
    place.command(*words, *as_words(options))


def send_command_with_raw(place: Place, options: dict[str, Any]) -> None:
    place.command("send", "--raw", "-", *as_words(options), stdin=RAW)


def batch_command(place: Place, options: dict[str, Any]) -> None:
    words = ["batch", "send", str(place.template), str(place.rows), "--from", MAIL["sender"], "--yes"]
    place.command(*words, *as_words(options))


def letter() -> Any:
    return EmailMessage("Hi", "Hello", "shop@example.com", ["ada@example.org"])


def django_message(place: Place, options: dict[str, Any]) -> None:
    email = letter()
    email.sesq = options
    email.send()


def django_connection(place: Place, options: dict[str, Any]) -> None:
    EmailBackend(**options).send_messages([letter()])


def django_setting(place: Place, options: dict[str, Any]) -> None:
    with override_settings(**{f"SESQ_{name.upper()}": value for name, value in options.items()}):
        letter().send()


def django_kept_options(place: Place, options: dict[str, Any]) -> None:
    email = letter()
    keep_options(email, **options)
    email.send()


DOORS: list[Door] = [
    message,
    message_as_json,
    message_there_and_back,
    message_from_bytes,
    asyncio_outbox,
    batch,
    send_command,
    send_command_with_raw,
    batch_command,
    django_message,
    django_connection,
    django_setting,
    django_kept_options,
]
"""The API, SMTP submission and sendmail have tests of their own: these have rules of their own too."""
COMMANDS = (send_command, send_command_with_raw, batch_command)


@pytest.fixture
def place(redis: Redis, redis_server: EmbeddedRedis, run: Run, here: Path) -> Any:
    with override_settings(**MAIL_SETTINGS, SESQ_REDIS_URL=redis_server.url):
        yield Place(redis, run, here)


@pytest.mark.parametrize(("options", "meant"), GOOD, ids=str)
@pytest.mark.parametrize("door", DOORS)
def test_it_arrives(door: Door, options: dict[str, Any], meant: dict[str, Any], place: Place) -> None:
    door(place, options)
    envelope = place.queued()
    assert {name: getattr(envelope, name) for name in meant} == meant


@pytest.mark.parametrize(
    ("door", "field", "options"),
    [
        (door, field, options)
        for door in DOORS
        for field, options in BAD
        if field != "track" or door not in COMMANDS  # an option without a value cannot have a wrong one
    ],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
def test_what_ses_would_refuse_is_refused_by_name(
    door: Door, field: str, options: dict[str, Any], place: Place
) -> None:
    with pytest.raises(InvalidMessage) as refused:
        door(place, options)
    assert refused.value.field == field
    assert_nothing_is_queued(place)


@pytest.mark.parametrize(
    ("door", "known_by"),
    [
        *((door, "a worker that was started") for door in DOORS),
        *((door, "the settings") for door in COMMANDS),
    ],
)
def test_what_smtp_cannot_carry_is_refused_where_the_account_sends_by_smtp(
    door: Door, known_by: str, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    if known_by == "the settings":
        monkeypatch.setenv("SESQ_ACCOUNTS__DEFAULT__TRANSPORT", "smtp")
    else:
        note_transport(place.redis, "default", "smtp")
    with pytest.raises(InvalidMessage, match="SMTP") as refused:
        door(place, {"track": False})
    assert refused.value.field in ("track", "no_track")
    assert_nothing_is_queued(place)
    # and all that it can carry goes
    door(place, {"tenant": "acme", "feedback_to": "b@example.com", "contact_list": "news", "topic": "weekly"})
    place.queued()


def assert_nothing_is_queued(place: Place) -> None:
    assert in_order(place.redis) == []
    assert Batches(place.redis).all() == []


def test_a_list_is_for_one_recipient() -> None:
    for make in (
        lambda: Message(**MAIL, cc="bob@example.org", contact_list="news"),
        lambda: Message.from_bytes(RAW, to=["ada@example.org", "bob@example.org"], contact_list="news"),
        lambda: Message(**MAIL, contact_list="news").readdressed(to="ada@example.org", bcc="bob@example.org"),
    ):
        with pytest.raises(InvalidMessage, match=r"^contact_list: .*not to 2"):
            make()
