"""Django's mail as its applications send it; what its own backends promise holds for ours."""

from __future__ import annotations

import email
import email.policy
import pickle
import re
import smtplib
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from email.message import EmailMessage as Parsed
from email.message import MIMEPart
from email.mime.image import MIMEImage
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core import mail
from django.core.checks import ERROR, WARNING, run_checks
from django.core.exceptions import ImproperlyConfigured
from django.core.mail import EmailMessage, EmailMultiAlternatives, send_mail, send_mass_mail
from django.db import transaction
from django.test import override_settings
from django.utils.functional import lazystr
from redis import Redis

from django_project import BACKEND, MAIL_SETTINGS, MODERN
from pages import code_on
from sesq.config.embedded import EmbeddedRedis
from sesq.config.errors import InputError, InvalidMessage, QueueUnavailable, SesqError
from sesq.producer.django import EmailBackend
from sesq.producer.mail_domain import known_domain
from sesq.queue.keys import Keys
from sesq.queue.record import Record
from sesq.queue.states import Lane, State
from waiting import in_order
from written_mails import MENDED, REFUSED, Mended, Refused
from written_mails import parsed as parsed_mail

NOON = datetime.now(timezone.utc) + timedelta(hours=1)


@pytest.fixture(autouse=True)
def _queue(redis: Redis, redis_server: EmbeddedRedis) -> Iterator[None]:
    """Each test has an empty queue. The test runner's own place for mail is not in the way."""
    with override_settings(**MAIL_SETTINGS, SESQ_REDIS_URL=redis_server.url):
        yield


@pytest.fixture
def queued(redis: Redis) -> Any:
    """`queued()`: what was queued, oldest first; `queued(account="…")` of another account."""

    def read(account: str = "default") -> list[Record]:
        return in_order(redis, account)

    return read


@pytest.fixture
def parsed(redis: Redis) -> Any:
    """`parsed(record)`: the mail itself, as a mail program reads it."""

    def read(record: Record) -> Parsed:
        content = redis.get(Keys(record.account).content(record.id))
        assert isinstance(content, bytes)
        assert b"\n" not in content.replace(b"\r\n", b"")
        message = email.message_from_bytes(content, policy=email.policy.default)
        assert isinstance(message, Parsed)
        return message

    return read


def letter(**changes: Any) -> EmailMessage:
    return EmailMessage(**{"subject": "Hi", "body": "Hello", "to": ["bob@example.org"], **changes})


def inline_image(content: bytes) -> Any:
    """A part of a mail as Django of this version takes it."""
    if MODERN:
        part: Any = MIMEPart()
        part.set_content(content, "image", "png", disposition="inline", filename="logo.png", cid="<logo>")
        return part
    image = MIMEImage(content, "png")
    image.add_header("Content-ID", "<logo>")
    image.add_header("Content-Disposition", "inline", filename="logo.png")
    return image


def test_send_mail_queues_text_and_html(queued: Any, parsed: Any) -> None:
    # When an application sends mail as it always has
    count = send_mail(
        "Grüße",
        "Hallo, Welt",
        None,
        ["Bob <bob@example.org>"],
        html_message="<p>Hallo</p>",
        **({} if MODERN else {"auth_user": "unused"}),
    )
    # Then it is queued as written
    assert count == 1
    (record,) = queued()
    assert record.envelope.sender == "Shop <shop@example.com>"
    assert record.envelope.recipients == ("bob@example.org",)
    assert record.envelope.subject == "Grüße"
    assert (record.state, record.lane) == (State.QUEUED, Lane.TRANSACTIONAL)
    message = parsed(record)
    assert message["Subject"] == "Grüße"
    assert message.get_content_type() == "multipart/alternative"
    assert message.get_body(("plain",)).get_content().strip() == "Hallo, Welt"
    assert message.get_body(("html",)).get_content().strip() == "<p>Hallo</p>"


def test_many_messages_go_in_one_round_trip(queued: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []
    from sesq.producer import outbox

    run_many = outbox.run_many
    monkeypatch.setattr(outbox, "run_many", lambda *args: calls.append(len(args[2])) or run_many(*args))
    letters = [(f"Hi {i}", "Hello", None, [f"person{i}@example.org"]) for i in range(20)]
    assert send_mass_mail(letters) == 20
    assert calls == [1]
    assert [record.envelope.subject for record in queued()].count("Hi 7") == 1


def test_mail_to_the_admins(queued: Any) -> None:
    mail.mail_admins("Disk full", "It is.")
    (record,) = queued()
    assert record.envelope.sender == "root@example.com"
    assert record.envelope.recipients == ("ada@example.org",)
    assert record.envelope.subject.endswith("Disk full")


def test_copies_are_shown_and_blind_copies_are_not(queued: Any, parsed: Any) -> None:
    letter(cc=["Cy <cy@example.org>"], bcc=["dan@example.org"], reply_to=["help@example.com"]).send()
    (record,) = queued()
    envelope = record.envelope
    assert (envelope.to, envelope.cc, envelope.bcc) == (
        ("bob@example.org",),
        ("Cy <cy@example.org>",),
        ("dan@example.org",),
    )
    message = parsed(record)
    assert message["Reply-To"] == "help@example.com"
    assert "dan@example.org" not in message.as_string()


def test_attachments_and_inline_images_come_through_to_the_byte(queued: Any, parsed: Any) -> None:
    # Given a mail with an inline image, files of several kinds and an invitation
    every_byte = bytes(range(256)) * 9
    letter = EmailMultiAlternatives("Hi", "Hello", None, ["bob@example.org"])
    letter.attach_alternative('<img src="cid:logo">', "text/html")
    letter.attach_alternative("BEGIN:VCALENDAR", "text/calendar; method=REQUEST")
    letter.attach(inline_image(b"\x89PNG" + every_byte))
    letter.attach("données.bin", every_byte, "application/octet-stream")
    letter.attach("latin.txt", "café".encode("latin-1"), "text/plain")
    letter.attach(
        "inner.eml",
        EmailMessage("Inner", "Text", "a@example.org", ["b@example.org"]).message(),
        "message/rfc822",
    )
    # When it is sent
    letter.send()
    # Then every part is there, and binary parts are what they were
    (record,) = queued()
    message = parsed(record)
    leaves = {part.get_filename() or part.get_content_type(): part for part in message.walk()}
    assert leaves["logo.png"].get_payload(decode=True) == b"\x89PNG" + every_byte
    assert leaves["logo.png"]["Content-ID"] == "<logo>"
    assert leaves["logo.png"].get_content_disposition() == "inline"
    assert leaves["données.bin"].get_payload(decode=True) == every_byte
    assert leaves["latin.txt"].get_payload(decode=True) == "café".encode("latin-1")
    assert leaves["inner.eml"].get_payload(0)["Subject"] == "Inner"
    assert leaves["text/calendar"].get_content().strip() == "BEGIN:VCALENDAR"


def test_headers_are_the_applications(queued: Any, parsed: Any) -> None:
    headers = {
        "From": "News <news@example.com>",
        "To": "everybody@example.org",
        "X-Order": "7",
        "X-Name": "Jörg",
    }
    letter(headers=headers, from_email="bounces@example.com").send()
    (record,) = queued()
    assert record.envelope.sender == "News <news@example.com>"
    assert record.envelope.recipients == ("bob@example.org",)
    message = parsed(record)
    assert message["To"] == "everybody@example.org"
    assert (message["X-Order"], message["X-Name"]) == ("7", "Jörg")


def test_a_header_with_a_line_break_is_refused_however_silent(queued: Any) -> None:
    with pytest.raises(ValueError):
        EmailBackend(fail_silently=True).send_messages([letter(subject="Hi\nBcc: eve@example.org")])
    with pytest.raises(ValueError):
        letter(headers={"X-Order": "7\r\nBcc: eve@example.org"}).send()
    assert queued() == []


def test_lazy_texts_bodies_with_from_and_long_lines(queued: Any, parsed: Any) -> None:
    letter(
        subject=lazystr("Später"), body="From here\n.\n..\n" + "ü" * 3000, to=[lazystr("bob@example.org")]
    ).send()
    (record,) = queued()
    assert record.envelope.subject == "Später"
    assert parsed(record).get_content().splitlines() == ["From here", ".", "..", "ü" * 3000]


def test_a_django_that_writes_with_the_modern_classes_is_read_as_well(queued: Any, parsed: Any) -> None:
    # Given what Django 6 hands over: an EmailMessage of the standard library
    class Modern(EmailMessage):
        def message(self, **options: Any) -> Any:
            written = Parsed()
            written["Subject"], written["From"], written["To"] = "Grüße", self.from_email, self.to[0]
            written.set_content("Hallo, Jörg")
            written.add_attachment(
                b"\0\r\n\xff", maintype="application", subtype="octet-stream", filename="ü.bin"
            )
            return written

    # When it is sent, Then it is a mail as any other
    Modern(to=["bob@example.org"]).send()
    message = parsed(queued()[0])
    assert message["Subject"] == "Grüße"
    assert message.get_body().get_content().strip() == "Hallo, Jörg"
    assert next(message.iter_attachments()).get_content() == b"\0\r\n\xff"


def test_another_charset_and_domains_that_are_not_ascii(queued: Any, parsed: Any) -> None:
    message = letter(to=["to@bücher.example"], body="Été")
    message.encoding = "iso-8859-1"
    message.send()
    (record,) = queued()
    assert record.envelope.recipients == ("to@xn--bcher-kva.example",)
    assert parsed(record).get_content_charset() == "iso-8859-1"
    assert parsed(record).get_content().strip() == "Été"


def test_mail_to_nobody_is_not_counted(queued: Any) -> None:
    assert letter(to=[]).send() == 0
    assert EmailBackend().send_messages([]) == 0
    assert queued() == []


def test_more_than_50_recipients_are_one_mail_in_several_messages(queued: Any) -> None:
    message: Any = letter(bcc=[f"person{i}@example.org" for i in range(120)])
    assert message.send() == 1
    assert [record.id for record in queued()] == message.sesq_ids
    assert sum(len(record.envelope.recipients) for record in queued()) == 121


# options


def test_options_by_settings_then_connection_then_message_then_header(queued: Any, parsed: Any) -> None:
    with override_settings(SESQ_LANE="bulk", SESQ_TAGS={"app": "shop"}, SESQ_ACCOUNT="second"):
        letter(subject="settings").send()
        EmailBackend(lane="transactional").send_messages([letter(subject="connection")])
        own: Any = letter(subject="message", headers={"X-Sesq-Tags": "app=header"})
        own.sesq = {"lane": "transactional", "tags": {"app": "attribute"}, "send_at": NOON}
        own.send()
    records = {record.envelope.subject: record for record in queued("second")}
    assert {subject: record.lane for subject, record in records.items()} == {
        "settings": "bulk",
        "connection": "transactional",
        "message": "transactional",
    }
    assert records["settings"].envelope.tags == {"app": "shop"}
    assert records["message"].envelope.tags == {"app": "header"}
    assert records["message"].state is State.SCHEDULED
    assert "X-Sesq-Tags" not in parsed(records["message"])


def test_a_key_queues_a_mail_once_whatever_django_writes_anew(queued: Any) -> None:
    # Given a multipart mail with a key: its Message-ID, Date and boundaries differ each time it is written
    def once(body: str) -> list[str]:
        message: Any = EmailMultiAlternatives("Hi", body, None, ["bob@example.org"])
        message.attach_alternative("<p>Hello</p>", "text/html")
        message.sesq = {"idempotency_key": "order-7"}
        message.send()
        return list(message.sesq_ids)

    # When it is sent twice, it is one message; other content is a conflict
    assert once("Hello") == once("Hello")
    with pytest.raises(InvalidMessage, match="another"):
        once("Other")
    assert len(queued()) == 1


def test_the_message_of_the_page(queued: Any) -> None:
    (code,) = [block for block in code_on("how-to/django.md") if "message.sesq =" in block]
    exec(code, {"EmailMessage": EmailMessage})
    (record,) = queued()
    assert (record.lane, record.envelope.tags) == (Lane.BULK, {"kind": "shipping"})


def test_a_key_is_kept_as_long_as_the_settings_say(redis: Redis) -> None:
    message: Any = letter(headers={"X-Sesq-Key": "order-7"})
    with override_settings(SESQ_KEY_HOURS=1):
        message.send()
    (key,) = redis.scan_iter("*idempotency*")
    assert 3600 - 5 < redis.ttl(key) <= 3600


def test_on_commit_a_rolled_back_mail_is_not_queued(queued: Any) -> None:
    with override_settings(SESQ_ON_COMMIT=True):
        with transaction.atomic():
            assert letter(subject="lost").send() == 1
            transaction.set_rollback(True)
        with transaction.atomic():
            assert letter(subject="kept").send() == 1
            urgent: Any = letter(subject="urgent")
            urgent.sesq = {"on_commit": False}
            urgent.send()
            assert [record.envelope.subject for record in queued()] == ["urgent"]
    assert {record.envelope.subject for record in queued()} == {"urgent", "kept"}


def test_on_commit_bad_mail_is_told_before_it(queued: Any) -> None:
    with override_settings(SESQ_ON_COMMIT=True), transaction.atomic(), pytest.raises(InvalidMessage):
        letter(to=["bob"]).send()


@pytest.mark.parametrize("name", ["SESQ_LAME", "SESQ_IDEMPOTENCY_KEY"])
def test_an_unknown_setting_is_told(name: str) -> None:
    with override_settings(**{name: "x"}), pytest.raises(ImproperlyConfigured, match=f"{name} .*SESQ_LANE"):
        letter().send()


def test_what_is_none_is_left_out(queued: Any) -> None:
    message: Any = letter()
    message.sesq = {"lane": None, "idempotency_key": None}
    with override_settings(SESQ_LANE="bulk", SESQ_ACCOUNT=None, SESQ_ON_UNKNOWN=None, SESQ_KEEP_DAYS=None):
        message.send()
    assert queued()[0].lane == "bulk"


if MODERN:

    def test_each_mailer_has_options_of_its_own(queued: Any) -> None:
        mailers = {"default": {"BACKEND": BACKEND}, "news": {"BACKEND": BACKEND, "OPTIONS": {"lane": "bulk"}}}
        with override_settings(MAILERS=mailers):
            letter(subject="default").send()
            letter(subject="news").send(using="news")
        assert {record.envelope.subject: record.lane for record in queued()} == {
            "default": "transactional",
            "news": "bulk",
        }


# errors


def test_nothing_is_queued_when_one_is_refused(queued: Any) -> None:
    with pytest.raises(InvalidMessage, match="bob"):
        EmailBackend().send_messages([letter(), letter(to=["bob"])])
    assert queued() == []


def test_in_silence_the_others_are_queued(queued: Any) -> None:
    assert EmailBackend(fail_silently=True).send_messages([letter(), letter(to=["bob"])]) == 1
    assert len(queued()) == 1


def test_a_time_that_is_over_is_refused(queued: Any) -> None:
    late: Any = letter()
    late.sesq = {"expires_at": datetime.now(timezone.utc)}
    with pytest.raises(InvalidMessage, match="is over already"):
        EmailBackend().send_messages([letter(), late])
    assert queued() == []


def test_a_conflict_in_silence_is_not_counted(queued: Any) -> None:
    first: Any = letter()
    first.sesq = {"idempotency_key": "order-7"}
    other: Any = letter(body="Other")
    other.sesq = {"idempotency_key": "order-7"}
    assert EmailBackend(fail_silently=True).send_messages([first, other, letter()]) == 2
    assert other.sesq_ids == []
    assert len(queued()) == 2


def test_of_a_mail_in_several_messages_one_is_counted_at_most(queued: Any) -> None:
    # Given a mail to so many that it becomes three messages, and its keys in use for another mail
    crowd = [f"person{i}@example.org" for i in range(120)]
    first: Any = letter(to=crowd)
    other: Any = letter(to=crowd, body="Other")
    first.sesq = other.sesq = {"idempotency_key": "order-7"}
    first.send()
    # When it is sent in silence, Then it is not counted, and what is beside it is
    backend = EmailBackend(fail_silently=True)
    assert backend.send_messages([other]) == 0
    assert backend.send_messages([other, letter(), letter(to=crowd)]) == 2


def test_no_options_of_its_own_may_be_said_as_none(queued: Any) -> None:
    message: Any = letter()
    message.sesq = None
    assert message.send() == 1
    assert len(queued()) == 1


def test_without_redis_it_is_said_or_swallowed() -> None:
    with override_settings(SESQ_REDIS_URL="redis://127.0.0.1:1/0"):
        with pytest.raises(QueueUnavailable):
            letter().send()
        assert EmailBackend(fail_silently=True).send_messages([letter()]) == 0
        assert issubclass(QueueUnavailable, SesqError)


def test_without_a_setting_of_its_own_sesqs_settings_count(
    queued: Any, redis_server: EmbeddedRedis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SESQ_REDIS_URL", redis_server.url)
    with override_settings():
        del settings.SESQ_REDIS_URL
        letter().send()
    assert len(queued()) == 1


def test_a_connection_can_be_opened_closed_and_used_in_a_with_block(queued: Any) -> None:
    with EmailBackend() as connection:
        connection.send_messages([letter(), letter()])
    connection.close()
    assert len(queued()) == 2


class Written(EmailMessage):
    """A mail that is written already, as a library that makes its own does it."""

    raw = b""

    def message(self, **_: Any) -> Any:
        return email.message_from_bytes(self.raw)


@pytest.mark.parametrize("case", MENDED, ids=lambda case: case.name)
def test_a_written_mail_is_mended_as_at_every_other_way_in(
    case: Mended, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SESQ_MAIL_DOMAIN", "host.example")
    known_domain.cache_clear()
    message = Written(to=case.to[:1], cc=case.to, bcc=case.to)
    message.raw = case.raw
    assert message.send() == 1
    (record,) = in_order(redis)
    assert sorted(record.envelope.recipients) == sorted(case.recipients)
    content = redis.get(Keys("default").content(record.id))
    assert isinstance(content, bytes)
    assert case.check(parsed_mail(content))


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case.name)
def test_a_written_mail_is_refused_as_at_every_other_way_in(case: Refused, redis: Redis) -> None:
    message = Written(to=["ada@example.org"])
    message.raw = case.raw
    with pytest.raises(InvalidMessage, match=re.escape(case.says)):
        message.send()
    assert in_order(redis) == []


# errors as Django's callers know them

KNOWN: list[tuple[dict[str, Any], type[smtplib.SMTPException]]] = [
    ({"to": ["bob"]}, smtplib.SMTPRecipientsRefused),
    ({"bcc": ["bob@"]}, smtplib.SMTPRecipientsRefused),
    ({"from_email": "nobody"}, smtplib.SMTPSenderRefused),
    ({"headers": {"X-SES-SOURCE-ARN": "arn:aws:ses"}}, smtplib.SMTPDataError),
    ({"headers": {"X-Sesq-Lane": "fast"}}, smtplib.SMTPDataError),
]


@pytest.mark.parametrize(("changes", "kind"), KNOWN)
def test_a_refused_mail_raises_what_djangos_callers_know(
    changes: dict[str, Any], kind: type[smtplib.SMTPException]
) -> None:
    # Given a mail that SES would refuse, When it is sent, Then the error is sesq's, and one of smtplib's
    with pytest.raises(kind) as told:
        letter(**changes).send()
    error: Any = told.value
    assert isinstance(error, InvalidMessage)
    assert str(error) == f"{error.field}: {error.problem}"
    # and says what those say
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        recipients = letter(**changes).recipients()
        assert error.recipients == dict.fromkeys(recipients, (554, str(error).encode()))
    else:
        assert (error.smtp_code, error.smtp_error) == (554, str(error).encode())
    if isinstance(error, smtplib.SMTPSenderRefused):
        assert error.sender == "nobody"
    # and can be handed to another process
    copy = pickle.loads(pickle.dumps(error))
    assert (type(copy), str(copy), copy.args) == (type(error), str(error), error.args)


@pytest.mark.parametrize(
    "options",
    [
        "bulk",
        7,
        {"lame": "x"},
        {7: "x"},
        {"lane": "fast"},
        {"tags": "kind"},
        {"tags": {"kind": 7}},
        {"account": "No such"},
        {"account": 7},
        {"configuration_set": "a b"},
        {"on_unknown": "perhaps"},
        {"idempotency_key": 7},
        {"send_at": "noon"},
        {"expires_at": "tomorrow"},
    ],
    ids=str,
)
def test_options_of_one_message_that_cannot_be_right_refuse_that_message(options: Any, queued: Any) -> None:
    wrong: Any = letter()
    wrong.sesq = options
    with pytest.raises(smtplib.SMTPDataError) as told:
        wrong.send()
    assert isinstance(told.value, InvalidMessage)
    assert told.value.field in ["message.sesq", *(options if isinstance(options, dict) else [])]
    assert EmailBackend(fail_silently=True).send_messages([wrong, letter()]) == 1
    assert len(queued()) == 1


def test_a_key_that_is_taken_is_told_as_djangos_callers_know_it() -> None:
    first: Any = letter()
    other: Any = letter(body="Other")
    first.sesq = other.sesq = {"idempotency_key": "order-7"}
    first.send()
    with pytest.raises(smtplib.SMTPDataError, match="already used"):
        other.send()


@pytest.mark.parametrize("kind", [QueueUnavailable, smtplib.SMTPException, ConnectionError])
def test_without_redis_the_error_is_that_of_a_lost_connection(kind: type[Exception]) -> None:
    with override_settings(SESQ_REDIS_URL="redis://127.0.0.1:1/0"), pytest.raises(kind) as told:
        letter().send()
    assert str(pickle.loads(pickle.dumps(told.value))) == str(told.value)


@pytest.mark.parametrize("setting", [{"SESQ_REDIS_URL": "http://example.org"}, {"SESQ_KEY_HOURS": 0}])
@pytest.mark.parametrize("kind", [InputError, ImproperlyConfigured])
def test_a_setting_that_cannot_be_used_is_improperly_configured(
    setting: dict[str, Any], kind: type[Exception]
) -> None:
    with override_settings(**setting), pytest.raises(kind):
        letter().send()


# what Django's own backends take


def test_options_of_other_backends_are_treated_as_django_treats_them(queued: Any) -> None:
    # Given a package that hands every backend what SMTP needs
    others = {"host": "localhost", "port": 25, "username": None, "use_tls": False, "timeout": 5, "lame": "x"}
    if MODERN:  # Django tells, and refuses them in MAILERS
        with pytest.warns((DeprecationWarning, PendingDeprecationWarning), match="lame"):
            backend = EmailBackend(**others)
        with pytest.raises(ImproperlyConfigured, match="lame"):
            EmailBackend(alias="default", lame="x")
    else:
        backend = EmailBackend(**others)
    # When it sends, Then the mail is queued
    backend.send_messages([letter()])
    assert len(queued()) == 1


def test_tags_of_a_message_are_added_to_those_of_the_settings(queued: Any) -> None:
    with override_settings(SESQ_TAGS={"app": "shop", "kind": "any", "list": "none"}):
        message: Any = letter(headers={"X-Sesq-Tags": "list=news"})
        message.sesq = {"tags": {"kind": "receipt", "order": "7"}}
        EmailBackend(tags={"site": "de", "kind": "other"}).send_messages([message])
        letter(subject="plain").send()
    tags = {record.envelope.subject: record.envelope.tags for record in queued()}
    assert tags["Hi"] == {"app": "shop", "site": "de", "kind": "receipt", "order": "7", "list": "news"}
    assert tags["plain"] == {"app": "shop", "kind": "any", "list": "none"}


# an embedded Redis, where none is named


@pytest.fixture
def no_url(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, redis_server: EmbeddedRedis) -> Iterator[None]:
    """No Redis is named anywhere; the embedded one is the tests' own."""
    monkeypatch.delenv("SESQ_REDIS_URL", raising=False)
    monkeypatch.delenv("SESQ_CONFIG", raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setattr("sesq.config.connection._embedded", lambda directory: redis_server)
    with override_settings():
        del settings.SESQ_REDIS_URL
        yield


def found(**changes: Any) -> list[str]:
    """What `manage.py check --tag sesq` finds."""
    with override_settings(**changes):
        return [each.id for each in run_checks(tags=["sesq"])]


def test_without_a_redis_the_project_is_told_before_and_when_it_sends(
    no_url: None, queued: Any, caplog: pytest.LogCaptureFixture
) -> None:
    # Given a project that names no Redis, When it is checked, Then a warning says so, and how to end it
    (warning,) = run_checks(tags=["sesq"])
    assert (warning.id, warning.level) == ("sesq.W001", WARNING)
    assert "embedded Redis" in warning.msg
    assert "SESQ_REDIS_URL" in warning.hint
    # When it sends all the same, then the log says so, once a process
    with override_settings(SESQ_KEY_HOURS=23):  # as no other test: the first mail of a process is meant
        letter().send()
        letter().send()
    assert [record.levelname for record in caplog.records if "embedded Redis" in record.message] == [
        "WARNING"
    ]
    assert len(queued()) == 2


def test_a_project_that_names_its_redis_has_nothing_to_be_told(
    no_url: None, redis_server: EmbeddedRedis, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = redis_server.url
    assert found(SESQ_REDIS_URL=url) == []
    ours, other = {"BACKEND": BACKEND}, {"BACKEND": "django.core.mail.backends.console.EmailBackend"}
    own = {"BACKEND": BACKEND, "OPTIONS": {"redis_url": url}}
    assert found(MAILERS={"default": other, "news": own}) == []
    assert found(MAILERS={"default": ours, "news": own}) == ["sesq.W001"]
    monkeypatch.setenv("SESQ_REDIS_URL", url)
    assert found() == []


@pytest.mark.parametrize(
    "setting",
    [
        {"SESQ_LAME": "x"},
        {"SESQ_LANE": "fast"},
        {"SESQ_TAGS": {"a b": "c"}},
        {"SESQ_ACCOUNT": "No such"},
        {"SESQ_REDIS_URL": "http://example.org"},
    ],
    ids=repr,
)
def test_a_setting_that_cannot_be_used_is_found_before_the_first_mail(setting: dict[str, Any]) -> None:
    with override_settings(**setting):
        (error,) = run_checks(tags=["sesq"])
    assert (error.id, error.level) == ("sesq.E001", ERROR)
    (name,) = setting
    assert f"sesq: {name}" in error.msg
