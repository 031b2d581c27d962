"""`sesq-sendmail`: what programs write to sendmail, what becomes of it, and that a spooled mail is queued once."""

from __future__ import annotations

import email
import email.policy
import io
import os
import stat
import subprocess
import sys
import threading
from datetime import datetime, timedelta, timezone
from email.message import EmailMessage
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis import Redis

from sesq.config.embedded import EmbeddedRedis
from sesq.config.errors import InputError, InvalidMessage, QueueUnavailable, SettingsError
from sesq.producer import Message, Outbox, moments
from sesq.producer.mend import addresses
from sesq.producer.raw import RawMail
from sesq.producer.sendmail import command, spooling
from sesq.producer.sendmail.arguments import Request, parse
from sesq.producer.sendmail.letter import compose
from sesq.producer.sendmail.spool import Spool, new_name, with_keys
from sesq.queue.keys import Keys
from sesq.queue.messages import Messages
from sesq.queue.record import Record
from sesq.queue.states import State
from waiting import in_order

AWAY = "redis://127.0.0.1:1/0"
MAIL = (
    b"From: Shop <shop@example.com>\nTo: Ada <ada@example.org>\nCc: cy@example.org\nBcc: dan@example.org\n"
    b"Subject: Hi\n\nHello\n"
)


@pytest.fixture
def sendmail(
    redis: Redis, redis_server: EmbeddedRedis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> Any:
    """`sendmail(b"…", "-t")`: exit status and what it complained of."""
    for name in [name for name in os.environ if name.startswith("SESQ_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("SESQ_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("SESQ_MAIL_DOMAIN", "example.com")
    monkeypatch.setenv("SESQ_REDIS_URL", redis_server.url)
    monkeypatch.chdir(tmp_path)

    def call(data: bytes, *arguments: str) -> tuple[int, str]:
        status = command.run(arguments, io.BytesIO(data))
        return status, capsys.readouterr().err

    return call


@pytest.fixture
def queued(redis: Redis) -> Any:
    """`queued()`: records, each with its mail."""

    def read() -> list[tuple[Record, EmailMessage]]:
        found = []
        for record in in_order(redis):
            content = redis.get(Keys("default").content(record.id))
            assert isinstance(content, bytes)
            assert b"\n" not in content.replace(b"\r\n", b"")
            found.append(
                (record, cast("EmailMessage", email.message_from_bytes(content, policy=email.policy.default)))
            )
        return found

    return read


def composed(data: bytes, **options: Any) -> bytes:
    return compose(data, **{"sender": lambda: "root@example.com", "dot_ends": False, **options})


def read(data: bytes) -> RawMail:
    return RawMail.read(composed(data), lambda: "example.com")


# options


@pytest.mark.parametrize(
    ("words", "request_"),
    [
        (["ada@example.org", "bob"], Request(recipients=("ada@example.org", "bob"))),
        (["-t", "-i"], Request(from_headers=True, dot_ends=False)),
        (
            ["-ti", "-fshop@example.com"],
            Request(from_headers=True, dot_ends=False, sender="shop@example.com"),
        ),
        (
            ["-oi", "-f", "a@b.co", "-F", "A B", "--", "-x@b.co"],
            Request(("-x@b.co",), dot_ends=False, sender="a@b.co", name="A B"),
        ),
        (["-FCronDaemon", "-B8BITMIME", "-oem", "root"], Request(("root",), name="CronDaemon")),
        (["-bm", "-N", "never", "-R", "hdrs", "-V", "id", "ada"], Request(("ada",))),
        (["-r", "a@b.co", "ada", "-v"], Request(("ada",), sender="a@b.co")),
        (["-q"], Request(deliver_spool=True)),
        (["-q15m"], Request(deliver_spool=True)),
        (["-qf"], Request(deliver_spool=True)),
        (["-bp"], Request(mode="p")),
        (["-bs", "-i"], Request(mode="s", dot_ends=False)),
        (["-bi"], Request(mode="i")),
        (["-I"], Request(mode="i")),
        (["-bv", "ada"], Request(("ada",), mode="v")),
        (["-M", "id", "-E", "-auser", "-Apair", "-t"], Request(from_headers=True)),
        (["-tM", "id", "-Emsg", "ada", "-x"], Request(("ada",), from_headers=True)),
        (["-f", "--help", "ada"], Request(("ada",), sender="--help")),
        (["--", "--help"], Request(("--help",))),
        (["--help"], Request(help=True)),
    ],
)
def test_options_as_callers_write_them(words: list[str], request_: Request) -> None:
    assert parse(words) == request_


@pytest.mark.parametrize(
    "words",
    [
        ["-bd"],
        ["-bt"],
        ["-j"],
        ["--verbose"],
        ["-f"],
        ["a@b.co\r\nBcc: c@d.ef"],
        ["-f", "a\n"],
        ["-F", "a\r"],
    ],
)
def test_what_is_not_done_is_wrong_use(words: list[str], sendmail: Any, queued: Any) -> None:
    with pytest.raises(InputError):
        parse(words)
    status, said = sendmail(MAIL, *words)
    assert status == 64
    assert said.startswith("sesq-sendmail: ")
    assert queued() == []


@pytest.mark.parametrize("words", [["--", "--help"], ["-f", "--help", "ada@example.org"]])
def test_a_word_that_only_looks_like_a_question_drops_no_mail(
    words: list[str], sendmail: Any, queued: Any
) -> None:
    assert sendmail(b"From: shop@example.com\n\nHello\n", *words) == (0, "")
    ((record, _),) = queued()
    assert record.envelope.recipients[0] in ("--help@example.com", "ada@example.org")


def test_addresses_are_checked_and_aliases_are_none(sendmail: Any, queued: Any, capsys: Any) -> None:
    assert command.run(["-bi"], io.BytesIO(MAIL)) == 0
    assert command.run(["-bv", "root, ada@example.org"], io.BytesIO(MAIL)) == 0
    assert "root@example.com... is an address" in capsys.readouterr().out
    assert sendmail(MAIL, "-bv", "ada@example")[0] == 65
    assert queued() == []


def test_it_says_how_it_is_used(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.run(["--help"], io.BytesIO(MAIL)) == 0
    assert capsys.readouterr().out.startswith("Usage: sesq-sendmail")


# a mail


def test_a_mail_is_addressed_by_its_headers(sendmail: Any, queued: Any) -> None:
    assert sendmail(MAIL, "-t", "-i") == (0, "")
    ((record, mail),) = queued()
    envelope = record.envelope
    assert (envelope.sender, envelope.to) == ("Shop <shop@example.com>", ("Ada <ada@example.org>",))
    assert (envelope.cc, envelope.bcc) == (("cy@example.org",), ("dan@example.org",))
    assert mail["Bcc"] is None
    assert mail.get_content().strip() == "Hello"


def test_recipients_given_count_instead_and_beside_t_as_well(sendmail: Any, queued: Any) -> None:
    sendmail(MAIL, "ada@example.org,eve@example.org", "bob")
    sendmail(MAIL, "-t", "eve@example.org")
    (first, _), (second, _) = queued()
    assert first.envelope.to == ("ada@example.org",)
    assert first.envelope.bcc == ("eve@example.org", "bob@example.com")
    assert second.envelope.bcc == ("dan@example.org", "eve@example.org")


def test_crons_mail_gets_domains_and_says_what_it_is(sendmail: Any, queued: Any) -> None:
    # Given what cron pipes to `sendmail -i -FCronDaemon -B8BITMIME -oem root`
    head = "From: root (Cron Daemon)\nTo: root\nSubject: Cron <root@vm> backup\nX-Cron-Env: <SHELL=/bin/sh>\n"
    data = f"{head}\nFertig ✓\n"
    # When it is sent
    assert sendmail(data.encode(), "-i", "-FCronDaemon", "-B8BITMIME", "-oem", "root") == (0, "")
    # Then root is at the domain of this host, and the body is readable
    ((record, mail),) = queued()
    assert record.envelope.sender == "Cron Daemon <root@example.com>"
    assert record.envelope.to == ("root@example.com",)
    assert mail["To"] == "root@example.com"
    assert mail["X-Cron-Env"] == "<SHELL=/bin/sh>"
    assert mail.get_content().strip() == "Fertig ✓"


def test_options_in_the_mail_are_taken_out(sendmail: Any, queued: Any) -> None:
    head = b"X-Sesq-Lane: bulk\nX-Sesq-Tags: kind=news\nX-Sesq-Key: news-7\n"
    assert [sendmail(head + MAIL, "-t")[0] for _ in "12"] == [0, 0]
    assert sendmail(head + MAIL + b"Other\n", "-t")[0] == 65
    ((record, mail),) = queued()
    assert (record.lane, record.envelope.tags) == ("bulk", {"kind": "news"})
    assert not [name for name in mail if name.lower().startswith("x-sesq")]


@pytest.mark.parametrize(
    ("arguments", "sender"),
    [
        (["-f", "shop@example.com"], "shop@example.com"),
        (["-f", "shop", "-F", "The Shop"], "The Shop <shop@example.com>"),
        (["-f", "Jörg <j@example.com>", "-F", "Shop, Inc."], '"Shop, Inc." <j@example.com>'),
    ],
)
def test_a_mail_without_from_is_from_who_calls(
    arguments: list[str], sender: str, sendmail: Any, queued: Any
) -> None:
    assert sendmail(b"Subject: Hi\n\nHello\n", *arguments, "ada@example.org") == (0, "")
    assert queued()[0][0].envelope.sender == sender


def test_the_calling_user_is_the_sender_of_last_resort(sendmail: Any, queued: Any) -> None:
    assert sendmail(b"Hello\n", "ada@example.org") == (0, "")
    ((record, mail),) = queued()
    assert record.envelope.sender == f"{command._user()}@example.com"
    assert mail.get_content().strip() == "Hello"


@pytest.mark.parametrize(
    ("data", "written"),
    [
        (b"A: 1\r\nB: 2\n\nx\ry\n", b"A: 1\r\nB: 2\r\n\r\nx\r\ny\r\n"),
        (b"From root Tue\nA : 1\n\tfold\n\nx", b"A: 1\r\n\tfold\r\n\r\nx"),
        (b"no header\nA: 1\n", b"\r\nno header\r\nA: 1\r\n"),
        (b"A: 1\nno header\n", b"A: 1\r\n\r\nno header\r\n"),
        (b"A: 1", b"A: 1\r\n\r\n"),
        (b"", b"\r\n"),
        (b"\n\n", b"\r\n\r\n"),
        (b"Return-Path: <x@y.zz>\nA: 1\n\n", b"A: 1\r\n\r\n"),
    ],
)
def test_every_line_ends_alike_wherever_the_body_begins(data: bytes, written: bytes) -> None:
    assert composed(data).replace(b"From: root@example.com\r\n", b"") == written


def test_a_lone_dot_ends_a_mail_unless_i_is_given() -> None:
    data = b"A: 1\n\none\n..\n.\ntwo\n"
    assert composed(data, dot_ends=True).endswith(b"one\r\n..\r\n")
    assert composed(data, dot_ends=False).endswith(b"one\r\n..\r\n.\r\ntwo\r\n")


def test_lines_too_long_for_mail_are_encoded() -> None:
    text = "ü" * 3000 + " = \n.\n"
    for head in (
        "",
        "Content-Type: text/html; charset=utf-8\n",
        "MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\n",
    ):
        written = read(f"{head}Subject: Hi\n\n{text}".encode()).content
        assert max(map(len, written.split(b"\r\n"))) <= 998
        mail = cast("EmailMessage", email.message_from_bytes(written, policy=email.policy.default))
        assert mail.get_content().replace("\r\n", "\n") == text
        assert mail["MIME-Version"] == "1.0"


@pytest.mark.parametrize(("said", "times"), [("", 1), ("mime-version: 1.0\n", 0)])
def test_a_mail_with_a_type_alone_says_that_it_is_mime(said: str, times: int) -> None:
    written = read(f"{said}Content-Type: text/html\nSubject: Hi\n\n<p>Hello\n".encode()).content
    assert written.count(b"MIME-Version: 1.0\r\n") == times


@pytest.mark.parametrize(
    "line", [b"To: ada@example.org (Ada, the one)\n", b"To: ada@example.org, (Ada, the one\n"]
)
def test_who_has_a_comment_beside_them_gets_the_mail(line: bytes, sendmail: Any, queued: Any) -> None:
    assert sendmail(b"From: shop@example.com\n" + line + b"Subject: Hi\n\nHello\n", "-t") == (0, "")
    ((record, _),) = queued()
    assert record.envelope.recipients == ("ada@example.org",)


def test_addresses_with_domains_stay_as_they_were_written() -> None:
    line = b"To:   Ada <ada@example.org>,\n\tundisclosed-recipients:;\n"
    assert line.replace(b"\n", b"\r\n") in read(line + b"\n").content
    found = read(b"To: root, Ada <ada@example.org>\n\n").content
    assert b"To: root@example.com,\r\n Ada <ada@example.org>\r\n" in found


@pytest.mark.parametrize(
    ("data", "arguments", "status", "says"),
    [
        (MAIL, [], 64, "no recipients"),
        (b"From: a@b.co\n\nx", ["-t"], 65, "nobody"),
        (b"Subject: a\nSubject: b\n" + MAIL, ["-t"], 65, "subject twice"),
        (b"X-A: \x00\n" + MAIL, ["-t"], 65, "control character"),
        (b"Reply-To: " + b"(" * 900 + b"\n" + MAIL, ["-t"], 65, "reply-to: "),
        (MAIL, ["(" * 2000], 65, "cannot be read"),
        (MAIL, ["ada@example"], 65, "no dot"),
        (b"X-Sesq-Lane: fast\n" + MAIL, ["-t"], 65, "transactional, bulk"),
        (b"X-SES-TENANT: acme\n" + MAIL, ["-t"], 65, "tenant: 'acme' may not be chosen by the mail itself"),
        (
            b"X-Sesq-Tenant: acme\n" + MAIL,
            ["-i", "--", "ada@example.org"],
            65,
            "`sesq send --raw` has options --tenant",
        ),
        (b"X-Sesq-Expires: 2020-01-31T12:00:00Z\n" + MAIL, ["-t"], 65, "is over already"),
    ],
)
def test_bad_mail_is_told_and_kept_nowhere(
    data: bytes, arguments: list[str], status: int, says: str, sendmail: Any, queued: Any, tmp_path: Path
) -> None:
    told, said = sendmail(data, *arguments)
    assert told == status
    assert says in said
    assert queued() == []
    assert len(Spool(tmp_path / "data")) == 0


def test_a_host_without_a_domain_says_how_to_give_one(sendmail: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SESQ_MAIL_DOMAIN")
    monkeypatch.setattr("sesq.producer.mail_domain.MAIL_NAME", Path("/nowhere/mailname"))
    monkeypatch.setattr("socket.getfqdn", lambda: "vm")
    status, said = sendmail(MAIL, "root")
    assert (status, "SESQ_MAIL_DOMAIN" in said) == (68, True)
    assert sendmail(MAIL, "ada@example.org") == (0, "")
    monkeypatch.setattr("socket.getfqdn", lambda: "vm.example.net")
    assert sendmail(MAIL, "root") == (0, "")


def test_wrong_settings_are_told(sendmail: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SESQ_REDIS_URL", "localhost:6379")
    status, said = sendmail(MAIL, "-t")
    assert (status, "SESQ_REDIS_URL" in said) == (78, True)


WORDS = b'\n|\r|\r\n|.|To:| |x|From |\xff|root,|<a@b.co>|=?utf-8?q?=0a?=|Bcc: e@f.gh|"|('


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(data=st.lists(st.sampled_from(WORDS.split(b"|")), max_size=25).map(b"".join))
def test_no_input_crashes_or_brings_a_header_that_was_not_there(data: bytes) -> None:
    names = [
        line.partition(b":")[0].strip().lower()
        for line in data.replace(b"\r", b"\n").split(b"\n")
        if b":" in line
    ]
    try:
        mail = read(data)
    except InvalidMessage:
        return
    ours = {"from", "content-type", "content-transfer-encoding", "mime-version"}
    assert {name for name, _ in mail.fields} <= ours | {name.decode("latin-1") for name in names}


@given(text=st.text(max_size=60))
def test_addresses_are_read_or_refused(text: str) -> None:
    try:
        found = addresses(text, lambda: "example.com")
    except InvalidMessage:
        return
    assert all("@" in wire and wire.isascii() and "\n" not in wire for wire in found)


# the spool


def test_while_redis_is_away_mail_is_kept_and_goes_with_the_next_call(
    sendmail: Any, queued: Any, tmp_path: Path, redis_server: EmbeddedRedis, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given two mails while Redis is away
    monkeypatch.setenv("SESQ_REDIS_URL", AWAY)
    for number in "12":
        status, said = sendmail(MAIL.replace(b"Hi", number.encode()), "-t")
        assert (status, "Redis is away" in said, "the mail is kept in" in said) == (0, True, True)
    spool = Spool(tmp_path / "data")
    assert len(spool) == 2
    # Then nobody else can read them
    assert spool.folder.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in (spool.folder / "new").iterdir()} == {0o600}
    # When the next mail is sent, and Redis is there
    monkeypatch.setenv("SESQ_REDIS_URL", redis_server.url)
    assert sendmail(MAIL.replace(b"Hi", b"3"), "-t") == (0, "")
    # Then all three are queued, once, and the spool is empty
    assert len(spool) == 0
    assert sendmail(b"", "-q") == (0, "")
    assert [record.envelope.subject for record, _ in queued()] == ["3", "1", "2"]
    assert len(spool) == 0


def test_a_bug_loses_no_mail(
    sendmail: Any, queued: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.delattr(Outbox, "send_many")
        assert sendmail(MAIL, "-t")[0] == 0
    assert len(Spool(tmp_path / "data")) == 1
    assert sendmail(b"", "-q") == (0, "")
    assert len(queued()) == 1


def test_a_bug_with_the_spool_does_not_deny_a_mail_that_is_queued(
    sendmail: Any, queued: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> list[str]:
        raise RuntimeError("a bug")

    monkeypatch.setattr(Spool, "deliver", broken)
    status, said = sendmail(MAIL, "-t")
    assert (status, "the mail is queued" in said) == (0, True)
    assert len(queued()) == 1


def test_what_redis_took_before_its_answer_was_lost_is_not_queued_again(
    sendmail: Any, queued: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given Redis takes a mail, and its answer is lost
    send_many = Outbox.send_many

    def lost(self: Outbox, messages: Any) -> list[str]:
        send_many(self, messages)
        raise QueueUnavailable("Redis did not answer in time")

    with monkeypatch.context() as patch:
        patch.setattr(Outbox, "send_many", lost)
        assert sendmail(MAIL, "-t")[0] == 0
    assert len(Spool(tmp_path / "data")) == 1
    # When the spool is delivered, Then it is still one mail
    assert sendmail(b"", "-q") == (0, "")
    assert len(queued()) == 1
    assert len(Spool(tmp_path / "data")) == 0


def test_what_expired_in_the_spool_is_in_the_queue_as_such(
    sendmail: Any, queued: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a mail that is good for a minute, and Redis is away
    until = (datetime.now(timezone.utc) + timedelta(minutes=1)).isoformat()
    with monkeypatch.context() as away:
        away.setenv("SESQ_REDIS_URL", AWAY)
        assert sendmail(f"X-Sesq-Expires: {until}\n".encode() + MAIL, "-t")[0] == 0
    # When Redis is there an hour later
    monkeypatch.setattr(moments, "now", lambda: datetime.now(timezone.utc) + timedelta(hours=1))
    assert sendmail(b"", "-q") == (0, "")
    # Then the mail is not put aside
    assert len(queued()) == 1


def test_two_that_deliver_the_spool_at_once_queue_each_mail_once(
    tmp_path: Path, redis_server: EmbeddedRedis, redis: Redis
) -> None:
    spool = Spool(tmp_path)
    for number in range(30):
        keep(spool, f"{number}")
    together = threading.Barrier(4)

    def deliver() -> None:
        together.wait()
        Spool(tmp_path).deliver(Outbox(redis_server.url))

    threads = [threading.Thread(target=deliver) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    spool.deliver(Outbox(redis_server.url))
    assert Messages(redis).counts()[State.QUEUED] == 30
    assert len(spool) == 0


def keep(spool: Spool, subject: str) -> str:
    name = new_name()
    spool.keep(
        name,
        with_keys([Message(sender="a@example.com", to="b@example.org", subject=subject, text="x")], name),
    )
    return name


def test_a_mail_to_many_is_one_file(
    sendmail: Any, queued: Any, tmp_path: Path, redis_server: Any, monkeypatch: Any
) -> None:
    monkeypatch.setenv("SESQ_REDIS_URL", AWAY)
    sendmail(MAIL, *(f"person{i}@example.org" for i in range(120)))
    assert len(Spool(tmp_path / "data")) == 1
    monkeypatch.setenv("SESQ_REDIS_URL", redis_server.url)
    assert sendmail(b"", "-q") == (0, "")
    assert sum(len(record.envelope.recipients) for record, _ in queued()) == 120


def test_what_cannot_be_read_is_put_aside_and_stops_nothing(
    sendmail: Any, queued: Any, tmp_path: Path
) -> None:
    spool = Spool(tmp_path / "data")
    bad = keep(spool, "bad")
    (spool.folder / "new" / bad).write_text("no mail")
    keep(spool, "good")
    status, said = sendmail(b"", "-q")
    assert (status, bad in said) == (0, True)
    assert [record.envelope.subject for record, _ in queued()] == ["good"]
    assert [path.name for path in (spool.folder / "refused").iterdir()] == [bad]


@pytest.mark.parametrize("kind", ["folder", "fifo", "socket", "link", "dangling", "unreadable"])
def test_what_is_no_file_in_the_spool_is_passed_over(
    kind: str, sendmail: Any, queued: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given two mails in the spool, and before each something that nobody can deliver
    monkeypatch.setattr(spooling, "AT_ONCE", 2)
    spool = Spool(tmp_path / "data")
    keep(spool, "first")
    for odd in (spool.folder / "new" / "0", spool.folder / "new" / f"{new_name()} odd"):
        put_there(odd, kind, monkeypatch)
    keep(spool, "second")
    # When another mail is sent, Then all are queued, and it is said what is there
    status, said = sendmail(MAIL, "-t")
    assert status == 0
    assert said.count("of the spool is passed over: ") == 2
    assert sorted(record.envelope.subject for record, _ in queued()) == ["Hi", "first", "second"]
    assert [path.name for path in (spool.folder / "refused").iterdir()] == []
    assert len(spool.names()) == 2
    assert len(spool) == (2 if kind == "unreadable" else 0)


def put_there(path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if kind == "folder":
        path.mkdir()
    elif kind == "fifo":
        os.mkfifo(path)
    elif kind == "socket":
        os.mknod(path, 0o600 | stat.S_IFSOCK)
    elif kind in ("link", "dangling"):
        path.symlink_to("/dev/zero" if kind == "link" else "/nowhere")
    else:  # by its mode a file is not unreadable to root
        path.touch()
        opened = os.open

        def refusing(name: Any, *options: Any, **others: Any) -> int:
            if name == path:
                raise PermissionError(13, "Permission denied")
            return opened(name, *options, **others)

        monkeypatch.setattr(os, "open", refusing)


def test_a_spool_that_others_can_read_is_not_used(
    sendmail: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = Spool(tmp_path / "data")
    keep(spool, "x")
    spool.folder.chmod(0o755)
    with pytest.raises(SettingsError, match="chmod 700"):
        keep(spool, "y")
    monkeypatch.setenv("SESQ_REDIS_URL", AWAY)
    status, said = sendmail(MAIL, "-t")
    assert (status, "Redis is away" in said, "NOT kept" in said, "chmod 700" in said) == (
        75,
        True,
        True,
        True,
    )


@pytest.mark.parametrize("kind", ["link", "open"])
def test_nothing_is_made_in_a_folder_that_may_be_somebody_elses(kind: str, tmp_path: Path) -> None:
    # Given a folder in the spool's place that another user has put there, or may write into
    spool, elsewhere = Spool(tmp_path / "data"), tmp_path / "elsewhere"
    elsewhere.mkdir(mode=0o755)
    (tmp_path / "data").mkdir()
    if kind == "link":
        spool.folder.symlink_to(elsewhere)
    else:
        elsewhere.rename(spool.folder)
    # When a mail is to be kept, Then that is refused, and nothing is made there
    with pytest.raises(SettingsError, match="chmod 700"):
        keep(spool, "x")
    assert list(spool.folder.iterdir()) == []


def test_mail_that_can_be_kept_nowhere_has_failed_for_now(
    sendmail: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "data").write_text("a file where the folder would be")
    monkeypatch.setenv("SESQ_REDIS_URL", AWAY)
    status, said = sendmail(MAIL, "-t")
    assert (status, "Redis is away" in said, "the mail is NOT kept" in said) == (75, True, True)


def test_q_without_redis_keeps_everything(
    sendmail: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    keep(Spool(tmp_path / "data"), "x")
    monkeypatch.setenv("SESQ_REDIS_URL", AWAY)
    status, said = sendmail(b"", "-q")
    assert (status, "Redis is away" in said, "1 mails wait in" in said) == (75, True, True)
    assert command.run(["-bp"], io.BytesIO()) == 0
    assert capsys.readouterr().out.startswith("1 mails wait")


def test_a_caller_without_standard_input_gets_sendmails_answer(tmp_path: Path) -> None:
    env = {"HOME": str(tmp_path), "SESQ_REDIS_URL": AWAY, "SESQ_DATA_DIR": str(tmp_path / "data")}
    ran = subprocess.run(
        ["sh", "-c", f'exec "{sys.executable}" -m sesq.producer.sendmail -q <&-'],
        env=env,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ran.returncode, ran.stderr) == (0, "")


def test_a_call_loads_nothing_heavy(tmp_path: Path, redis_server: EmbeddedRedis) -> None:
    code = """if True:
        import io, sys
        from sesq.producer.sendmail.command import run
        assert run(["-f", "a@example.com", "ada@example.org"], io.BytesIO(b"Subject: Hi\\n\\nHello")) == 0
        print(*({"pydantic", "typer", "rich", "jinja2", "boto3", "sesq.worker", "sesq.console"} & sys.modules.keys()))
    """
    env = {"HOME": str(tmp_path), "SESQ_REDIS_URL": redis_server.url}
    ran = subprocess.run(
        [sys.executable, "-c", code], env=env, cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert ran.stdout.strip() == ""


def test_a_spool_that_belongs_to_another_user_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given the folder of a spool that another user has made, private as it ought to be
    user = os.geteuid() + 1
    (tmp_path / f"spool-{user}").mkdir(mode=0o700)
    # When that spool's own user is to keep a mail there, Then it is refused, and nothing is made in it
    monkeypatch.setattr(os, "geteuid", lambda: user)
    message = Message(sender="shop@example.com", to="ada@example.org", subject="Hi", text="Hello")
    with pytest.raises(SettingsError, match="only its user can read"):
        Spool(tmp_path).keep(new_name(), [message])
    assert list((tmp_path / f"spool-{user}").iterdir()) == []
