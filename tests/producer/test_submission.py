"""Mail by SMTP: what is taken, what is refused, and that nobody gets a 250 for what is not in Redis."""

from __future__ import annotations

import asyncio
import base64
import email
import email.policy
import hashlib
import itertools
import logging
import re
import signal
import smtplib
import socket
import ssl
import threading
import tracemalloc
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
from sesq.producer import Message, Outbox
from sesq.producer.raw import RawMail
from sesq.producer.submission.bundle import Bundle
from sesq.producer.submission.content import Content
from sesq.producer.submission.handler import read
from sesq.producer.submission.hosts import host_of
from sesq.producer.submission.server import Options, SubmissionServer, serve
from sesq.producer.submission.users import ANYBODY, User, Users, hash_password, is_password
from sesq.queue.keys import Keys
from sesq.queue.messages import Messages
from sesq.queue.record import Record
from sesq.queue.states import Lane
from submitting import Line, certificate_files, pass_seconds, submission_server
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

[globex]
password = "{HASH}"
senders = ["*"]
tenant = "globex"

[agency]
password = "{HASH}"
senders = ["*"]
tenants = ["acme", "initech"]
contact_lists = ["news"]

[host]
password = "{HASH}"
senders = ["*"]
tenant = "globex"
tenants = ["*"]
contact_lists = ["*"]
"""


def hash_of(password: str, cost: int) -> str:
    """A hash that is checked in a moment, of whatever bytes."""
    secret = password.encode(errors="surrogateescape")
    hashed = hashlib.scrypt(secret, salt=b"salt", n=cost, r=8, p=1, dklen=32)
    return "$".join(
        ("scrypt", str(cost), "8", "1", *(base64.b64encode(x).decode() for x in (b"salt", hashed)))
    )


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
    return server.listeners[0].port


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


def test_eight_bit_bodies_pass(server: Any, redis: Redis, queued: Any) -> None:
    with Line(port(server)) as line:
        offered = {said[4:] for said in line.say(b"EHLO test\r\n").splitlines()}
        assert {"8BITMIME", "SIZE 100000", "SMTPUTF8", "ENHANCEDSTATUSCODES"} <= offered
        assert not {"PIPELINING", "AUTH", "STARTTLS", "DSN"} & {said.split()[0] for said in offered}
        assert line.say(b"MAIL FROM:<shop@example.com> BODY=8BITMIME SIZE=99 AUTH=<>\r\n").startswith("250")
        assert line.say(b"RCPT TO:<ada@example.org>\r\n").startswith("250")
        line.say(b"DATA\r\n")
        body = b"Content-Type: text/plain; charset=latin-1\r\n" + MAIL + "Grüße\r\n".encode("latin-1")
        assert line.say(body + b".\r\n").startswith("250 2.0.0 queued as ")
    assert redis.get(Keys("default").content(queued()[0].id)) == body


def test_headers_in_utf8_are_encoded_and_domains_are_idna(server: Any, redis: Redis, queued: Any) -> None:
    mail = "From: Jörg <shop@bücher.example>\r\nTo: ada@straße.example\r\nSubject: Grüße\r\n\r\nGrüße\r\n"
    with Line(port(server)) as line:
        # Given a program that asks for SMTPUTF8, as Postfix does for a header in UTF-8
        line.say(b"EHLO test\r\n")
        assert line.say("MAIL FROM:<shop@bücher.example> BODY=8BITMIME SMTPUTF8\r\n".encode()).startswith(
            "250"
        )
        # When one recipient of two has a name that SES cannot deliver to, Then that one alone is refused
        assert line.say("RCPT TO:<änne@example.org>\r\n".encode()).startswith("553 5.6.7")
        assert line.say("RCPT TO:<ada@straße.example>\r\n".encode()).startswith("250")
        line.say(b"DATA\r\n")
        assert line.say(mail.encode() + b".\r\n").startswith("250")
        # and a sender's name as well, whoever asks
        assert line.say("MAIL FROM:<jörg@example.com> SMTPUTF8\r\n".encode()).startswith("553 5.6.7")
    # Then the headers are ASCII, and say the same
    (record,) = queued()
    assert record.envelope.to == ("ada@xn--strae-oqa.example",)
    assert record.envelope.subject == "Grüße"
    raw = redis.get(Keys("default").content(record.id))
    assert isinstance(raw, bytes)
    assert raw.partition(b"\r\n\r\n")[0].isascii()
    assert raw.endswith("\r\n\r\nGrüße\r\n".encode())
    read_again = email.message_from_bytes(raw, policy=email.policy.default)
    assert read_again["From"].addresses[0].addr_spec == "shop@xn--bcher-kva.example"
    assert read_again["From"].addresses[0].display_name == "Jörg"


def test_what_is_asked_about_notices_is_taken_and_changes_nothing(server: Any, queued: Any) -> None:
    with Line(port(server)) as line:
        line.say(b"EHLO test\r\n")
        for command in (
            b"MAIL FROM:<shop@example.com> RET=HDRS ENVID=QQ314159 SIZE=99",
            b"RCPT TO:<ada@example.org> NOTIFY=SUCCESS,FAILURE,DELAY",
            b"RCPT TO:<bob@example.org> notify=never orcpt=rfc822;bob+2Bx@example.org",
        ):
            assert line.say(command + b"\r\n").startswith("250 2.1.")
        line.say(b"DATA\r\n")
        assert line.say(MAIL + b".\r\n").startswith("250")
    assert queued()[0].envelope.recipients == ("ada@example.org", "bob@example.org")


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


def test_the_keys_of_one_user_are_not_those_of_another(redis: Redis, tmp_path: Path, queued: Any) -> None:
    # Given two users of one account, and a key that Python has used
    users = tmp_path / "users.toml"
    users.write_text("".join(f'[{name}]\npassword = "{HASH}"\nsenders = ["*"]\n' for name in ("one", "two")))
    outbox = Outbox(redis)
    outbox.send(
        Message(sender="shop@example.com", to="ada@example.org", text="Hi", idempotency_key="order-7")
    )
    replies: dict[str, list[str]] = {}
    with submission_server(outbox, users=users) as server:
        # When each sends another mail with that key, twice
        for name in ("one", "two"):
            with Line(port(server)) as line:
                line.say(b"EHLO test\r\n")
                line.say(plain(name))
                for _ in "12":
                    line.begin()
                    content = b"X-Sesq-Key: order-7\r\n" + MAIL + name.encode() + b"\r\n.\r\n"
                    replies.setdefault(name, []).append(line.say(content))
    # Then each has one mail
    assert all(reply.startswith("250") for said in replies.values() for reply in said)
    assert [len(set(said)) for said in replies.values()] == [1, 1]
    assert len(queued()) == 3


# 250 is a promise


class SlowOutbox:
    """Redis that answers when it is told to, with what it is told."""

    def __init__(self) -> None:
        self.asked, self.go = threading.Semaphore(0), threading.Semaphore(0)
        self.error: Exception | None = None
        self.batches: list[int] = []

    def try_send_many(self, messages: Any) -> list[str]:
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


def test_what_goes_to_redis_at_once_is_bounded_in_bytes_however_large_the_mails_are() -> None:
    slow = SlowOutbox()

    async def queue_all_at_once() -> None:
        bundle, megabyte = Bundle(slow), 1024 * 1024  # type: ignore[arg-type]
        first = asyncio.create_task(bundle.queue(lambda: [MESSAGE], 1))
        assert await asyncio.to_thread(slow.asked.acquire, timeout=20)
        # Given five of 30 MB each that come while Redis is asked, and one that is small
        sizes = [30 * megabyte] * 5 + [1]
        others = [asyncio.create_task(bundle.queue(lambda: [MESSAGE], size)) for size in sizes]
        await asyncio.sleep(0)
        slow.go.release(10)
        await asyncio.wait_for(asyncio.gather(first, *others), timeout=20)

    asyncio.run(queue_all_at_once())
    # Then no more than two of the large ones went together
    assert slow.batches == [1, 2, 2, 2]


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


CHEAP = hash_of("?", cost=2)
"""A password that is checked at once."""


def test_after_too_many_wrong_passwords_a_host_waits_whatever_connections_it_makes(
    redis: Redis, tmp_path: Path
) -> None:
    # Given two users, of whom one has been here
    users = tmp_path / "users.toml"
    users.write_text("".join(f'[{name}]\npassword = "{CHEAP}"\nsenders = ["*"]\n' for name in ("one", "two")))

    def logs_in(*words: bytes, source: str = "127.0.0.1") -> list[str]:
        with Line(port(server), source) as line:
            line.say(b"EHLO test\r\n")
            return [line.say(word)[:9] for word in words]

    with submission_server(Outbox(redis), users=users) as server:
        assert logs_in(plain("one", "?")) == ["235 2.7.0"]
        # When a host gives wrong ones over many connections
        replies = [logs_in(plain("one", "wrong"), plain("two", "wrong")) for _ in range(11)]
        # Then it is heard no more, not even with a right one
        assert replies == [["535 5.7.8"] * 2] * 10 + [["454 4.7.0"] * 2]
        assert logs_in(plain("two", "?")) == ["454 4.7.0"]
        # but for a user who is known, and for other hosts
        assert logs_in(plain("one", "?")) == ["235 2.7.0"]
        assert logs_in(plain("two", "?"), source="127.0.0.2") == ["235 2.7.0"]


def test_checking_passwords_keeps_no_mail_waiting(
    redis: Redis, users_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    go = threading.Event()
    with submission_server(Outbox(redis), users=users_file) as server, Line(port(server)) as line:
        # Given a user who has logged in, and passwords that take long to check, on many connections
        line.say(b"EHLO test\r\n")
        assert line.say(plain("shop")).startswith("235")
        monkeypatch.setattr("sesq.producer.submission.users.is_password", lambda *_: go.wait(60) and False)
        guessing = [Line(port(server)) for _ in range(40)]
        for one in guessing:
            one.say(b"EHLO test\r\n")
            one._socket.sendall(plain("shop", "wrong"))
        try:
            # When the user sends, and another one logs in who has been here, Then both are answered
            line.begin()
            assert line.say(MAIL + b".\r\n").startswith("250")
            with Line(port(server)) as known:
                known.say(b"EHLO test\r\n")
                assert known.say(plain("shop")).startswith("235")
        finally:
            go.set()
        for one in guessing:
            one.close()


def test_bytes_that_are_no_text_are_nobodys_password(redis: Redis, tmp_path: Path) -> None:
    users = tmp_path / "users.toml"
    users.write_text(f'[shop]\npassword = "{CHEAP}"\nsenders = ["*"]\n')
    undecodable = b"AUTH PLAIN " + base64.b64encode(b"\0shop\0\xff") + b"\r\n"
    with submission_server(Outbox(redis), users=users) as server:
        # Given a user whose password is known
        for said, answer in ((plain("shop", "?"), "235"), (undecodable, "535")):
            with Line(port(server)) as line:
                line.say(b"EHLO test\r\n")
                assert line.say(said).startswith(answer)
    # and nobody gets such a password
    assert not is_password("\udcff", hash_of("\udcff", cost=2))
    with pytest.raises(InputError, match="UTF-8"):
        hash_password("\udcff")


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
        with smtplib.SMTP_SSL("localhost", server.listeners[1].port, context=trusting) as client:
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


LISTS = {
    b"X-Sesq-Contact-List: news\r\nX-Sesq-Topic: weekly\r\n": ("news", "weekly"),
    b"X-SES-LIST-MANAGEMENT-OPTIONS: news; topic=weekly\r\n": ("news", "weekly"),
    b"X-Ses-List-Management-Options: news\r\n": ("news", None),
    b"X-SES-LIST-MANAGEMENT-OPTIONS: contactListName=news;topicName=weekly\r\n": ("news", "weekly"),
}


def submit(server: Any, user: str, mail: bytes, *more: bytes) -> str:
    with Line(port(server)) as line:
        line.say(b"EHLO test\r\n")
        line.say(plain(user))
        line.say(b"MAIL FROM:<shop@example.com>\r\n")
        for recipient in (b"ada@example.org", *more):
            line.say(b"RCPT TO:<%s>\r\n" % recipient)
        line.say(b"DATA\r\n")
        return line.say(mail + b".\r\n")


@pytest.mark.parametrize("header", LISTS)
@pytest.mark.parametrize(("user", "allowed"), [("shop", False), ("agency", True), ("host", True)])
def test_a_mail_names_a_contact_list_where_the_users_rule_allows_it(
    with_users: Any, redis: Redis, header: bytes, user: str, allowed: bool, queued: Any
) -> None:
    reply = submit(with_users, user, header + MAIL)
    if not allowed:
        assert reply.startswith("554 5.6.0 contact_list: 'news' may not be chosen by the mail itself")
        assert queued() == []
        return
    (record,) = queued()
    assert (record.envelope.contact_list, record.envelope.topic) == LISTS[header]
    content = redis.get(Keys("default").content(record.id))
    assert isinstance(content, bytes)
    assert b"news" not in content


@pytest.mark.parametrize(
    ("header", "more", "says"),
    [
        (
            b"X-SES-LIST-MANAGEMENT-OPTIONS: news",
            [b"bob@example.org"],
            "contact_list: SES takes it only for mail to one",
        ),
        (
            b"X-SES-LIST-MANAGEMENT-OPTIONS: other",
            [],
            "contact_list: 'other' may not be chosen by the mail itself",
        ),
        (b"X-SES-LIST-MANAGEMENT-OPTIONS: news; weekly", [], "x-ses-list-management-options: 'news; weekly'"),
        (
            b"X-SES-LIST-MANAGEMENT-OPTIONS: news\r\nX-SES-LIST-MANAGEMENT-OPTIONS: news",
            [],
            "x-ses-list-manage",
        ),
        (b"X-Sesq-Topic: weekly", [], "topic: belongs to a contact list"),
        (b"X-Sesq-Track: perhaps", [], "track: 'perhaps': write yes or no"),
        (b"X-Sesq-Feedback-To: nobody", [], "feedback_to: "),
    ],
)
def test_what_a_header_asks_for_is_checked(
    with_users: Any, header: bytes, more: list[bytes], says: str, queued: Any
) -> None:
    assert submit(with_users, "agency", header + b"\r\n" + MAIL, *more).startswith(f"554 5.6.0 {says}")
    assert queued() == []


def test_bounces_go_to_an_address_as_which_the_user_may_send(with_users: Any, queued: Any) -> None:
    own = b"X-Sesq-Feedback-To: Bounces <b@news.example.com>\r\nX-Sesq-Track: no\r\n"
    assert submit(with_users, "shop", own + MAIL).startswith("250")
    (record,) = queued()
    assert (record.envelope.feedback_to, record.envelope.track) == ("b@news.example.com", "off")
    other = b"X-Sesq-Feedback-To: eve@example.com\r\n"
    assert submit(with_users, "shop", other + MAIL).startswith(
        "554 5.6.0 feedback_to: this user may not send as eve@example.com"
    )


NAMES = {"": b"", "sesq": b"X-Sesq-Tenant: %s\r\n", "ses": b"X-SES-TENANT: %s\r\n"}


@pytest.mark.parametrize("header", ["sesq", "ses"])
@pytest.mark.parametrize(
    ("user", "named", "tenant"),
    [
        ("shop", b"", None),
        ("shop", b"acme", "refused"),
        ("globex", b"", "globex"),
        ("globex", b"globex", "globex"),
        ("globex", b"acme", "refused"),
        ("agency", b"", None),
        ("agency", b"acme", "acme"),
        ("agency", b"initech", "initech"),
        ("agency", b"ACME", "refused"),
        ("agency", b"*", "refused"),
        ("host", b"", "globex"),
        ("host", b"acme", "acme"),
        ("host", b"a b", "refused"),
    ],
)
def test_a_mail_names_a_tenant_where_the_users_rule_allows_it(
    with_users: Any, redis: Redis, header: str, user: str, named: bytes, tenant: str | None, queued: Any
) -> None:
    # Given a user with such a rule, When a mail of theirs names that tenant, or none
    mail = (NAMES[header] % named if named else b"") + MAIL
    reply = submit(with_users, user, mail)
    # Then it is refused, or sent for that tenant, and the header does not leave
    if tenant == "refused":
        assert reply.startswith("554 5.6.0 tenant: ")
        assert queued() == []
        return
    (record,) = queued()
    assert record.envelope.tenant == tenant
    content = redis.get(Keys("default").content(record.id))
    assert isinstance(content, bytes)
    assert b"tenant" not in content.lower()


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
        (f'[shop]\npassword = "{HASH.replace("$16384$", "$3$")}"\nsenders = ["*"]', "no hash"),
        (f'[shop]\npassword = "{HASH.replace("$16384$", "$-2$")}"\nsenders = ["*"]', "no hash"),
        (f'[shop]\npassword = "{HASH.replace("$16384$", "$1099511627776$")}"\nsenders = ["*"]', "no hash"),
        (f'[shop]\npassword = "{HASH.replace("$16384$", "$131072$")}"\nsenders = ["*"]', "no hash"),
        (f'[shop]\npassword = "{HASH[:-4]}?"\nsenders = ["*"]', "no hash"),
        (f'[shop]\npassword = "{HASH}"', "senders"),
        (f'[shop]\npassword = "{HASH}"\nsenders = "*"', "senders"),
        (f'[shop]\npassword = "{HASH}"\nsenders = ["*"]\nlanes = ["fast"]', "lanes"),
        (f'[shop]\npassword = "{HASH}"\nsenders = ["*"]\nlanes = []', "lanes"),
        (f'[shop]\npassword = "{HASH}"\nsenders = ["*"]\naccount = "A B"', "account"),
        (f'[shop]\npassword = "{HASH}"\nsenders = ["*"]\ntenant = "A B"', "tenant"),
        (f'[shop]\npassword = "{HASH}"\nsenders = ["*"]\ntenant = ""', "tenant"),
        (f'[shop]\npassword = "{HASH}"\nsenders = ["*"]\ntenants = "acme"', "tenants: must be a list"),
        (f'[shop]\npassword = "{HASH}"\nsenders = ["*"]\ntenants = ["acme", "A B"]', "tenant: 'A B'"),
        (f'[shop]\npassword = "{HASH}"\nsenders = ["*"]\ncontact_lists = [7]', "contact_list: 7"),
        (f'[shop]\npassword = "{HASH}"\nsenders = ["*"]\nlane = "bulk"', "allowed"),
        (f'[shop]\npassword = "{HASH}"\nsenders = ["*"]\nname = "web"', "allowed"),
    ],
)
def test_a_users_file_says_where_it_is_wrong(text: str, says: str, tmp_path: Path) -> None:
    file = tmp_path / "users.toml"
    file.write_text(text)
    with pytest.raises(SettingsError, match=says) as caught:
        SubmissionServer(Outbox("redis://127.0.0.1:1"), Options(port=0, users=file))
    assert str(file) in str(caught.value)


def test_to_read_many_users_takes_one_hash_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Given 200 users, all with hashes of one cost
    file = tmp_path / "users.toml"
    file.write_text("".join(f'[u{i}]\npassword = "{HASH}"\nsenders = ["*"]\n' for i in range(200)))
    hashed: list[bytes] = []
    monkeypatch.setattr(hashlib, "scrypt", lambda secret, **_options: hashed.append(secret) or bytes(32))
    # When they are read, at a start or because the file has changed
    users = Users.read(file)
    # Then the time of that does not grow with their number
    assert len(hashed) <= 1
    assert users.find("u199", "wrong") is None


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
        assert line.rest().startswith("421 4.5.0")
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
        assert line.say(said).startswith("421 4.5.0")
        assert line.rest() == ""
    assert queued() == []


def test_content_before_the_go_ahead_is_not_taken(server: Any, queued: Any) -> None:
    with Line(port(server)) as line:
        line.say(b"EHLO test\r\n")
        line.say(b"MAIL FROM:<shop@example.com>\r\n")
        line.say(b"RCPT TO:<ada@example.org>\r\n")
        assert line.say(b"DATA\r\n" + MAIL + b".\r\n").startswith("421 4.5.0")
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
        (
            b"X-SES-FROM-ARN: arn:aws:ses:x\r\n" + MAIL,
            "554 5.6.0 x-ses-from-arn: sends as an identity of another",
        ),
        (
            b"Content-Type: a/b\r\n" + MAIL + b"x" * 1000 + b"\r\n",
            "554 5.6.0 raw: has a line of more than 998",
        ),
        (
            b"Content-Type: a/b\r\n" + MAIL + b"x" * 70_000 + b"\r\n",
            "554 5.6.0 raw: has a line of more than 998",
        ),
        (MAIL + (b"x" * 900 + b"\r\n") * 120, "552 5.3.4"),
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
        (b"MAIL FROM:<shop@example.com> SIZE=100001", "552 5.3.4"),
        (b"MAIL FROM:<shop>", "553 5.1.7"),
        (b"MAIL FROM:shop@example.com", "553 5.1.3"),
        (b"MAIL FROM:<shop@example.com> FAST=1", "555 5.5.4"),
        (b"RCPT TO:<ada@example.org>", "503 5.5.1"),
        (b"DATA", "503 5.5.1"),
        (b"BDAT 5 LAST", "500 5.5.2"),
        (b"x" * 3000, "500 5.5.2"),
        (b"x" * 100_000, "500 5.5.2"),
        (b"\xff", "500 5.5.2"),
        (b"VRFY \xff", "502 5.5.1"),
        (b"VRFY <ada@example.org>", "252 2.1.5"),
        (b"EXPN list", "502 5.5.1"),
        (b"EHLO", "501 5.5.4"),
        (b"STARTTLS", "454 4.7.0"),
        (b"AUTH PLAIN AHgAeA==", "504 5.5.4"),
        (b"MAIL FROM:<shop@example.com> BODY=BINARYMIME", "501 5.5.4"),
        (b"HELP", "250 2.0.0"),
        (b"NOOP", "250 2.0.0"),
        (b"QUIT", "221 2.0.0"),
        (b"HELO test", "250 localhost"),
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


def test_one_host_cannot_take_all_connections(redis: Redis) -> None:
    with submission_server(Outbox(redis), max_per_host=2) as server:
        lines = [Line(port(server)) for _ in range(3)]
        assert [line.greeting[:9] for line in lines] == ["220 local", "220 local", "421 4.7.0"]
        lines.append(Line(port(server), "127.0.0.2"))
        assert lines[-1].greeting.startswith("220")
        for line in lines:
            line.close()


@pytest.mark.parametrize(
    ("host", "options", "share"),
    [
        ("127.0.0.1", {}, 100),
        ("0.0.0.0", {}, 25),
        ("0.0.0.0", {"max_connections": 2}, 1),
        ("0.0.0.0", {"max_per_host": 50}, 50),
    ],
)
def test_what_one_host_may_take(
    host: str, options: Any, share: int, users_file: Path, tmp_path: Path
) -> None:
    certificate, key = certificate_files(tmp_path)
    files: Any = {"users": users_file, "certificate": certificate, "key": key}
    server = SubmissionServer(Outbox("redis://127.0.0.1:1"), Options(host=host, port=0, **files, **options))
    server.listeners[0].close()
    assert server.max_per_host == share


@pytest.mark.parametrize(
    ("address", "host"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3::4", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
    ],
)
def test_who_counts_as_one_host(address: str, host: str) -> None:
    assert host_of(address) == host


def test_a_port_that_is_tls_from_the_first_byte_counts_who_says_nothing(redis: Redis, tmp_path: Path) -> None:
    certificate, key = certificate_files(tmp_path)
    trusting = ssl.create_default_context(cafile=str(certificate))
    options = {"port": None, "tls_port": 0, "certificate": certificate, "key": key}
    with submission_server(Outbox(redis), max_connections=2, **options) as server:
        # Given as many as there is room for, who do not begin with TLS
        silent = [socket.create_connection(("127.0.0.1", port(server)), timeout=20) for _ in "12"]
        # When one more comes, Then there is no room, and nothing is said in the clear
        with socket.create_connection(("127.0.0.1", port(server)), timeout=20) as another:
            assert another.recv(100) == b""
        # When they have said nothing for long enough, Then they are hung up on, and others have room
        pass_seconds(server, 11)
        for one in silent:
            assert one.recv(100) == b""
            one.close()
        with smtplib.SMTP_SSL("localhost", port(server), context=trusting, timeout=20) as client:
            client.sendmail("shop@example.com", "ada@example.org", MAIL)
    assert len(Messages(redis).list()) == 1


@pytest.mark.parametrize("said", [None, b"", b"no handshake\r\n"])
def test_a_handshake_that_comes_to_nothing_gives_its_place_back(
    said: bytes | None, redis: Redis, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    certificate, key = certificate_files(tmp_path)
    options = {"certificate": certificate, "key": key}
    with submission_server(Outbox(redis), max_connections=1, **options) as server:
        # Given the one connection there is room for, ready to begin with TLS
        line = Line(port(server))
        line.say(b"EHLO test\r\n")
        assert line.say(b"STARTTLS\r\n").startswith("220 2.0.0")
        # When it says nothing, breaks off, or says something else
        if said is None:
            pass_seconds(server, 11)
        elif said:
            line._socket.sendall(said)
        else:
            line._socket.shutdown(socket.SHUT_WR)
        # Then it is hung up on, and another one has its place
        line._file.read()
        with Line(port(server)) as another:
            assert another.greeting.startswith("220")
        line.close()
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


def test_a_mail_of_lines_without_number_is_held_once(redis: Redis) -> None:
    content = MAIL + b"\r\n" * 1_000_000
    with submission_server(Outbox(redis)) as server, Line(port(server)) as line:
        line.begin()
        tracemalloc.start()
        try:
            assert line.say(content + b".\r\n").startswith("250")
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    # its client, the server and Redis's client have some copies of 2 MB; an object a line takes 60 MB and more
    assert peak < 15 * len(content)


DOTTED = st.lists(st.sampled_from([b"", b".", b"..", b".a", b"a.", b"a\r", b"\n.", b"a"]), max_size=8)


@given(
    lines=DOTTED, behind=st.sampled_from([b"", b"QUIT\r\n"]), cuts=st.lists(st.integers(0, 40), max_size=5)
)
def test_content_is_the_same_however_it_comes_in(lines: list[bytes], behind: bytes, cuts: list[int]) -> None:
    # Given content with dots where they matter, as a client sends it, in pieces
    sent = b"".join((b"." if line.startswith(b".") else b"") + line + b"\r\n" for line in lines)
    whole = sent + b".\r\n" + behind
    edges = sorted({0, len(whole), *(cut for cut in cuts if cut < len(whole))})
    pieces = [whole[a:b] for a, b in itertools.pairwise(edges)]
    loop = asyncio.new_event_loop()
    for limit in (len(sent), len(sent) - 1):
        # When it comes in, Then it is as it was, and too large where it is
        content = Content(limit, loop)
        rests = [content.feed(piece) for piece in pieces if not content.ended.done()]
        assert rests[:-1] == [None] * (len(rests) - 1)
        assert rests[-1] is not None
        assert behind.startswith(rests[-1])
        assert content.too_large == (len(sent) > limit)
    loop.close()
    content = Content(100, loop)
    list(map(content.feed, pieces[: len(rests)]))
    assert content.whole() == b"".join(line + b"\r\n" for line in lines)


def test_a_handshake_has_ten_seconds(redis: Redis, tmp_path: Path) -> None:
    certificate, key = certificate_files(tmp_path)
    trusting = ssl.create_default_context(cafile=str(certificate))
    with (
        submission_server(Outbox(redis), certificate=certificate, key=key) as server,
        Line(port(server)) as line,
    ):
        # Given one who may begin with TLS, and does not for nine seconds
        line.say(b"EHLO test\r\n")
        assert line.say(b"STARTTLS\r\n").startswith("220 2.0.0")
        pass_seconds(server, 9)
        # When it begins, Then it is answered
        with trusting.wrap_socket(line._socket, server_hostname="localhost") as secure:
            secure.sendall(b"NOOP\r\n")
            assert secure.recv(100).startswith(b"250")


def test_after_a_starttls_that_was_wrong_silence_is_waited_for_as_before_it(
    redis: Redis, tmp_path: Path
) -> None:
    certificate, key = certificate_files(tmp_path)
    with (
        submission_server(Outbox(redis), certificate=certificate, key=key) as server,
        Line(port(server)) as line,
    ):
        # Given one whose STARTTLS has a word too many
        line.say(b"EHLO test\r\n")
        assert line.say(b"STARTTLS now\r\n").startswith("501")
        # When it is silent for longer than a handshake may take, Then it is still heard
        pass_seconds(server, 59)
        assert line.say(b"NOOP\r\n").startswith("250")


def test_who_does_not_answer_the_end_of_tls_is_cut_off_after_five_seconds(
    redis: Redis, tmp_path: Path
) -> None:
    certificate, key = certificate_files(tmp_path)
    trusting = ssl.create_default_context(cafile=str(certificate))
    options = {"port": None, "tls_port": 0, "certificate": certificate, "key": key}
    with submission_server(Outbox(redis), **options) as server:
        # Given one who is hung up on, and does not end TLS
        silent = socket.create_connection(("127.0.0.1", port(server)), timeout=20)
        secure = trusting.wrap_socket(silent, server_hostname="localhost")
        assert secure.recv(100).startswith(b"220")
        pass_seconds(server, 61)
        assert socket.socket.recv(secure, 1, socket.MSG_PEEK)  # type: ignore[arg-type]
        # When five seconds pass, Then it is cut off
        pass_seconds(server, 5)
        while socket.socket.recv(secure, 1000):  # type: ignore[arg-type]
            pass
        secure.close()


def test_silence_is_not_waited_out(redis: Redis) -> None:
    with submission_server(Outbox(redis)) as server:
        with Line(port(server)) as line:
            pass_seconds(server, 59)
            assert line.say(b"NOOP\r\n").startswith("250")
            pass_seconds(server, 61)
            assert line.reply().startswith("421 4.4.2")
        with Line(port(server)) as line:
            assert line.begin().startswith("354")
            line._socket.sendall(MAIL)
            pass_seconds(server, 599)
            assert line.say(b".\r\n").startswith("250")
            line.begin()
            pass_seconds(server, 601)
            assert line.reply().startswith("421 4.4.2")


def test_after_a_mail_silence_is_waited_for_as_before_it(redis: Redis) -> None:
    # Given a client whose mail was taken
    with submission_server(Outbox(redis)) as server, Line(port(server)) as line:
        line.begin()
        line._socket.sendall(MAIL)
        assert line.say(b".\r\n").startswith("250")
        # When it says nothing for a minute, Then it is hung up on: it has no longer the time that a mail has
        pass_seconds(server, 61)
        assert line.reply().startswith("421 4.4.2")


@pytest.mark.parametrize(("size", "reply"), [(16_383, "501 5.5.2"), (16_384, "500 5.5.2")])
def test_a_password_is_read_if_it_has_less_than_16_kilobytes(
    with_users: SubmissionServer, size: int, reply: str
) -> None:
    with Line(port(with_users)) as line:
        line.say(b"EHLO test\r\n")
        assert line.say(b"AUTH LOGIN\r\n").startswith("334")
        # When a client gives a name that is no base64, Then that is said; if the line is longer, that is said
        assert line.say(b"A" * size + b"\r\n").startswith(reply)


@pytest.mark.parametrize(("size", "reply"), [(2048, "250"), (2049, "500 5.5.2 Command line too long")])
def test_a_command_has_2048_bytes_at_most_before_the_end_of_its_line(
    server: SubmissionServer, size: int, reply: str
) -> None:
    with Line(port(server)) as line:
        line.say(b"EHLO test\r\n")
        assert line.say(b"NOOP " + b"A" * (size - 5) + b"\r\n").startswith(reply)


def test_addresses_are_tried_twenty_times_a_connection(server: Any) -> None:
    # Given a client that asks whether an address is known, again and again
    with Line(port(server)) as line:
        line.say(b"EHLO test\r\n")
        answers = [line.say(b"VRFY <ada@example.org>\r\n")[:3] for _ in range(21)]
    # Then it is answered twenty times, and hung up on
    assert answers == ["252"] * 20 + ["421"]


def test_who_does_not_log_in_is_not_kept_by_talking(redis: Redis, users_file: Path) -> None:
    with (
        submission_server(Outbox(redis), users=users_file) as server,
        Line(port(server)) as line,
        Line(port(server)) as known,
    ):
        # Given one who has logged in, and one who says something all the time, but no name
        known.say(b"EHLO test\r\n")
        assert known.say(plain("shop")).startswith("235")
        for _ in "12":
            assert line.say(b"EHLO test\r\n").startswith("250")
            assert known.say(b"RSET\r\n").startswith("250")
            pass_seconds(server, 31)
        # Then one is hung up on, and the other is not
        assert line.reply().startswith("421 4.7.0")
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


ANSWER = re.compile(
    r"(250-|250 HELP$|250 localhost$|354 |334 |([245])\d\d \2\.\d{1,3}\.\d{1,3} )[ -~]*"
).fullmatch
"""A reply has an enhanced status code (RFC 2034), but for what is said to EHLO and HELO, and "go on"."""


def test_a_mail_names_a_thousand_recipients_at_most(server: SubmissionServer) -> None:
    with Line(port(server)) as line:
        line.say(b"EHLO test\r\n")
        line.say(b"MAIL FROM:<shop@example.com>\r\n")
        replies = [line.say(b"RCPT TO:<person%d@example.org>\r\n" % number) for number in range(1001)]
    assert [reply[:9] for reply in replies] == ["250 2.1.5"] * 1000 + ["452 4.5.3"]


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
            for reply in line.rest().splitlines():
                assert ANSWER(reply), reply
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


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_serves_until_it_is_told_to_end(number: signal.Signals, redis: Redis) -> None:
    ports, deaf = list[int](), list[bool]()
    other = signal.SIGTERM if number is signal.SIGINT else signal.SIGINT

    def give_up() -> None:
        deaf.append(True)
        signal.raise_signal(other)

    def end(server: SubmissionServer) -> None:
        ports.append(server.listeners[0].port)
        asyncio.get_running_loop().call_later(20, give_up)
        signal.raise_signal(number)

    # Given a process that no signal ends by itself
    before = {each: signal.signal(each, lambda *_: None) for each in (number, other)}
    try:
        serve(Outbox(redis), Options(port=0), end)
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
    assert not deaf
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", ports[0]), timeout=20)
