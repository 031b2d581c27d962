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
from waiting import in_order

Run = Callable[..., Any]
Door = Callable[["Place", str, Any], None]

MAIL: dict[str, Any] = {"sender": "shop@example.com", "to": "ada@example.org", "text": "Hello"}
RAW = b"From: shop@example.com\r\nTo: ada@example.org\r\nSubject: Hi\r\n\r\nHello\r\n"

FIELDS: dict[str, tuple[Any, tuple[Any, ...]]] = {
    "tenant": ("acme", ("a b", "t" * 65, "t\u00e9l\u00e9")),
}
"""Field -> a value, and values that SES would refuse."""


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


def message(place: Place, field: str, value: Any) -> None:
    Outbox(place.redis).send(Message(**MAIL, **{field: value}))


def message_as_json(place: Place, field: str, value: Any) -> None:
    Outbox(place.redis).send(Message.from_json(json.dumps({"v": 1, **MAIL, field: value})))


def message_there_and_back(place: Place, field: str, value: Any) -> None:
    made = Message.from_json(Message(**MAIL, **{field: value}).to_json())
    Outbox(place.redis).send_many([made])


def message_from_bytes(place: Place, field: str, value: Any) -> None:
    Outbox(place.redis).send(Message.from_bytes(RAW, **{field: value}))


def asyncio_outbox(place: Place, field: str, value: Any) -> None:
    asyncio.run(AsyncOutbox(place.redis).send(Message(**MAIL, **{field: value})))


def batch(place: Place, field: str, value: Any) -> None:
    rows = [{"email": "ada@example.org", "name": "Ada"}]
    Outbox(place.redis).send_batch(place.template, rows, sender="shop@example.com", **{field: value})


def send_command(place: Place, field: str, value: Any) -> None:
    words = ["send", "--from", MAIL["sender"], "--to", MAIL["to"], "--text", "Hello"]
    place.command(*words, f"--{field}", value)


def send_command_with_raw(place: Place, field: str, value: Any) -> None:
    place.command("send", "--raw", "-", f"--{field}", value, stdin=RAW)


def batch_command(place: Place, field: str, value: Any) -> None:
    words = ["batch", "send", str(place.template), str(place.rows), "--from", MAIL["sender"], "--yes"]
    place.command(*words, f"--{field}", value)


def letter() -> Any:
    return EmailMessage("Hi", "Hello", "shop@example.com", ["ada@example.org"])


def django_message(place: Place, field: str, value: Any) -> None:
    email = letter()
    email.sesq = {field: value}
    email.send()


def django_connection(place: Place, field: str, value: Any) -> None:
    EmailBackend(**{field: value}).send_messages([letter()])


def django_setting(place: Place, field: str, value: Any) -> None:
    with override_settings(**{f"SESQ_{field.upper()}": value}):
        letter().send()


def django_kept_options(place: Place, field: str, value: Any) -> None:
    email = letter()
    keep_options(email, **{field: value})
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


@pytest.fixture
def place(redis: Redis, redis_server: EmbeddedRedis, run: Run, here: Path) -> Any:
    with override_settings(**MAIL_SETTINGS, SESQ_REDIS_URL=redis_server.url):
        yield Place(redis, run, here)


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("door", DOORS)
def test_it_arrives(door: Door, field: str, place: Place) -> None:
    value, _ = FIELDS[field]
    door(place, field, value)
    assert getattr(place.queued(), field) == value


@pytest.mark.parametrize(("field", "value"), [(field, bad) for field in FIELDS for bad in FIELDS[field][1]])
@pytest.mark.parametrize("door", DOORS)
def test_what_ses_would_refuse_is_refused_by_name(door: Door, field: str, value: Any, place: Place) -> None:
    with pytest.raises(InvalidMessage) as refused:
        door(place, field, value)
    assert refused.value.field == field
    assert in_order(place.redis) == []
    assert Batches(place.redis).all() == []
