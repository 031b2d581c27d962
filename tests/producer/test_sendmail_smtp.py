"""`sesq-sendmail -bs`: what mail programs say to it on standard input, and what is queued."""

from __future__ import annotations

import io
import smtplib
import socket
import subprocess
import sys
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis

from sesq.config.embedded import EmbeddedRedis
from sesq.producer.sendmail import command, conversation
from sesq.producer.sendmail.spool import Spool
from sesq.queue.keys import Keys
from waiting import in_order

AWAY = "redis://127.0.0.1:1/0"
MAIL = "From: Shop <shop@example.com>\r\nTo: Ada <ada@example.org>\r\nSubject: Hi\r\n\r\nHello\r\n"
BEGIN = "EHLO [127.0.0.1]\r\nMAIL FROM:<shop@example.com>\r\nRCPT TO:<ada@example.org>\r\nDATA\r\n"


@pytest.fixture(autouse=True)
def _settings(
    redis: Redis, redis_server: EmbeddedRedis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SESQ_REDIS_URL", redis_server.url)
    monkeypatch.setenv("SESQ_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("SESQ_MAIL_DOMAIN", "example.com")
    monkeypatch.chdir(tmp_path)


def say(text: str) -> tuple[int, list[str]]:
    """Exit status, and the replies."""
    said = io.BytesIO()
    status = command.run(["-bs"], io.BytesIO(text.encode("utf-8", "surrogateescape")), said)
    return status, said.getvalue().decode("ascii").split("\r\n")[:-1]


def test_a_second_mail_goes_to_its_own_recipients_alone(redis: Redis) -> None:
    # Given a program that begins a mail, and begins anew without RSET
    begun = "MAIL FROM:<shop@example.com>\r\nRCPT TO:<eve@example.org>\r\n"
    status, _ = say(f"EHLO x\r\n{begun}{BEGIN.partition(chr(10))[2]}{MAIL}.\r\nQUIT\r\n")
    # Then who was named for the first is not written to
    assert status == 0
    (record,) = in_order(redis)
    assert record.envelope.recipients == ("ada@example.org",)


@pytest.fixture
def client() -> Iterator[smtplib.SMTP]:
    """smtplib, talking to the program as Symfony does."""
    ours, theirs = socket.socketpair()
    with ours, theirs, smtplib.SMTP() as client:
        program = subprocess.Popen(
            [sys.executable, "-m", "sesq.producer.sendmail", "-bs"], stdin=theirs, stdout=theirs
        )
        theirs.close()
        client.sock, client._host = ours, "localhost"  # type: ignore[attr-defined]
        assert client.getreply()[0] == 220
        yield client
        client.quit()
        assert program.wait(20) == 0


def test_a_mail_program_sends_several_mails(client: smtplib.SMTP, redis: Redis) -> None:
    # Given a program that starts sesq-sendmail -bs, When it sends two mails, one with dots and a blind copy
    for text in ("Hello", ".\r\n..\r\nGrüße"):
        mail = MAIL.replace("Hello", text).encode()
        client.sendmail("shop@example.com", ["ada@example.org", "dan@example.org"], mail, ["BODY=8BITMIME"])
    # Then both are queued, as they were written, and the blind copy is blind
    first, second = in_order(redis)
    assert (first.envelope.to, first.envelope.bcc) == (("ada@example.org",), ("dan@example.org",))
    content = redis.get(Keys("default").content(second.id))
    assert isinstance(content, bytes)
    assert content.endswith("\r\n\r\n.\r\n..\r\nGrüße\r\n".encode())


def test_what_is_wrong_is_answered_and_the_next_mail_goes(client: smtplib.SMTP, redis: Redis) -> None:
    with pytest.raises(smtplib.SMTPRecipientsRefused, match=r"553.*5\.1\.3"):
        client.sendmail("shop@example.com", ["ada@example"], MAIL)
    with pytest.raises(smtplib.SMTPDataError, match=r"554.*5\.6\.0 .*subject twice"):
        client.sendmail("shop@example.com", ["ada@example.org"], f"Subject: a\r\n{MAIL}")
    client.sendmail("shop@example.com", ["ada@example.org"], MAIL)
    assert len(in_order(redis)) == 1


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ("HELO me", "250"),
        ("NOOP", "250 2.0.0"),
        ("RSET", "250 2.0.0"),
        ("VRFY ada", "252"),
        ("STARTTLS", "500 5.5.2"),
        ("x" * 70_000, "500 5.5.2"),
        ("MAIL FROM:shop@example.com", "501 5.5.4"),
        ("RCPT TO:<ada@example.org>", "503 5.5.1"),
        ("DATA", "503 5.5.1"),
        ("mail from:<> SIZE=5 RET=HDRS", "250"),
        ("MAIL FROM:<shop>\r\nRCPT TO:<ada@example.org> NOTIFY=NEVER", "250"),
        ("MAIL FROM:<a\tb>", "553 5.1.3"),
    ],
)
def test_each_command_has_its_answer(said: str, code: str) -> None:
    status, replies = say(f"{said}\r\nQUIT\r\n")
    assert status == 0
    assert replies[0].startswith("220")
    assert replies[-2].startswith(code)
    assert replies[-1].startswith("221")


def test_a_mail_in_lines_as_a_shell_writes_them_is_taken(redis: Redis) -> None:
    status, replies = say((BEGIN + "Subject: Hi\r\n\r\nHello\r\n.\r\nQUIT\r\n").replace("\r\n", "\n"))
    assert (status, replies[-2]) == (0, "250 2.0.0 queued")
    (record,) = in_order(redis)
    assert (record.envelope.sender, record.envelope.bcc) == ("shop@example.com", ("ada@example.org",))


@pytest.mark.parametrize("end", ["\n.\n", "\n.\r\n", "\r.\r", "\r\n.\n", "\r\n.\r"])
def test_no_other_end_of_a_mail_begins_a_second_one(end: str, redis: Redis) -> None:
    # Given a text that ends a mail for other servers, and goes on as another mail
    second = "MAIL FROM:<shop@example.com>\r\nRCPT TO:<eve@example.org>\r\nDATA\r\n" + MAIL
    # When a client sends it as one mail, Then it is one mail
    assert say(f"{BEGIN}{MAIL}{end}{second}\r\n.\r\nQUIT\r\n")[1][-1].startswith("221")
    assert [spec for record in in_order(redis) for spec in record.envelope.recipients] == ["ada@example.org"]


@pytest.mark.parametrize("cut", ["", MAIL, MAIL + "."])
def test_a_mail_that_breaks_off_is_not_queued(cut: str, redis: Redis) -> None:
    status, _ = say(BEGIN + cut)
    assert status == 75
    assert in_order(redis) == []


def test_a_line_longer_than_is_read_at_once_is_one_line(redis: Redis) -> None:
    body = ("x" * 131_071 + ".") * 2
    assert say(f"{BEGIN}{MAIL}{body}\r\n.\r\nQUIT\r\n")[1][-2] == "250 2.0.0 queued"
    assert len(in_order(redis)) == 1


def test_a_mail_beyond_what_ses_takes_is_refused_and_the_next_one_goes(
    monkeypatch: pytest.MonkeyPatch, redis: Redis
) -> None:
    monkeypatch.setattr("sesq.producer.sendmail.conversation.MAX_MESSAGE_BYTES", 1000)
    large = BEGIN + MAIL + "x\r\n" * 1000 + ".\r\n"
    _, replies = say(f"{large}{BEGIN}{MAIL}.\r\nQUIT\r\n")
    assert [reply[:9] for reply in replies if reply[:3] in ("552", "250")][-1] == "250 2.0.0"
    assert any(reply.startswith("552 5.3.4") for reply in replies)
    assert len(in_order(redis)) == 1


def test_a_mail_names_a_thousand_recipients_at_most() -> None:
    people = "".join(f"RCPT TO:<person{number}@example.org>\r\n" for number in range(1001))
    _, replies = say(f"MAIL FROM:<shop@example.com>\r\n{people}QUIT\r\n")
    assert [reply[:3] for reply in replies].count("250") == 1001
    assert replies[-2].startswith("452 4.5.3")


def test_while_redis_is_away_the_answer_says_that_the_mail_is_spooled(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SESQ_REDIS_URL", AWAY)
    _, replies = say(f"{BEGIN}{MAIL}.\r\nQUIT\r\n")
    assert replies[-2].startswith("250 2.0.0 Redis is away")
    assert "is kept in" in replies[-2]
    spool = Spool(tmp_path / "data")
    assert len(spool) == 1
    # And where it cannot be spooled either, the client keeps it
    spool.folder.chmod(0o755)
    assert say(f"{BEGIN}{MAIL}.\r\nQUIT\r\n")[1][-2].startswith("451 4.3.0 Redis is away")


class Endless(io.BytesIO):
    """A mail of 20 MB, of which one line at a time is in memory."""

    lines = 20_000

    def readline(self, size: int | None = -1) -> bytes:
        line = super().readline(size)
        if line or not self.lines:
            return line
        self.lines -= 1
        return b"x" * 998 + b"\r\n" if self.lines else b".\r\n"


def test_of_a_mail_that_is_too_large_the_rest_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conversation, "MAX_MESSAGE_BYTES", 1000)
    said = io.BytesIO()
    tracemalloc.start()
    try:
        command.run(["-bs"], Endless(BEGIN.encode()), said)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert b"552 5.3.4 the mail has more than 1,000 bytes" in said.getvalue()
    assert peak < 5_000_000


def test_a_mail_takes_no_recipients_of_the_mail_before(redis: Redis) -> None:
    # Given a mail that was taken, When its program begins another with DATA alone, Then that is out of turn
    _, replies = say(f"{BEGIN}{MAIL}.\r\nDATA\r\nQUIT\r\n")
    assert [reply[:3] for reply in replies[-2:]] == ["503", "221"]
    assert len(in_order(redis)) == 1
