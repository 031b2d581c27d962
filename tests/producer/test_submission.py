"""Mail by SMTP: what is taken, what is refused, and that nobody gets a 250 for what is not in Redis."""

from __future__ import annotations

import asyncio
import base64
import logging
import smtplib
import ssl
import threading
import time
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from redis import Redis

from sesq.config.embedded import EmbeddedRedis
from sesq.config.errors import InputError, InvalidMessage, SettingsError
from sesq.config.keys import Keys
from sesq.config.messages import Messages, Record
from sesq.config.states import Lane
from sesq.producer import Message, Outbox
from sesq.producer.raw import RawMail
from sesq.producer.submission.bundle import Bundle
from sesq.producer.submission.handler import read
from sesq.producer.submission.server import Options, SubmissionServer
from sesq.producer.submission.users import ANYBODY, User, hash_password
from submitting import Line, certificate_files, submission_server
from waiting import in_order

PASSWORD = "correct horse"
HASH = hash_password(PASSWORD)
USERS = f"""
[shop]
password = "{HASH}"
senders = ["shop@example.com", "@news.example.com"]

[news]
password = "{HASH}"
senders = ["*"]
lanes = ["bulk"]
account = "second"
"""
MESSAGE = Message(sender="shop@example.com", to="ada@example.org", text="Hello")
MAIL = b"From: Shop <shop@example.com>\r\nTo: Ada <ada@example.org>\r\nSubject: Hi\r\n\r\nHello\r\n"


@pytest.fixture
def queued(redis: Redis) -> Any:
    """`queued()`: the records of what was queued."""

    def records(account: str = "default") -> list[Record]:
        return in_order(redis, account)

    return records


@pytest.fixture
def server(redis: Redis) -> Iterator[SubmissionServer]:
    """On loopback, for everybody on this machine."""
    with submission_server(Outbox(redis), max_bytes=100_000) as running:
        yield running


@pytest.fixture
def users_file(tmp_path: Path) -> Path:
    file = tmp_path / "users.toml"
    file.write_text(USERS)
    return file


@pytest.fixture
def with_users(redis: Redis, users_file: Path) -> Iterator[SubmissionServer]:
    with submission_server(Outbox(redis), users=users_file) as running:
        yield running


def port(server: SubmissionServer) -> int:
    return server.doors[0].port


def plain(user: str, password: str = PASSWORD) -> bytes:
    return b"AUTH PLAIN " + base64.b64encode(f"\0{user}\0{password}".encode()) + b"\r\n"


# what is taken


def test_mail_is_queued_to_the_byte_and_blind_copies_stay_blind(
    server: Any, redis: Redis, queued: Any
) -> None:
    # Given a mail with an attachment and what only a mail program can do to it
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Cc"] = (
        "Shop <shop@example.com>",
        "Ada <ada@example.org>",
        "cy@example.org",
    )
    mail["Subject"], mail["X-Sesq-Lane"], mail["X-Sesq-Tags"] = "Grüße", "bulk", "kind=receipt"
    mail.set_content(".\n..\n")
    mail.add_attachment(
        bytes(range(256)) * 40, maintype="application", subtype="octet-stream", filename="ü.bin"
    )
    mail.set_boundary("the-boundary")
    # When smtplib sends it, to somebody who is not in its headers as well
    with smtplib.SMTP("127.0.0.1", port(server)) as client:
        client.send_message(mail, to_addrs=["ada@example.org", "cy@example.org", "dan@example.org"])
    # Then it is in the queue as smtplib wrote it, less its options
    (record,) = queued()
    assert (record.envelope.to, record.envelope.cc) == (("ada@example.org",), ("cy@example.org",))
    assert record.envelope.bcc == ("dan@example.org",)
    assert (record.lane, record.envelope.tags) == ("bulk", {"kind": "receipt"})
    del mail["X-Sesq-Lane"], mail["X-Sesq-Tags"]
    assert redis.get(Keys("default").content(record.id)) == mail.as_bytes(
        policy=mail.policy.clone(linesep="\r\n")
    )


def test_eight_bit_bodies_pass_and_addresses_that_need_smtputf8_do_not(
    server: Any, redis: Redis, queued: Any
) -> None:
    with Line(port(server)) as line:
        offered = line.say(b"EHLO test\r\n")
        assert {"8BITMIME", "SIZE 100000"} <= {said[4:] for said in offered.splitlines()}
        assert not {"SMTPUTF8", "PIPELINING", "AUTH", "STARTTLS"} & {
            said[4:].split()[0] for said in offered.splitlines()
        }
        assert line.say(b"MAIL FROM:<shop@example.com> SMTPUTF8\r\n").startswith("501")
        assert line.say("MAIL FROM:<jörg@example.com>\r\n".encode()).startswith("500")
        assert line.say(b"MAIL FROM:<shop@example.com> BODY=8BITMIME SIZE=99 AUTH=<>\r\n").startswith("250")
        assert line.say(b"RCPT TO:<ada@example.org>\r\n").startswith("250")
        line.say(b"DATA\r\n")
        body = MAIL + "Grüße\r\n".encode("latin-1")
        assert line.say(body + b".\r\n").startswith("250 2.0.0 queued as ")
    assert redis.get(Keys("default").content(queued()[0].id)) == body


def test_a_bounce_headers_alone_and_the_next_mail_of_a_connection(server: Any, queued: Any) -> None:
    with Line(port(server)) as line:
        line.begin("")
        assert line.say(MAIL.partition(b"\r\n\r\n")[0] + b"\r\n.\r\n").startswith("250")
        line.begin()
        assert line.say(MAIL + b".\r\n").startswith("250")
        assert line.say(b"QUIT\r\n").startswith("221")
    assert len(queued()) == 2


def test_a_hundred_recipients_are_one_mail_to_its_sender(server: Any, queued: Any) -> None:
    with Line(port(server)) as line:
        line.begin("shop@example.com", *(f"person{i}@example.org" for i in range(100)))
        assert line.say(MAIL + b".\r\n").startswith("250")
    assert sum(len(record.envelope.recipients) for record in queued()) == 100


def test_bounces_go_where_ses_sends_them_and_not_where_the_mail_says(
    server: Any, redis: Redis, queued: Any
) -> None:
    with Line(port(server)) as line:
        line.begin()
        assert line.say(b"Return-Path: <ceo@example.com>\r\n" + MAIL + b".\r\n").startswith("250")
    assert redis.get(Keys("default").content(queued()[0].id)) == MAIL


def test_a_key_takes_a_mail_once(server: Any, queued: Any) -> None:
    keyed = b"X-Sesq-Key: order-7\r\n" + MAIL
    with Line(port(server)) as line:
        replies = []
        for content in (keyed, b"Date: Tue, 24 Nov 2026 10:00:00 +0000\r\n" + keyed, keyed + b"more\r\n"):
            line.begin()
            replies.append(line.say(content + b".\r\n"))
    assert replies[0] == replies[1]
    assert replies[2].startswith("554 5.6.0 idempotency_key")
    assert len(queued()) == 1


# 250 is a promise


class SlowOutbox:
    """Redis that answers when it is told to, with what it is told."""

    def __init__(self) -> None:
        self.asked, self.go = threading.Semaphore(0), threading.Semaphore(0)
        self.error: Exception | None = None
        self.batches: list[int] = []

    def offer(self, messages: Any) -> list[str]:
        count = len(list(messages))
        self.batches.append(count)
        self.asked.release()
        assert self.go.acquire(timeout=20)
        if self.error:
            raise self.error
        return [f"id{len(self.batches)}"] * count


def test_the_answer_comes_after_redis_and_what_comes_meanwhile_goes_together() -> None:
    slow = SlowOutbox()
    with submission_server(slow) as server:
        lines = [Line(port(server)) for _ in range(6)]
        for line in lines:
            line.begin()
        # Given a mail on its way to Redis: its sender has no answer
        first, *others = lines
        first._socket.sendall(MAIL + b".\r\n")
        assert slow.asked.acquire(timeout=20)
        first._socket.settimeout(0.05)
        with pytest.raises(TimeoutError):
            first._socket.recv(1)
        first._socket.settimeout(20)
        # When five more come in meanwhile, one of them no mail at all, and Redis answers
        for line in others[:-1]:
            line._socket.sendall(MAIL + b".\r\n")
        others[-1]._socket.sendall(b"no mail\r\n.\r\n")
        _until_waiting(server, 5)
        slow.go.release(2)
        # Then everybody has an answer of their own, and the others took one call
        assert Line.reply(first_again(first)).startswith("250 2.0.0 queued as id1")
        assert [line.reply()[:3] for line in others] == ["250"] * 4 + ["554"]
        assert slow.batches == [1, 4]
        for line in lines:
            line.close()


def first_again(line: Line) -> Line:
    """The file of a socket that timed out reads no more; a new one does."""
    line._file = line._socket.makefile("rb")
    return line


def _until_waiting(server: SubmissionServer, count: int) -> None:
    for _ in range(2000):
        if len(server.bundle._waiting) == count:
            return
        threading.Event().wait(0.01)
    raise AssertionError(f"{len(server.bundle._waiting)} are waiting, not {count}")


def test_without_redis_it_says_451_and_with_a_bug_it_says_so_without_content(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with submission_server(Outbox("redis://127.0.0.1:1/0")) as server, Line(port(server)) as line:
        line.begin()
        assert line.say(MAIL + b".\r\n").startswith("451 4.3.0")
        line.begin()  # the connection lives on
        assert line.say(MAIL + b".\r\n").startswith("451 4.3.0")
    slow = SlowOutbox()
    slow.error = RuntimeError("Hello")
    slow.go.release()
    with submission_server(slow) as server, Line(port(server)) as line:
        line.begin()
        assert line.say(MAIL + b".\r\n").startswith("451 4.3.0")
    assert "RuntimeError" in caplog.text
    assert "Hello" not in caplog.text


def test_a_sender_that_is_gone_costs_the_others_of_its_bundle_nothing() -> None:
    slow = SlowOutbox()
    slow.go.release()

    async def two_of_which_one_is_gone() -> list[str]:
        bundle = Bundle(slow)  # type: ignore[arg-type]
        gone, other = (asyncio.create_task(bundle.queue(lambda: [MESSAGE], 1)) for _ in "12")
        await asyncio.sleep(0)
        gone.cancel()
        return await asyncio.wait_for(other, timeout=20)

    assert asyncio.run(two_of_which_one_is_gone()) == ["id1"]


def test_who_has_hung_up_keeps_nobody_waiting() -> None:
    slow = SlowOutbox()
    with submission_server(slow) as server:
        with Line(port(server)) as gone:
            gone.begin()
            gone._socket.sendall(MAIL + b".\r\n")
            assert slow.asked.acquire(timeout=20)
        slow.go.release(2)
        with Line(port(server)) as line:
            line.begin()
            assert line.say(MAIL + b".\r\n").startswith("250")


# who may


def test_with_users_nobody_sends_without_a_password(with_users: Any, queued: Any) -> None:
    with Line(port(with_users)) as line:
        assert "AUTH LOGIN PLAIN" in line.say(b"EHLO test\r\n")
        for command in (b"MAIL FROM:<shop@example.com>", b"RCPT TO:<ada@example.org>", b"DATA", b"VRFY ada"):
            assert line.say(command + b"\r\n").startswith("530")
        assert line.say(plain("shop", "wrong")).startswith("535")
        assert line.say(plain("nobody")).startswith("535")
        assert line.say(b"MAIL FROM:<shop@example.com>\r\n").startswith("530")
        assert line.say(b"AUTH plain\r\n").startswith("334")
        assert line.say(plain("shop")[11:]).startswith("235")
        line.begin()
        assert line.say(MAIL + b".\r\n").startswith("250")
    assert len(queued()) == 1


def test_passwords_are_tried_three_times_a_connection(with_users: Any) -> None:
    with Line(port(with_users)) as line:
        line.say(b"EHLO test\r\n")
        assert [line.say(plain("shop", "wrong"))[:3] for _ in range(4)] == ["535", "535", "535", "421"]


def test_away_from_loopback_passwords_go_over_tls_alone(
    redis: Redis, users_file: Path, tmp_path: Path
) -> None:
    certificate, key = certificate_files(tmp_path)
    trusting = ssl.create_default_context(cafile=str(certificate))
    options = {"users": users_file, "certificate": certificate, "key": key, "tls_port": 0}
    with submission_server(Outbox(redis), open_to_the_world=True, **options) as server:
        with Line(port(server)) as line:
            assert "AUTH" not in line.say(b"EHLO test\r\n")
            assert line.say(plain("shop")).startswith("538")
            assert line.say(b"MAIL FROM:<shop@example.com>\r\n").startswith("530")
        with smtplib.SMTP("localhost", port(server)) as client:
            client.starttls(context=trusting)
            client.login("shop", PASSWORD)
            client.sendmail("shop@example.com", "ada@example.org", MAIL)
        with smtplib.SMTP_SSL("localhost", server.doors[1].port, context=trusting) as client:
            client.login("news", PASSWORD)
            client.sendmail("shop@example.com", "ada@example.org", MAIL)
    assert len(Messages(redis).list()) == 1
    assert len(Messages(redis, "second").list()) == 1


def test_nothing_said_before_tls_counts_after_it(redis: Redis, users_file: Path, tmp_path: Path) -> None:
    certificate, key = certificate_files(tmp_path)
    options = {"users": users_file, "certificate": certificate, "key": key}
    with submission_server(Outbox(redis), **options) as server, Line(port(server)) as line:
        line.say(b"EHLO test\r\n")
        assert line.say(b"STARTTLS\r\nMAIL FROM:<eve@example.com>\r\n").startswith("421")
        assert line.rest() == ""


@pytest.mark.parametrize(
    ("user", "sender", "content", "answer"),
    [
        ("shop", "eve@example.com", MAIL, "553 5.7.1"),
        ("shop", "SHOP@Example.com", MAIL, "250"),
        ("shop", "any@news.example.com", MAIL, "250"),
        ("shop", "shop@example.com", MAIL.replace(b"<shop@", b"<eve@"), "554 5.6.0 from"),
        ("shop", "shop@example.com", b"Sender: eve@example.com\r\n" + MAIL, "554 5.6.0 sender"),
        ("shop", "shop@example.com", b"X-Sesq-Lane: bulk\r\n" + MAIL, "250"),
        ("news", "shop@example.com", b"X-Sesq-Lane: transactional\r\n" + MAIL, "554 5.6.0 lane"),
        ("news", "shop@example.com", MAIL, "250"),
    ],
)
def test_a_user_sends_as_whom_and_where_they_may(
    with_users: Any, user: str, sender: str, content: bytes, answer: str, queued: Any
) -> None:
    with Line(port(with_users)) as line:
        line.say(b"EHLO test\r\n")
        line.say(plain(user))
        reply = line.say(f"MAIL FROM:<{sender}>\r\n".encode())
        if reply.startswith("250"):
            line.say(b"RCPT TO:<ada@example.org>\r\n")
            line.say(b"DATA\r\n")
            reply = line.say(content + b".\r\n")
    assert reply.startswith(answer)
    records = queued() + queued("second")
    assert len(records) == (1 if answer == "250" else 0)
    assert all((record.account, record.lane) == ("second", "bulk") for record in records if user == "news")


@pytest.mark.parametrize(
    "headers",
    [
        b"From: shop@example.com\r\nFrom: ceo@bank.com",
        b"From: shop@example.com\r\nFROM: ceo@bank.com",
        b"From: shop@example.com\r\nFrom : ceo@bank.com",
        b"From: shop@example.com, ceo@bank.com",
        b"From: ceo@bank.com,\r\n shop@example.com",
        b"From: shop@example.com; ceo@bank.com",
        b"From: <shop@example.com> <ceo@bank.com>",
        b"From: ceo@bank.com <shop@example.com>",
        b'From: "shop@example.com" <ceo@bank.com>',
        b"From: =?utf-8?q?shop=40example.com?= <ceo@bank.com>",
        b"From: <@bank.com:shop@example.com>",
        b"From: shop@example.com (shop) <ceo@bank.com>",
        "From: Bücher <shop@example.com>, Büro <ceo@bank.com>".encode(),
        "From: Bücher <ceo@bank.com>".encode("latin-1"),
        b"From: shop@example.com\xa0ceo@bank.com",
        b"From: Both: shop@example.com, ceo@bank.com;",
        b"From: shop@example.com\r\nSender: ceo@bank.com",
        b"From: shop@example.com\r\nSender: shop@example.com\r\nsender: ceo@bank.com",
        b"From: shop@example.com\r\nSender: shop@example.com, ceo@bank.com",
        b"From: shop@example.com\r\nSender: shop@example.com\r\n <ceo@bank.com>",
        b"From: shop@example.com\r\nSender: shop@example.com; ceo@bank.com",
        b"From: shop@example.com\r\nSender: ceo@bank.com <shop@example.com>",
    ],
)
def test_no_way_to_write_from_or_sender_hides_an_address_that_is_not_the_users(
    with_users: Any, headers: bytes, queued: Any
) -> None:
    with Line(port(with_users)) as line:
        line.say(b"EHLO test\r\n")
        line.say(plain("shop"))
        assert line.begin().startswith("354")
        assert line.say(headers + b"\r\nTo: ada@example.org\r\n\r\nPay me.\r\n.\r\n").startswith("554 5.6.0 ")
        # And the connection is as good as before
        line.begin()
        assert line.say(MAIL + b".\r\n").startswith("250")
    assert len(queued()) == 1


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"host": "0.0.0.0"}, "anybody"),
        ({"host": "0.0.0.0", "users": True}, "certificate"),
        ({"host": "0.0.0.0", "certificate": True, "key": True}, "anybody"),
        ({"tls_port": 0}, "certificate"),
        ({"certificate": True}, "go together"),
        ({"port": None}, "no port"),
        ({"host": "no.such.host.invalid"}, "invalid"),
        ({"users": Path("nowhere.toml")}, "nowhere"),
    ],
)
def test_what_would_not_be_safe_does_not_start(
    options: Any, says: str, tmp_path: Path, users_file: Path
) -> None:
    certificate, key = certificate_files(tmp_path)
    real = {"users": users_file, "certificate": certificate, "key": key}
    chosen = {name: real[name] if value is True else value for name, value in options.items()}
    with pytest.raises(InputError, match=says):
        SubmissionServer(Outbox("redis://127.0.0.1:1"), Options(**{"port": 0, **chosen}))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "no users"),
        ("not toml", "TOML"),
        ("shop = 1", "outside"),
        ('[shop]\npassword = "secret"\nsenders = ["*"]', "no hash"),
        ('[shop]\nsenders = ["*"]', "no hash"),
        (f'[shop]\npassword = "{HASH}"', "senders"),
        (f'[shop]\npassword = "{HASH}"\nsenders = "*"', "senders"),
        (f'[shop]\npassword = "{HASH}"\nsenders = ["*"]\nlanes = ["fast"]', "lanes"),
        (f'[shop]\npassword = "{HASH}"\nsenders = ["*"]\nlanes = []', "lanes"),
        (f'[shop]\npassword = "{HASH}"\nsenders = ["*"]\naccount = "A B"', "account"),
        (f'[shop]\npassword = "{HASH}"\nsenders = ["*"]\nlane = "bulk"', "allowed"),
    ],
)
def test_a_users_file_says_where_it_is_wrong(text: str, says: str, tmp_path: Path) -> None:
    file = tmp_path / "users.toml"
    file.write_text(text)
    with pytest.raises(SettingsError, match=says) as caught:
        SubmissionServer(Outbox("redis://127.0.0.1:1"), Options(port=0, users=file))
    assert str(file) in str(caught.value)


# what is not a mail, or may be two


SMUGGLED = b"MAIL FROM:<eve@example.com>\r\nRCPT TO:<bob@example.org>\r\nDATA\r\n" + MAIL.replace(
    b"Hi", b"Evil"
)


@pytest.mark.parametrize(
    "end", [b"\n.\n", b"\r.\r", b"\n.\r\n", b"\r\n.\n", b"\r\n.\r", b"\r.\r\n", b"\n\n.\r\n"]
)
def test_no_other_end_of_a_mail_smuggles_a_second_one(end: bytes, server: Any, queued: Any) -> None:
    with Line(port(server)) as line:
        line.begin()
        reply = line.say(MAIL + end + SMUGGLED + b"\r\n.\r\n")
        assert reply.startswith("554 5.6.0 mail: has a bare CR or LF")
    assert queued() == []


def test_commands_behind_a_mail_are_not_obeyed(server: Any, queued: Any) -> None:
    with Line(port(server)) as line:
        line.begin()
        assert line.say(MAIL + b".\r\n" + SMUGGLED + b".\r\n").startswith("250")
        assert line.rest().startswith("421 5.5.0")
    assert [record.envelope.subject for record in queued()] == ["Hi"]


@pytest.mark.parametrize(
    "said",
    [
        b"EHLO test\r\nMAIL FROM:<shop@example.com>\r\n",
        b"NOOP\r\nNOOP\r\n",
        b"POST / HTTP/1.1\r\nHost: localhost\r\n\r\nMAIL FROM:<shop@example.com>\r\n",
    ],
)
def test_who_speaks_before_being_answered_is_cut_off(said: bytes, server: Any, queued: Any) -> None:
    with Line(port(server)) as line:
        assert line.say(said).startswith("421 5.5.0")
        assert line.rest() == ""
    assert queued() == []


def test_content_before_the_go_ahead_is_not_taken(server: Any, queued: Any) -> None:
    with Line(port(server)) as line:
        line.say(b"EHLO test\r\n")
        line.say(b"MAIL FROM:<shop@example.com>\r\n")
        line.say(b"RCPT TO:<ada@example.org>\r\n")
        assert line.say(b"DATA\r\n" + MAIL + b".\r\n").startswith("421 5.5.0")
    assert queued() == []


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"no mail at all\r\n", "554 5.6.0 raw"),
        (b"To: ada@example.org\r\n\r\nNo sender\r\n", "554 5.6.0 raw: needs a From"),
        (b"Subject: a\r\nSubject: b\r\n" + MAIL, "554 5.6.0 raw: has the header subject twice"),
        (b"X-Sesq-Lame: bulk\r\n" + MAIL, "554 5.6.0 x-sesq-lame"),
        (
            b"X-Sesq-Expires: 2020-01-31T12:00:00Z\r\n" + MAIL,
            "554 5.6.0 expires_at: 2020-01-31 12:00 UTC is over",
        ),
        (b"X-SES-FROM-ARN: arn:aws:ses:x\r\n" + MAIL, "554 5.6.0 x-ses-from-arn: sends by leave of another"),
        (MAIL + b"x" * 1000 + b"\r\n", "554 5.6.0 raw: has a line of more than 998"),
        (MAIL + b"x" * 70_000 + b"\r\n", "500"),
        (MAIL + (b"x" * 900 + b"\r\n") * 120, "552"),
        (b"X-Sesq-Lane: \xc3\xbc\r\n" + MAIL, "554 5.6.0 lane"),
    ],
)
def test_what_ses_would_refuse_is_told_in_one_line_of_ascii(
    content: bytes, says: str, server: Any, queued: Any
) -> None:
    with Line(port(server)) as line:
        line.begin()
        assert line.say(content + b".\r\n").startswith(says)
        assert line.say(b"NOOP\r\n").startswith("250")
    assert queued() == []


@pytest.mark.parametrize(
    ("command", "answer"),
    [
        (b"MAIL FROM:<shop@example.com> SIZE=100001", "552"),
        (b"MAIL FROM:<shop>", "553 5.1.7"),
        (b"MAIL FROM:shop@example.com", "553"),
        (b"MAIL FROM:<shop@example.com> FAST=1", "555"),
        (b"RCPT TO:<ada@example.org>", "503"),
        (b"DATA", "503"),
        (b"BDAT 5 LAST", "500"),
        (b"x" * 2000, "500"),
    ],
)
def test_commands_that_cannot_be_obeyed(command: bytes, answer: str, server: Any) -> None:
    with Line(port(server)) as line:
        line.say(b"EHLO test\r\n")
        assert line.say(command + b"\r\n").startswith(answer)


@pytest.mark.parametrize(
    "address", ["ada", "ada@example", "@example.org", "a b@example.org", "a@b.org,c@d.org", ""]
)
def test_recipients_are_checked_one_by_one(address: str, server: Any) -> None:
    with Line(port(server)) as line:
        line.say(b"EHLO test\r\n")
        line.say(b"MAIL FROM:<shop@example.com>\r\n")
        assert line.say(f"RCPT TO:<{address}>\r\n".encode()).startswith("553 5.1.3")


# limits


def test_one_connection_too_many_is_told_to_come_back(redis: Redis) -> None:
    with submission_server(Outbox(redis), max_connections=2) as server:
        lines = [Line(port(server)) for _ in range(3)]
        assert [line.greeting[:9] for line in lines] == ["220 local", "220 local", "421 4.7.0"]
        for line in lines:
            line.close()


def test_silence_is_not_waited_out(redis: Redis) -> None:
    with submission_server(Outbox(redis), idle_seconds=0.2, data_seconds=0.2) as server:
        with Line(port(server)) as line:
            assert line.reply().startswith("421 4.4.2")
        with Line(port(server)) as line:
            assert line.begin().startswith("354")
            line._socket.sendall(MAIL)
            assert line.reply().startswith("421 4.4.2")


def test_who_does_not_log_in_is_not_kept_by_talking(redis: Redis, users_file: Path) -> None:
    with (
        submission_server(Outbox(redis), users=users_file, idle_seconds=0.5) as server,
        Line(port(server)) as line,
        Line(port(server)) as known,
    ):
        # Given one who has logged in, and one who says something all the time, but no name
        known.say(b"EHLO test\r\n")
        assert known.say(plain("shop")).startswith("235")
        until = time.monotonic() + 10
        while (reply := line.say(b"EHLO test\r\n")).startswith("250") and time.monotonic() < until:
            assert known.say(b"RSET\r\n").startswith("250")
        # Then one is hung up on, and the other is not
        assert reply.startswith("421 4.7.0")
        assert known.say(b"RSET\r\n").startswith("250")


def test_at_the_end_who_is_connected_hears_of_it(redis: Redis) -> None:
    with submission_server(Outbox(redis)) as server:
        line = Line(port(server))
    assert line.reply().startswith("421 4.3.2")
    line.close()


# anything at all

WORDS = st.sampled_from(
    b"EHLO x|HELO x|MAIL FROM:|RCPT TO:|<shop@example.com>|<ada@example.org>|<>|DATA|RSET|NOOP|VRFY|HELP|AUTH PLAIN|"
    b"AUTH LOGIN|=|*|STARTTLS|SIZE=9|BODY=8BITMIME| |\t|\0|\xff|.|\r|\n|X-Sesq-Key: a|From: a@example.com".split(
        b"|"
    )
)
LINES = st.lists(st.one_of(WORDS, st.just(MAIL), st.binary(max_size=30)), max_size=6).map(b"".join)


@pytest.fixture(scope="module")
def fuzzed(redis_server: EmbeddedRedis) -> Iterator[SubmissionServer]:
    with submission_server(Outbox(redis_server.url)) as running:
        yield running


@settings(max_examples=60)
@given(lines=st.lists(LINES, max_size=8), patient=st.booleans())
def test_whatever_is_said_the_server_answers_and_lives(
    fuzzed: Any, lines: list[bytes], patient: bool
) -> None:
    logged: list[logging.LogRecord] = []
    handler = logging.Handler()
    handler.emit = logged.append  # type: ignore[method-assign]
    logging.getLogger("sesq.submission").addHandler(handler)
    try:
        with Line(port(fuzzed)) as line:
            for said in lines:
                line._socket.sendall(said + b"\r\n")
                if patient:  # an answer to everything, but to what is content
                    line.await_reply()
            line.rest()
    except OSError:
        pass  # it has hung up
    finally:
        logging.getLogger("sesq.submission").removeHandler(handler)
    assert [record for record in logged if record.levelno >= logging.ERROR] == []
    with Line(port(fuzzed)) as line:
        assert line.say(b"EHLO test\r\n").startswith("250")


HEADER_LINES = st.one_of(
    st.sampled_from(
        b"From: shop@example.com|To: ada@example.org|Subject: Hi|Bcc: bob@example.org|X-Sesq-Lane: bulk|"
        b"X-Sesq-Key: k| folded|\t||Subject: =?utf-8?q?a=0d=0aBcc:_eve@example.org?=|From: =?x?b?zz?= <a@b.co>".split(
            b"|"
        )
    ),
    st.binary(max_size=40).map(lambda value: b"X-Odd: " + value),
    st.binary(max_size=40),
)


@settings(max_examples=300)
@given(
    lines=st.lists(HEADER_LINES, max_size=8),
    recipients=st.lists(st.sampled_from(["a@example.org", "b@example.org"])),
)
def test_no_content_crashes_or_brings_a_header_that_was_not_there(
    lines: list[bytes], recipients: list[str]
) -> None:
    content = b"\r\n".join([*lines, b"", b"Body", b""])
    try:
        messages = read(content, recipients, ANYBODY)
    except InvalidMessage:
        return
    before = [name for name, _ in RawMail.read(content).fields]
    for message in messages:
        assert message.raw is not None
        after = [name for name, _ in RawMail.read(message.raw).fields]
        assert after == [name for name in before if name != "bcc" and not name.startswith("x-sesq-")]
        assert set(message.envelope().recipients) <= set(recipients)


@given(spec=st.text(max_size=30))
def test_a_sender_rule_for_a_domain_is_for_nobody_elses(spec: str) -> None:
    user = User("shop", "", ("@example.com",), (Lane.BULK,))
    assert user.may_send_as(f"{spec}@example.com")
    assert not user.may_send_as(f"{spec}@evil-example.com")
    assert not user.may_send_as(f"{spec}@example.com.evil.org")
