"""Mail that others have written: its X-Sesq headers, its envelope, and mail to more people than SES takes at once."""

from __future__ import annotations

import email
import email.policy
from datetime import datetime, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sesq.config.errors import InvalidMessage
from sesq.producer.message import Message
from sesq.producer.raw import RawMail
from sesq.producer.written_mail import messages_of, sorted_recipients, take_options
from sesq.queue.states import Lane

HEAD = b"From: Shop <shop@example.com>\r\nTo: Ada <ada@example.org>\r\nCc: cy@example.org\r\nSubject: Hi\r\n"


def mail(headers: bytes = b"", head: bytes = HEAD) -> bytes:
    return head + headers + b"\r\nBody\r\n"


def messages(raw: bytes, *recipients: Any, **options: Any) -> list[Message]:
    return messages_of(RawMail.read(raw), *recipients, **options)


def test_options_come_from_headers_that_do_not_leave() -> None:
    # Given a mail with every header that sesq knows
    raw = mail(
        b"X-Sesq-Lane: bulk\r\nx-sesq-tags: campaign=autumn,\r\n list = news\r\nX-SESQ-Key: order-7\r\n"
        b"X-Sesq-Send-At: 2030-01-31T09:30:00Z\r\nX-Sesq-Expires: 2030-01-31T12:00:00+00:00\r\n"
    )
    # When it is read
    (message,) = messages(raw, lane="transactional", account="shop")
    # Then they are options, what they do not say is as it was given, and the mail is without them
    assert message.lane is Lane.BULK
    assert message.account == "shop"
    assert message.tags == {"campaign": "autumn", "list": "news"}
    assert message.idempotency_key == "order-7"
    assert message.send_at == datetime(2030, 1, 31, 9, 30, tzinfo=timezone.utc)
    assert message.expires_at == datetime(2030, 1, 31, 12, tzinfo=timezone.utc)
    assert message.raw == mail()


@pytest.mark.parametrize(
    ("header", "says"),
    [
        (b"X-Sesq-Lame: bulk", "x-sesq-lane"),
        (b"X-Sesq-Lane: fast", "allowed are transactional, bulk"),
        (b"X-Sesq-Lane: bulk\r\nX-Sesq-Lane: bulk", "twice"),
        (b"X-Sesq-Tags: autumn", "name=value"),
        (b"X-Sesq-Tags: a=1, a=2", "each name once"),
        (b"X-Sesq-Tags: sesq-id=1", "set by sesq"),
        (b"X-Sesq-Key:", "printable characters"),
        (b"X-Sesq-Send-At: tomorrow", "no time"),
        (b"X-Sesq-Expires: 2030-01-31T12:00:00", "time zone"),
        (b"X-Sesq-Expires: 2020-01-31T12:00:00Z", "is over already"),
        (b"X-Sesq-Send-At: 0001-01-01T00:00:00+14:00", "from 1970 to 9000"),
    ],
)
def test_a_header_that_cannot_be_meant_is_refused(header: bytes, says: str) -> None:
    with pytest.raises(InvalidMessage, match=says):
        messages(mail(header + b"\r\n"))


def test_the_envelope_counts_and_blind_copies_stay_blind() -> None:
    # Given a mail to Ada with a copy to Cy, handed over for Ada, Cy and Dan
    raw = mail(b"Bcc: dan@example.org\r\n")
    fields = sorted_recipients(
        RawMail.read(raw), ["dan@example.org", "ADA@example.org", "cy@example.org", "dan@example.org"]
    )
    # When it is read
    (message,) = messages(raw, fields)
    # Then each is where the headers show them, Dan nowhere, and nobody twice
    assert message.to == ("ADA@example.org",)
    assert message.cc == ("cy@example.org",)
    assert message.bcc == ("dan@example.org",)
    assert message.raw is not None
    assert b"dan@" not in message.raw


def test_the_headers_address_a_mail_without_an_envelope() -> None:
    (message,) = messages(mail(b"Bcc: dan@example.org\r\n"))
    assert message.envelope().recipients == ("ada@example.org", "cy@example.org", "dan@example.org")


@given(count=st.integers(1, 160), key=st.sampled_from([None, "k"]))
def test_more_than_50_recipients_are_several_messages_of_one_mail(count: int, key: str | None) -> None:
    addresses = [f"person{i}@example.org" for i in range(count)]
    options: dict[str, Any] = {"idempotency_key": key} if key else {}
    several = messages(mail(), {"to": addresses[:1], "cc": [], "bcc": addresses[1:]}, **options)
    assert [spec for m in several for spec in m.envelope().recipients] == addresses
    assert all(len(m.envelope().recipients) <= 50 for m in several)
    assert {m.raw for m in several} == {mail()}
    keys = {m.idempotency_key for m in several}
    assert len(keys) == (len(several) if key else 1)


def test_a_mail_is_read_as_often_for_a_thousand_recipients_as_for_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Given a mail, and how often it is read on its way to one recipient, with a key
    reads: list[int] = []
    read = RawMail.read
    monkeypatch.setattr(RawMail, "read", lambda raw: reads.append(len(raw)) or read(raw))
    many = {"to": [f"person{i}@example.org" for i in range(1000)]}
    for recipients in ({"to": ["ada@example.org"]}, many):
        taken = messages(mail(), recipients, idempotency_key="k")
        assert len({message.fingerprint() for message in taken}) == len(taken)
        reads.append(0)
    # When it goes to a thousand, Then it is read no more often, and held once
    once, thousand = ("".join("x" if size else " " for size in reads)).split()
    assert once == thousand
    assert len({id(message.raw) for message in taken}) == 1


@given(
    name=st.sampled_from(["Date", "date", "Message-ID", "MESSAGE-ID"]),
    value=st.sampled_from([" a", "", " a\r\n\tb", "\r\n a\r\n b"]),
)
def test_what_ses_sets_anew_makes_no_other_mail_of_it(name: str, value: str) -> None:
    (plain,) = messages(mail(b"X-Date: 1\r\n"))
    (dated,) = messages(mail(f"{name}:{value}\r\nX-Date: 1\r\n".encode()))
    (other,) = messages(mail(b"X-Date: 2\r\n"))
    assert dated.raw != plain.raw
    assert dated.fingerprint() == plain.fingerprint() != other.fingerprint()


def multipart(outer: str, inner: str, text: str = "Hi") -> bytes:
    return (
        mail(f'Content-Type: multipart/mixed; boundary="{outer}"\r\n'.encode())
        + (
            f"--{outer}\r\nContent-Type: multipart/alternative;\r\n boundary={inner}\r\n\r\n"
            f"--{inner}\r\n\r\n{text}\r\n--{inner}--\r\n--{outer}--\r\n"
        ).encode()
    )


def test_boundaries_that_are_new_each_time_make_no_other_mail_of_it() -> None:
    (first,) = messages(multipart("=_symfony_1", "=_symfony_2"))
    (again,) = messages(multipart("=_symfony_3", "=_symfony_4"))
    (other,) = messages(multipart("=_symfony_1", "=_symfony_2", "Ho"))
    assert first.raw != again.raw
    assert first.fingerprint() == again.fingerprint() != other.fingerprint()


@pytest.mark.parametrize("charset", ["utf-8", "latin-1"])
@pytest.mark.parametrize("end", [b"\r\n", b"\n"])
def test_headers_that_are_not_ascii_become_encoded_words(charset: str, end: bytes) -> None:
    # Given a mail as PHP's mail() often makes it
    head = "From: Jörg <joerg@example.com>\r\nTo: Änne <aenne@example.org>, bob@example.org\r\nSubject: Grüße\r\n"
    raw = (mail(head=head.encode(charset)) + "Grüße\r\n".encode(charset)).replace(b"\r\n", end)
    # When it is read
    (message,) = messages(raw)
    # Then it says the same in ASCII, and the body is as it was
    assert message.raw is not None
    top, _, body = message.raw.partition(end * 2)
    assert top.isascii()
    read = email.message_from_bytes(message.raw, policy=email.policy.default)
    assert [a.display_name for a in read["To"].addresses] == ["Änne", ""]
    assert read["From"].addresses[0].display_name == "Jörg"
    assert (read["Subject"], message.subject) == ("Grüße", "Grüße")
    assert body.endswith("Grüße".encode(charset) + end)


@given(
    value=st.text(st.characters(codec="utf-8", exclude_characters="\r\n")),
    name=st.sampled_from(["From", "To", "Cc", "Reply-To", "Subject", "X-Odd"]),
)
def test_no_header_becomes_another_one_when_it_is_made_ascii(value: str, name: str) -> None:
    raw = mail(
        f"X-A: 1\r\n{name}: ü{value}\r\nX-B: 2\r\n".encode(), b"From: a@example.com\r\nTo: b@example.org\r\n"
    )
    try:
        (message,) = messages(raw.replace(b"From: a@example.com\r\n", b"", 1) if name == "From" else raw)
    except InvalidMessage:
        return
    assert message.raw is not None
    before = [field for field, _ in RawMail.read(raw).fields]
    after = [field for field, _ in RawMail.read(message.raw).fields]
    assert after == (before[1:] if name == "From" else before)


def test_a_mail_to_nobody_and_a_key_without_room_for_a_number_are_refused() -> None:
    with pytest.raises(InvalidMessage, match="nobody"):
        messages(mail(), {"to": [], "cc": [], "bcc": []})
    many = {"to": [f"person{i}@example.org" for i in range(51)], "cc": [], "bcc": []}
    with pytest.raises(InvalidMessage, match="too long"):
        messages(mail(), many, idempotency_key="k" * 256)


@given(
    value=st.text(st.characters(codec="utf-8", exclude_characters="\r\n")),
    name=st.sampled_from(["Lane", "Tags", "Key", "Send-At", "Expires", "Odd"]),
)
def test_no_value_of_a_header_crashes_or_stays_in_the_mail(value: str, name: str) -> None:
    raw = mail(f"X-Sesq-{name}: {value}\r\n".encode())
    try:
        left, _ = take_options(RawMail.read(raw))
        (message,) = messages(raw)
    except InvalidMessage:
        return
    assert left.content == mail()
    assert message.raw == mail()
