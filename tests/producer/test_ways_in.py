"""Every way in reads a mail alike: what is mended at one is mended at all, and what is refused is refused at all.

Django's way is walked in `test_django`, with the same mails.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from contextlib import redirect_stderr
from pathlib import Path

import pytest
from redis import Redis
from typer.testing import CliRunner

from sesq.config.embedded import EmbeddedRedis
from sesq.config.errors import InvalidMessage
from sesq.console.app import app
from sesq.producer import Message, Outbox
from sesq.producer.mail_domain import known_domain
from sesq.producer.sendmail import command
from sesq.queue.keys import Keys
from submitting import Line, submission_server
from waiting import in_order
from written_mails import MENDED, REFUSED, Mended, Refused, parsed

Way = Callable[[Redis, bytes, tuple[str, ...]], str]
"""Sends a mail to some people; what was answered."""


def message_with_raw(redis: Redis, raw: bytes, to: tuple[str, ...]) -> str:
    return queued(redis, lambda: Message(sender="shop@example.com", to=to, raw=raw))


def message_from_bytes(redis: Redis, raw: bytes, to: tuple[str, ...]) -> str:
    return queued(redis, lambda: Message.from_bytes(raw, to=to[:1], cc=to, bcc=to))


def queued(redis: Redis, make: Callable[[], Message]) -> str:
    try:
        return Outbox(redis).send(make())
    except InvalidMessage as error:
        return str(error)


def sendmail(_: Redis, raw: bytes, to: tuple[str, ...]) -> str:
    with redirect_stderr(io.StringIO()) as said:
        command.run(["-i", "--", *to], io.BytesIO(raw))
    return said.getvalue()


def submission(redis: Redis, raw: bytes, to: tuple[str, ...]) -> str:
    with submission_server(Outbox(redis)) as server, Line(server.listeners[0].port) as line:
        line.begin("shop@example.com", *(address.rpartition("<")[2].rstrip(">") for address in to))
        return line.say(raw + b".\r\n")


def command_line(_: Redis, raw: bytes, to: tuple[str, ...]) -> str:
    words = ["send", "--raw", "-", *(word for address in to for word in ("--to", address))]
    result = CliRunner().invoke(app, words, input=raw, prog_name="sesq")
    return result.output + str(result.exception)


WAYS = [message_with_raw, message_from_bytes, sendmail, submission, command_line]


@pytest.fixture(autouse=True)
def _settings(
    redis: Redis, redis_server: EmbeddedRedis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SESQ_REDIS_URL", redis_server.url)
    monkeypatch.setenv("SESQ_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("SESQ_MAIL_DOMAIN", "host.example")
    monkeypatch.chdir(tmp_path)
    known_domain.cache_clear()


@pytest.mark.parametrize("case", MENDED, ids=lambda case: case.name)
@pytest.mark.parametrize("way", WAYS)
def test_what_can_be_mended_is_mended_at_every_way_in(way: Way, case: Mended, redis: Redis) -> None:
    # Given a mail as a program writes it, When it is sent
    answer = way(redis, case.raw, case.to)
    # Then it is queued for each person once, and its next reader finds what was meant
    assert len(in_order(redis)) == 1, answer
    (record,) = in_order(redis)
    assert sorted(record.envelope.recipients) == sorted(case.recipients)
    content = redis.get(Keys("default").content(record.id))
    assert isinstance(content, bytes)
    assert case.check(parsed(content))


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case.name)
@pytest.mark.parametrize("way", WAYS)
def test_what_cannot_be_mended_is_refused_at_every_way_in(way: Way, case: Refused, redis: Redis) -> None:
    assert case.says in " ".join(way(redis, case.raw, ("ada@example.org",)).split())
    assert in_order(redis) == []


@pytest.mark.parametrize("case", MENDED, ids=lambda case: case.name)
def test_a_mended_mail_is_mended_no_further(case: Mended) -> None:
    message = Message(sender="shop@example.com", to=case.to, raw=case.raw)
    assert Message(sender="shop@example.com", to=case.to, raw=message.raw).raw == message.raw


@pytest.mark.parametrize("way", [sendmail, submission])
def test_recipients_beside_one_that_cannot_be_read_are_still_sorted(way: Way, redis: Redis) -> None:
    raw = b"From: shop@example.com\r\nTo: bob@web1, ada@example.org\r\n\r\nHello\r\n"
    way(redis, raw, ("ada@example.org", "dan@example.org"))
    (record,) = in_order(redis)
    assert (record.envelope.to, record.envelope.bcc) == (("ada@example.org",), ("dan@example.org",))


@pytest.mark.parametrize("way", [sendmail, submission])
def test_one_person_among_more_than_50_is_sent_to_once(way: Way, redis: Redis) -> None:
    # Given a mail to more people than one message takes, the first of whom is named again at the end
    people = [f"person{number}@example.org" for number in range(60)]
    raw = b"From: shop@example.com\r\n\r\nHello\r\n"
    # When it is sent, Then nobody is in both of its messages
    way(redis, raw, (*people, "person0@EXAMPLE.org"))
    reached = [spec for record in in_order(redis) for spec in record.envelope.recipients]
    assert sorted(reached) == sorted(people)


@pytest.mark.parametrize("way", [sendmail, command_line])
def test_the_settings_say_how_long_the_record_stays(
    way: Way, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SESQ_KEEP_DAYS", "2")
    way(redis, b"From: shop@example.com\r\n\r\nHello\r\n", ("ada@example.org",))
    (record,) = in_order(redis)
    Outbox(redis).cancel(record.id)
    assert 2 * 86_400 - 60 < redis.ttl(Keys("default").message(record.id)) <= 2 * 86_400
