"""`Message`: what the door lets through, what it refuses with which cure, and what becomes of it."""

from __future__ import annotations

import email
import email.message
import email.policy
import json
import subprocess
import sys
from dataclasses import FrozenInstanceError, fields, replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sesq.config.errors import InvalidMessage
from sesq.producer import moments, rules
from sesq.producer.message import Attachment, Message
from sesq.queue.addresses import spec_of
from sesq.queue.envelope import Envelope, SimpleContent
from sesq.queue.states import Lane

NOON = datetime(2030, 1, 31, 12, tzinfo=timezone.utc)
EAST, WEST = timezone(timedelta(hours=14)), timezone(timedelta(hours=-12))
RAW = (
    b"From: Shop <shop@example.com>\r\n"
    b"To: Ada <ada@example.org>,\r\n\tbob@example.org\r\n"
    b"Cc: cy@example.org\r\n"
    b"Bcc: dan@example.org,\r\n eve@example.org\r\n"
    b"Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n"
    b"X-Odd:kept  as it is \r\n"
    b"\r\n"
    b"Bcc: this is body\r\n"
)


def message(**changes: Any) -> Message:
    return Message(**{"sender": "shop@example.com", "to": "ada@example.org", "text": "Hello", **changes})


def test_a_message_becomes_an_envelope_and_content() -> None:
    # Given a message with all that people usually set
    full = Message(
        sender="Shöp <shop@example.com>",
        to=["Ada <ada@example.org>", "bob@example.org"],
        cc="cy@example.org",
        bcc=("dan@example.org",),
        reply_to="help@example.com",
        subject="Grüße",
        text="Hello",
        html="<p>Hello</p>",
        headers={"X-Order": "7", "X-Name": "Jörg"},
        tags={"kind": "order"},
        configuration_set="orders",
        lane="bulk",
        on_unknown="resend",
    )

    # When it is split for the queue
    envelope, content = full.envelope(), SimpleContent.from_bytes(full.content())

    # Then the envelope has the people, the content has the words, and all addresses are ASCII
    assert envelope.kind == "simple"
    assert envelope.sender == "=?utf-8?b?U2jDtnA=?= <shop@example.com>"
    assert envelope.recipients == ("ada@example.org", "bob@example.org", "cy@example.org", "dan@example.org")
    assert envelope.reply_to == ("help@example.com",)
    assert (envelope.subject, envelope.tags, envelope.configuration_set) == (
        "Grüße",
        {"kind": "order"},
        "orders",
    )
    assert envelope.on_unknown == "resend"
    assert full.lane is Lane.BULK
    assert (content.subject, content.text, content.html) == ("Grüße", "Hello", "<p>Hello</p>")
    assert content.headers == (("X-Order", "7"), ("X-Name", "=?utf-8?b?SsO2cmc=?="))


def test_a_message_is_frozen_and_keeps_no_hold_on_what_it_was_given() -> None:
    tags = {"a": "1"}
    frozen = message(tags=tags)
    tags["b"] = "\n"
    assert frozen.tags == {"a": "1"}
    with pytest.raises(FrozenInstanceError):
        frozen.subject = "x"  # type: ignore[misc]
    assert replace(frozen, lane="bulk").lane is Lane.BULK


@pytest.mark.parametrize(
    ("changes", "field", "cure"),
    [
        ({"to": ()}, "to", "give to="),
        (
            {
                "to": [f"a{number}@example.org" for number in range(40)],
                "cc": [f"b{number}@example.org" for number in range(11)],
            },
            "to",
            "split",
        ),
        ({"to": "ada@example.org, bob@example.org"}, "to", "list"),
        ({"to": ["ada@example.org", "bob"]}, "to", "no domain"),
        ({"to": 5}, "to", "list"),
        ({"to": [5]}, "to", "string"),
        ({"to": b"ada@example.org"}, "to", "string"),
        ({"cc": "ada@example.org\nBcc: eve@example.org"}, "cc", "line break"),
        ({"bcc": "x"}, "bcc", "no domain"),
        ({"reply_to": "jörg@example.org"}, "reply_to", "SMTPUTF8"),
        ({"sender": ""}, "sender", "empty"),
        ({"sender": "Shop <shop@example.com>\r\nX: y"}, "sender", "line break"),
        ({"subject": "Hi\r\nBcc: eve@example.org"}, "subject", "line break"),
        ({"subject": "Hi\u2028there"}, "subject", "line break"),
        ({"subject": "=?utf-8?q?Hi=0ABcc:_eve?="}, "subject", "line break"),
        ({"subject": "a" * 901}, "subject", "shorten"),
        ({"subject": None}, "subject", "must be text"),
        ({"text": None}, "text", "give text="),
        ({"text": b"Hello"}, "text", "must be text"),
        ({"text": "a\0b"}, "text", "NUL"),
        ({"html": "\ud83d"}, "html", "half a character"),
        ({"headers": {"From": "eve@example.org"}}, "headers", "give sender="),
        ({"headers": {"bCC": "eve@example.org"}}, "headers", "give bcc="),
        ({"headers": {"Sender": "eve@example.org"}}, "headers", "give sender="),
        ({"headers": {"Return-Path": "eve@example.org"}}, "headers", "SES sets it"),
        ({"headers": {"DKIM-Signature": "x"}}, "headers", "SES signs"),
        ({"headers": {"Content-Type": "text/html"}}, "headers", "give text="),
        ({"headers": {"X-SES-Configuration-Set": "x"}}, "headers", "give configuration_set="),
        ({"headers": {"X-Sesq-Lane": "bulk"}}, "headers", "lane="),
        ({"headers": {"Resent-To": "eve@example.org"}}, "headers", "raw"),
        ({"headers": {"X-A": "1", "x-a": "2"}}, "headers", "twice"),
        ({"headers": {"x-a": "1", "X-A": "2"}}, "headers", "twice"),
        ({"headers": {"X A": "1"}}, "headers", "no header name"),
        ({"headers": {"X:A": "1"}}, "headers", "no header name"),
        ({"headers": {"X-Ä": "1"}}, "headers", "no header name"),
        ({"headers": {"": "1"}}, "headers", "no header name"),
        ({"headers": {"X\r\nBcc": "1"}}, "headers", "no header name"),
        ({"headers": {"X-A": "1\r\nBcc: eve@example.org"}}, "headers: X-A", "line break"),
        ({"headers": {"X-A": 1}}, "headers: X-A", "must be text"),
        ({"headers": [("X-A", "1")]}, "headers", "mapping"),
        ({"tags": {"sesq-id": "1"}}, "tags", "another name"),
        ({"tags": {"ses:from-domain": "1"}}, "tags", "another name"),
        ({"tags": {"a b": "1"}}, "tags", "SES allows"),
        ({"tags": {"a": ""}}, "tags", "SES allows"),
        ({"tags": {"a": "1\n"}}, "tags", "SES allows"),
        ({"tags": {"a": "b" * 257}}, "tags", "SES allows"),
        ({"tags": {"a": 1}}, "tags", "SES allows"),
        ({"tags": "a=1"}, "tags", "mapping"),
        ({"configuration_set": "my set"}, "configuration_set", "SES allows"),
        ({"configuration_set": "a" * 65}, "configuration_set", "SES allows"),
        ({"lane": "fast"}, "lane", "transactional, bulk"),
        ({"account": "Shop"}, "account", "a-z"),
        ({"account": "a" * 33}, "account", "32"),
        ({"on_unknown": "retry"}, "on_unknown", "hold and resend"),
        ({"idempotency_key": "k" * 257}, "idempotency_key", "256"),
        ({"idempotency_key": ""}, "idempotency_key", "256"),
        ({"send_at": NOON.replace(tzinfo=None)}, "send_at", "time zone"),
        ({"expires_at": "tomorrow"}, "expires_at", "datetime"),
        ({"send_at": NOON, "expires_at": NOON}, "expires_at", "not after send_at"),
        ({"expires_at": datetime.now(timezone.utc)}, "expires_at", "is over already"),
        ({"send_at": datetime(1969, 12, 31, tzinfo=timezone.utc)}, "send_at", "from 1970 to 9000"),
        ({"send_at": datetime.min.replace(tzinfo=EAST)}, "send_at", "from 1970 to 9000"),
        ({"send_at": datetime(9000, 1, 1, tzinfo=timezone.utc)}, "send_at", "from 1970 to 9000"),
        ({"expires_at": datetime.max.replace(tzinfo=WEST)}, "expires_at", "from 1970 to 9000"),
        ({"attachments": ["report.pdf"]}, "attachments", "from_path"),
        ({"attachments": [Attachment("a", b""), "report.pdf"]}, "attachments", "from_path"),
        ({"attachments": [Attachment("a", b"")] * 496}, "attachments", "500 parts"),
        ({"attachments": [Attachment("a.png", b"", inline_id="a")]}, "attachments", "needs html="),
        (
            {"html": "", "attachments": [Attachment("a.png", b"", inline_id="a")] * 2},
            "attachments",
            "given twice",
        ),
        ({"raw": RAW}, "text", "one or the other"),
    ],
)
def test_bad_input_is_refused_at_the_door_with_a_cure(changes: dict[str, Any], field: str, cure: str) -> None:
    with pytest.raises(InvalidMessage) as refusal:
        message(**changes)
    assert refusal.value.field == field
    assert cure in refusal.value.problem


def people(count: int) -> list[str]:
    return [f"p{number}@example.org" for number in range(count)]


@pytest.mark.parametrize(
    ("field", "most", "one_more"),
    [
        ("to", people(50), people(51)),
        ("subject", f"Hi {'a' * 900} there", f"Hi {'a' * 901} there"),
        ("headers", {"X" * 126: "1"}, {"X" * 127: "1"}),
        ("tags", {"t" * 255: "1"}, {"t" * 256: "1"}),
        ("tags", {"t": "1" * 255}, {"t": "1" * 256}),
        ("configuration_set", "c" * 64, "c" * 65),
        ("tenant", "t" * 64, "t" * 65),
        ("account", "a" * 32, "a" * 33),
        ("idempotency_key", "k" * 256, "k" * 257),
        ("attachments", [Attachment("a", b"")] * 495, [Attachment("a", b"")] * 496),
        (
            "expires_at",
            datetime(8999, 12, 31, tzinfo=timezone.utc),
            datetime(9000, 1, 1, tzinfo=timezone.utc),
        ),
    ],
    ids=lambda value: value if isinstance(value, str) and len(value) < 30 else "",
)
def test_exactly_the_bound_is_taken_and_one_more_is_refused(field: str, most: Any, one_more: Any) -> None:
    message(**{field: most}).envelope()
    with pytest.raises(InvalidMessage) as refusal:
        message(**{field: one_more})
    assert refusal.value.field == field


def test_the_first_moment_that_a_mail_can_have_is_taken() -> None:
    assert message(send_at=datetime(1970, 1, 1, tzinfo=timezone.utc)).send_at == moments.FIRST


def test_a_mail_may_expire_as_soon_as_it_may_go_and_a_moment_has_passed() -> None:
    soon = NOON + timedelta(microseconds=1)
    assert message(send_at=NOON, expires_at=soon).expires_at == soon


@pytest.mark.parametrize(
    ("headers", "kind"),
    [
        ({f"X-{number}": "1" for number in range(15)}, "simple"),
        ({f"X-{number}": "1" for number in range(16)}, "raw"),
        ({"X": f"{'a' * 800} {'a' * 194}"}, "simple"),
        ({"X": f"{'a' * 800} {'a' * 195}"}, "raw"),
        ({"X-Name": f"{'a' * 800} {'a' * 189}"}, "simple"),
        ({"X-Name": f"{'a' * 800} {'a' * 190}"}, "raw"),
    ],
)
def test_own_headers_travel_as_ses_takes_them(headers: dict[str, str], kind: str) -> None:
    assert message(headers=headers).envelope().kind == kind


@pytest.mark.parametrize(
    ("arguments", "one_more"),
    [
        (("n" * 255, b""), ("n" * 256, b"")),
        (("a.png", b"", None, "i" * 200), ("a.png", b"", None, "i" * 201)),
    ],
    ids=["name", "inline id"],
)
def test_an_attachments_names_may_have_their_longest(arguments: Any, one_more: Any) -> None:
    Attachment(*arguments)
    with pytest.raises(InvalidMessage):
        Attachment(*one_more)


@pytest.mark.parametrize(
    ("arguments", "cure"),
    [
        (("../report.pdf", b""), "path"),
        (("C:\\report.pdf", b""), "path"),
        (("/etc/passwd", b""), "path"),
        (("", b""), "no file name"),
        (("..", b""), "no file name"),
        (("a\nb.pdf", b""), "line break"),
        (("a\0.pdf", b""), "control character"),
        (("a" * 256, b""), "255"),
        (("a.txt", "text"), "bytes"),
        (("a.txt", b"", "text"), "type/subtype"),
        (("a.txt", b"", "text/plain\r\nX: y"), "type/subtype"),
        (("a.eml", b"", "message/rfc822"), "application/octet-stream"),
        (("a.png", b"", None, "<a b>"), "no id"),
        (("a.ics", b"", "text/calendar; charset=utf-8", None, True), "method=REQUEST"),
        (("a.ics", b"", "text/calendar; method=REPLY", "a", True), "choose one"),
        (("a.ics", b"", "text/calendar; method=REPLY", None, "yes"), "true or false"),
    ],
)
def test_a_bad_attachment_is_refused(arguments: Any, cure: str) -> None:
    with pytest.raises(InvalidMessage, match=cure) as refusal:
        Attachment(*arguments)
    assert refusal.value.field == "attachments"


def test_an_attachment_comes_from_a_file_and_guesses_its_type(tmp_path: Path) -> None:
    # Given a file in some folder
    (tmp_path / "Übersicht.pdf").write_bytes(b"%PDF")

    # When it is attached, then its name alone travels, and its type is told by the name
    assert Attachment.from_path(tmp_path / "Übersicht.pdf") == Attachment(
        "Übersicht.pdf", b"%PDF", "application/pdf"
    )
    assert Attachment("a.unknown", b"").content_type == "application/octet-stream"
    assert Attachment("a.tar.gz", b"").content_type == "application/octet-stream"
    assert Attachment("mail.eml", b"").content_type == "application/octet-stream"


def test_size_is_measured_as_it_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    # Given SES's limit, made small
    assert rules.MAX_MESSAGE_BYTES == 41_943_040
    monkeypatch.setattr(rules, "MAX_MESSAGE_BYTES", 78_000)

    # Then what base64 makes of the parts counts, in each form
    fits, too_much = b"x" * 56_000, b"x" * 57_001
    message(text="x" * 56_000)
    assert len(message(attachments=[Attachment("a", fits)]).content()) <= 78_000
    Message.from_bytes(RAW + b"\r\n" * 38_000)
    for refused in (
        lambda: message(text="x" * 57_001),
        lambda: message(html="ä" * 28_501),
        lambda: message(attachments=[Attachment("a", too_much)]),
        lambda: Message.from_bytes(RAW + b"\r\n" * 39_000),
    ):
        with pytest.raises(InvalidMessage, match="78,000"):
            refused()


@pytest.mark.parametrize(
    "changes",
    [
        {"attachments": [Attachment("a.txt", b"x")]},
        {"headers": {f"X-{number}": "1" for number in range(16)}},
        {"headers": {"References": " ".join(["<12345678@example.org>"] * 60)}},
        {"headers": {"X-Empty": ""}},
        {"headers": {"X-Long": "ä " * 300}},
    ],
)
def test_what_simple_content_cannot_carry_becomes_mime(changes: dict[str, Any]) -> None:
    mime = message(**changes)
    assert mime.envelope().kind == "raw"
    assert mime.content().startswith(b"From: shop@example.com\r\n")
    assert message(headers={f"X-{number}": "1" for number in range(15)}).envelope().kind == "simple"


def test_a_written_mail_gives_its_envelope_and_keeps_every_other_byte() -> None:
    # When a mail is taken as it is
    taken = Message.from_bytes(RAW, lane="bulk")

    # Then its headers say who gets it, and only Bcc is gone from it
    assert taken.sender == "Shop <shop@example.com>"
    assert taken.to == ("Ada <ada@example.org>", "bob@example.org")
    assert (taken.cc, taken.bcc) == (("cy@example.org",), ("dan@example.org", "eve@example.org"))
    assert (taken.subject, taken.lane, taken.envelope().kind) == ("Grüße", Lane.BULK, "raw")
    assert taken.content() == RAW.replace(b"Bcc: dan@example.org,\r\n eve@example.org\r\n", b"")


def test_a_given_envelope_leaves_the_headers_to_the_reader() -> None:
    taken = Message.from_bytes(RAW, sender="bounce@example.com", to=["zoe@example.org"])
    assert taken.envelope().recipients == ("zoe@example.org",)
    assert taken.envelope().sender_spec == "bounce@example.com"
    assert b"\r\nTo: Ada <ada@example.org>,\r\n\tbob@example.org\r\n" in taken.content()
    assert b"dan@example.org" not in taken.content()


def test_headers_meant_for_ses_become_options() -> None:
    raw = b"X-SES-Configuration-Set: orders\nX-SES-MESSAGE-TAGS: kind=order, shop=7\n" + RAW.replace(
        b"\r\n", b"\n"
    )
    taken = Message.from_bytes(raw)
    assert (taken.configuration_set, taken.tags) == ("orders", {"kind": "order", "shop": "7"})
    assert b"X-SES" not in taken.content()
    assert Message.from_bytes(raw, tags={"a": "1"}).tags == {"a": "1"}
    with pytest.raises(InvalidMessage, match="from_bytes"):
        Message(sender="a@example.org", to="b@example.org", raw=raw)


def test_tags_in_two_headers_are_those_of_both() -> None:
    raw = b"X-SES-MESSAGE-TAGS: kind=order\r\nX-Ses-Message-Tags: shop=7,\r\n list=b\r\n" + RAW
    assert Message.from_bytes(raw).tags == {"kind": "order", "shop": "7", "list": "b"}


@pytest.mark.parametrize(
    ("header", "says"),
    [
        (b"X-SES-MESSAGE-TAGS: kind=order\r\nX-SES-MESSAGE-TAGS: kind=news", "each name once"),
        (b"X-SES-MESSAGE-TAGS: kind=order, kind=news", "each name once"),
        (b"X-SES-MESSAGE-TAGS: order", "name=value"),
        (b"X-SES-CONFIGURATION-SET: a\r\nX-SES-CONFIGURATION-SET: b", "twice"),
    ],
)
def test_headers_meant_for_ses_that_contradict_themselves_are_refused(header: bytes, says: str) -> None:
    with pytest.raises(InvalidMessage, match=rf"^x-ses-.*{says}"):
        Message.from_bytes(header + b"\r\n" + RAW)


@pytest.mark.parametrize("name", ["X-SES-SOURCE-ARN", "X-SES-FROM-ARN", "x-ses-return-path-arn"])
def test_a_mail_does_not_send_by_leave_of_another_account(name: str) -> None:
    raw = f"{name}: arn:aws:ses:eu-west-1:1:identity/bank.com\r\n".encode() + RAW
    with pytest.raises(InvalidMessage, match=f"^{name.lower()}: .*remove it"):
        Message.from_bytes(raw)
    with pytest.raises(InvalidMessage, match=f"^{name.lower()}: "):
        Message(sender="a@example.org", to="b@example.org", raw=raw)


@pytest.mark.parametrize(
    ("header", "name", "cure"),
    [
        (b"X-SES-TENANT: acme", "x-ses-tenant", "tenant="),
        (b"x-ses-tenant: acme\r\nX-SES-TENANT: acme", "x-ses-tenant", "tenant="),
        (b"X-SES-LIST-MANAGEMENT-OPTIONS: news", "x-ses-list-management-options", "contact_list="),
    ],
)
def test_a_mail_does_not_choose_its_tenant_or_list_itself(header: bytes, name: str, cure: str) -> None:
    raw = header + b"\r\n" + RAW
    for make in (
        lambda: Message.from_bytes(raw, to="ada@example.org", tenant="acme", contact_list="news"),
        lambda: Message(sender="a@example.org", to="b@example.org", raw=raw),
    ):
        with pytest.raises(InvalidMessage, match=rf"^{name}: .*give {cure}"):
            make()


HEAD = b"From: a@example.org\r\nTo: b@example.org\r\n"


@pytest.mark.parametrize(
    ("raw", "field", "says"),
    [
        (b"", "raw", "blank line"),
        (HEAD, "raw", "blank line"),
        (b"\r\nhello", "raw", "From"),
        (b"To: b@example.org\r\n\r\n", "raw", "From"),
        (b"From: a@example.org, c@example.org\r\n\r\n", "raw", "one address"),
        (HEAD + b"From: c@example.org\r\n\r\n", "raw", "from twice"),
        (HEAD + b"Subject: 1\r\nsubject: 2\r\n\r\n", "raw", "subject twice"),
        (HEAD + b"Subject: a\rBcc: c@example.org\r\n\r\n", "raw", "line ends"),
        (HEAD + b"Subject: a\nBcc: c@example.org\r\n\r\n", "raw", "line ends"),
        (HEAD + b"\nSubject: body?\r\n\r\n", "raw", "line ends"),
        (HEAD + b"Subject: a\0b\r\n\r\n", "raw", "control character"),
        (HEAD + b"Subject : a\r\n\r\n", "raw", "Name: value"),
        (b"From shop Mon\r\n" + HEAD + b"\r\n", "raw", "Name: value"),
        (b" folded: first\r\n" + HEAD + b"\r\n", "raw", "Name: value"),
        (HEAD + b"Content-Type: a/b\r\n\r\n" + b"x" * 999 + b"\r\n", "raw", "998"),
        (b"From: a@example.org\r\n\r\nnobody", "to", "give to="),
        (b"From: a@example.org\r\nTo: undisclosed-recipients:;\r\n\r\n", "to", "give to="),
        (b"From: a@example.org\r\nTo: b\r\n\r\n", "to", "no domain"),
        (
            b"From: a@example.org\r\nCc: =?utf-8?q?a=0Ab?= <b@example.org>\r\n\r\n",
            "cc",
            "line break|cannot be read",
        ),
        ("no bytes", "raw", "bytes"),
    ],
)
def test_a_mail_that_two_readers_could_read_in_two_ways_is_refused(raw: Any, field: str, says: str) -> None:
    with pytest.raises(InvalidMessage, match=says) as refusal:
        Message.from_bytes(raw)
    assert refusal.value.field == field


def test_a_mail_of_the_standard_library_is_taken_with_its_attachments() -> None:
    # Given an EmailMessage as an application builds it
    mail = email.message.EmailMessage()
    mail["From"], mail["To"], mail["Bcc"] = (
        "Shöp <shop@example.com>",
        "Ada <ada@example.org>",
        "eve@example.org",
    )
    mail["Subject"] = "Grüße"
    mail.set_content("Hällo")
    mail.add_attachment(b"\x00\xff", maintype="application", subtype="pdf", filename="Übersicht.pdf")

    # When it is taken
    taken = Message.from_email(mail, tags={"kind": "report"})

    # Then everybody is in the envelope, and the mail is whole, without Bcc
    read = email.message_from_bytes(taken.content(), policy=email.policy.default)
    assert taken.envelope().recipients == ("ada@example.org", "eve@example.org")
    assert (read["subject"], read["bcc"], taken.subject) == ("Grüße", None, "Grüße")
    (attachment,) = read.iter_attachments()
    assert (attachment.get_filename(), attachment.get_content()) == ("Übersicht.pdf", b"\x00\xff")


@pytest.mark.parametrize(
    "value", ["a\nBcc: eve@example.org", "a\r\nBcc: eve@example.org", "a\rBcc: eve@example.org"]
)
def test_a_mail_of_the_older_classes_cannot_smuggle_a_header(value: str) -> None:
    mail = email.message.Message()
    mail["From"], mail["To"], mail["Subject"] = "a@example.org", "b@example.org", value
    mail.set_payload("Hello")
    with pytest.raises(InvalidMessage, match="line break"):
        Message.from_email(mail)


def test_the_same_mail_has_the_same_fingerprint() -> None:
    # Given a mail built twice, as a retry does, with what libraries invent each time
    def built(number: int) -> Message:
        mail = email.message.EmailMessage()
        mail["From"], mail["To"], mail["Message-ID"] = (
            "a@example.org",
            "b@example.org",
            f"<{number}@example.org>",
        )
        mail["Date"] = NOON + timedelta(seconds=number)
        mail.set_content("Hello")
        mail.add_attachment(b"x", maintype="application", subtype="pdf")
        return Message.from_email(mail)

    # Then the fingerprint does not see the difference, and sees any other
    assert built(1).content() != built(2).content()
    assert built(1).fingerprint() == built(2).fingerprint()
    attached = [Attachment("a.pdf", b"x")]
    assert message(attachments=attached).fingerprint() == message(attachments=attached).fingerprint()
    assert message().fingerprint() != message(text="Hello!").fingerprint()
    assert message().fingerprint() != message(to="bob@example.org").fingerprint()


def on_the_long_night(hour: int, minute: int, *, fold: int) -> datetime:
    """In Berlin, where the clocks show each time from 2 to 3 twice: `fold` 0 is the first one, 1 the second."""
    return datetime(2030, 10, 27, hour, minute, tzinfo=ZoneInfo("Europe/Berlin"), fold=fold)


def test_times_are_compared_as_instants_though_their_clocks_show_otherwise() -> None:
    # Given an end 20 minutes after the beginning, whose clock shows an earlier time
    given = message(send_at=on_the_long_night(2, 50, fold=0), expires_at=on_the_long_night(2, 10, fold=1))
    # Then it is taken, and each of its times is known from the one an hour later
    assert given.send_at != message(send_at=on_the_long_night(2, 50, fold=1)).send_at
    assert Message.from_json(given.to_json()) == given
    assert given.expires_at - given.send_at == timedelta(minutes=20)
    # And an end before the beginning is refused, though its clock shows a later time
    written = json.loads(given.to_json())
    early = on_the_long_night(2, 55, fold=0)
    with pytest.raises(InvalidMessage, match="not after send_at"):
        message(send_at=on_the_long_night(2, 50, fold=1), expires_at=early)
    with pytest.raises(InvalidMessage, match="not after send_at"):
        Message.from_json(
            json.dumps({**written, "send_at": "2030-10-27T01:50:00Z", "expires_at": early.isoformat()})
        )


SAFE = st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"])
LINE = st.text(SAFE, max_size=40).filter(lambda text: "=?" not in text)
TIMES = st.datetimes(
    moments.FIRST.replace(tzinfo=None) + timedelta(days=1),
    moments.LAST.replace(tzinfo=None),
    timezones=st.just(timezone(timedelta(hours=2))),
)
MESSAGES = st.builds(
    message,
    sender=st.sampled_from(["shop@example.com", "Shöp <shop@example.com>"]),
    to=st.lists(st.sampled_from(["ada@example.org", '"K, A" <a@example.org>']), min_size=1, max_size=3),
    cc=st.sampled_from([(), "cy@example.org"]),
    reply_to=st.sampled_from([(), "help@example.com"]),
    subject=LINE,
    text=st.text(SAFE, max_size=40),
    html=st.none() | st.text(SAFE, max_size=40),
    attachments=st.lists(
        st.builds(Attachment, st.just("ä.bin"), st.binary(max_size=40), alternative=st.booleans()), max_size=2
    ),
    headers=st.dictionaries(st.from_regex(r"X-[A-Z]{1,8}", fullmatch=True), LINE, max_size=2),
    tags=st.dictionaries(st.from_regex(r"[a-z]{1,8}", fullmatch=True), st.just("1"), max_size=2),
    lane=st.sampled_from(Lane),
    send_at=st.none() | TIMES,
    on_unknown=st.sampled_from([None, "hold", "resend"]),
    idempotency_key=st.none() | st.just("key"),
)


@given(MESSAGES)
def test_a_message_comes_back_from_json(given: Message) -> None:
    again = Message.from_json(given.to_json())
    assert again == given
    assert (again.envelope(), again.content()) == (given.envelope(), given.content())


def test_a_message_that_has_expired_since_it_was_written_down_comes_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Given a message, written down, whose time passes
    given = message(expires_at=NOON)
    written = given.to_json()
    monkeypatch.setattr(moments, "now", lambda: NOON)
    with pytest.raises(InvalidMessage, match="is over already"):
        message(expires_at=NOON)
    # When it is read, Then it is the same: the queue will say of it that it has expired
    assert Message.from_json(written) == given
    with pytest.raises(InvalidMessage, match="9000"):
        Message.from_json(written.replace("2030", "9001"))


def test_a_raw_message_comes_back_from_json() -> None:
    taken = Message.from_bytes(RAW, account="shop", expires_at=NOON)
    assert Message.from_json(taken.to_json()) == taken


@pytest.mark.parametrize(
    ("data", "field", "says"),
    [
        ({"v": 2}, "v", "knows 1"),
        ({"v": None}, "v", "knows 1"),
        ({"v": 1}, "sender", "missing"),
        ({"v": 1, "sender": "a@example.org", "from": "x"}, "message", "'from'"),
        ({"v": 1, "sender": ["a@example.org"]}, "sender", "string"),
        ({"v": 1, "sender": "a@example.org", "to": {"a": 1}}, "to", "no domain"),
        ({"v": 1, "sender": "a@example.org", "to": None}, "to", "list"),
        ({"v": 1, "sender": "a@example.org", "send_at": "soon"}, "send_at", "2030-01-31"),
        ({"v": 1, "sender": "a@example.org", "raw": "*"}, "raw", "base64"),
        ({"v": 1, "sender": "a@example.org", "attachments": "x"}, "attachments", "list"),
        ({"v": 1, "sender": "a@example.org", "attachments": [{"name": "x"}]}, "attachments", "content"),
        ({"v": 1, "sender": "a@example.org", "attachments": [{"path": "x"}]}, "attachments", "'path'"),
        ({"v": 1, "sender": "a@example.org", "to": "b@example.org", "lane": []}, "lane", "allowed"),
        ({"v": 1, "sender": "a@example.org", "to": "b@example.org", "account": 1}, "account", "a-z"),
    ],
)
def test_bad_json_is_refused(data: dict[str, Any], field: str, says: str) -> None:
    with pytest.raises(InvalidMessage, match=says) as refusal:
        Message.from_json(json.dumps(data))
    assert refusal.value.field == field


def test_json_of_other_languages_may_end_its_times_in_z() -> None:
    text = '{"v": 1, "sender": "a@example.org", "to": ["b@example.org"], "text": "", "send_at": "2030-01-31T12:00:00Z"}'
    assert Message.from_json(text).send_at == NOON


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=12) | st.binary(max_size=12) | st.just(NOON),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=4,
)


@given(
    st.dictionaries(
        st.sampled_from([field.name for field in fields(Message) if field.init]), ANYTHING, max_size=4
    )
)
def test_no_argument_crashes_the_door(changes: dict[str, Any]) -> None:
    try:
        made = message(**changes)
    except InvalidMessage:
        return
    made.envelope().to_json()
    made.content()


@given(st.binary(max_size=60), st.sampled_from([b"To: ", b"Subject: ", b"X-A: ", b""]))
def test_no_bytes_crash_the_door_or_change_who_sends(junk: bytes, name: bytes) -> None:
    # Given a mail with anything at all in one header
    raw = b"From: a@example.org\r\nX-First: 1\r\n" + name + junk + b"\r\n\r\nHello\r\n"

    # When it is let through
    try:
        taken = Message.from_bytes(raw, to="b@example.org")
    except InvalidMessage:
        return

    # Then another reader sees the same sender, and no Bcc
    read = email.message_from_bytes(taken.content())
    assert read.get_all("From") == ["a@example.org"]
    assert read["Bcc"] is None
    assert taken.envelope().recipients == ("b@example.org",)


@given(st.text(max_size=60))
def test_addresses_of_a_mail_are_read_as_others_read_them(value: str) -> None:
    raw = b"From: a@example.org\r\nTo: " + value.encode(errors="replace") + b"\r\n\r\n"
    try:
        taken = Message.from_bytes(raw)
    except InvalidMessage:
        return
    header = email.message_from_bytes(raw, policy=email.policy.default)["to"]
    assert [spec_of(wire).rpartition("@")[0] for wire in taken.to] == [
        address.addr_spec.rpartition("@")[0] for address in header.addresses
    ]


def test_writing_a_message_loads_no_aws_library_and_no_queue() -> None:
    # Given a fresh interpreter, when a plain message is written
    program = (
        "import sys; from sesq.producer.message import Message;"
        "m = Message(sender='a@example.org', to='b@example.org', text='x'); m.envelope(); m.content();"
        "print([name for name in ('boto3', 'botocore', 'rq', 'redis', 'pydantic', 'email') if name in sys.modules])"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout

    # Then nothing heavy came with it
    assert loaded.strip() == "[]"


@pytest.mark.parametrize(
    ("header", "others"),
    [
        (b"Return-Path: <bounces@mailer.example>\r\n", ("bounces@mailer.example",)),
        (b"Sender: Desk <desk@mailer.example>\r\n", ("desk@mailer.example",)),
        (b"Sender: shop@example.com\r\nReturn-Path: <>\r\n", ()),
        (b"Return-Path: nobody can <read this\r\n", ()),
    ],
)
def test_the_envelope_says_who_else_has_to_be_verified(header: bytes, others: tuple[str, ...]) -> None:
    raw = header + b"From: Shop <shop@example.com>\r\nTo: ada@example.org\r\n\r\nHello.\r\n"
    mail = Message.from_bytes(raw)
    for each in (mail, replace(mail), Message.from_json(mail.to_json()), mail.readdressed(to="bob@x.org")):
        assert each.envelope().senders == ("shop@example.com", *others)
        assert Envelope.from_json(each.envelope().to_json()).other_senders == others
