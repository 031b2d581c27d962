"""The SMTP transport before a server that answers as told. The contract suite puts it before SES's simulator."""

from __future__ import annotations

import re
import socket
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from email import message_from_bytes
from email.policy import default
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from batch_stage import BatchStage
from sesq.queue.chunks import read_results
from sesq.queue.envelope import Envelope, SimpleContent
from sesq.queue.identities import BorrowedIdentities
from sesq.queue.states import State
from sesq.simulator import Simulator
from sesq.worker.transports import Outgoing, SendFailed, SmtpTransport, smtp_session
from sesq.worker.transports.parcel import parcel_for
from sesq.worker.transports.smtp import named_id
from sesq.worker.transports.smtp_session import SmtpServer
from sesq.worker.verdicts import Answer, Channel, Kind, Verdict, weigh
from sesq.worker.verdicts.table import SMTP, Row
from smtp_stub import HANG_UP, SmtpStub, smtp_stub

SENDER = "Shop <shop@example.com>"


@pytest.fixture
def stub() -> Iterator[SmtpStub]:
    with smtp_stub() as stub:
        yield stub


@pytest.fixture
def transport(stub: SmtpStub) -> Iterator[SmtpTransport]:
    server = SmtpServer("127.0.0.1", stub.port, "none", "AKIA", "secret-password")
    transport = SmtpTransport(server, region="us-east-1", concurrency=4)
    yield transport
    transport.close()


def outgoing(content: Any = None, **changes: Any) -> Outgoing:
    envelope = Envelope(**{"sender": SENDER, "to": ("bob@x.org",), "subject": "Hi", **changes})
    return Outgoing("id-1", envelope, content or SimpleContent("Hi", text="Good day"))


def verdict_of(transport: SmtpTransport, message: Outgoing | None = None) -> Verdict:
    with pytest.raises(SendFailed) as caught:
        transport.send(message or outgoing())
    return caught.value.verdict


# what leaves ------------------------------------------------------------------------------------------------------


def test_who_gets_it_stands_in_the_envelope_and_a_blind_copy_nowhere_else(
    stub: SmtpStub, transport: SmtpTransport
) -> None:
    message = outgoing(
        cc=("Eve <eve@x.org>",),
        bcc=("mallory@z.org",),
        tags={"kind": "news"},
        configuration_set="main",
        tenant="acme",
        contact_list="news",
    )

    assert transport.send(message) == "stub-1"

    heard = [line.lower() for line in stub.heard]  # Pythons write the verbs in different cases
    assert [line for line in heard if line.startswith(("mail", "rcpt"))] == [
        "mail from:<shop@example.com>",
        "rcpt to:<bob@x.org>",
        "rcpt to:<eve@x.org>",
        "rcpt to:<mallory@z.org>",
    ]
    mail = message_from_bytes(stub.mails[0], policy=default)
    assert (mail["From"], mail["To"], mail["Cc"], mail["Bcc"]) == (
        SENDER,
        "bob@x.org",
        "Eve <eve@x.org>",
        None,
    )
    assert mail["X-SES-MESSAGE-TAGS"] == "sesq-id=id-1, kind=news"
    assert (mail["X-SES-CONFIGURATION-SET"], mail["X-SES-TENANT"]) == ("main", "acme")
    assert mail["X-SES-LIST-MANAGEMENT-OPTIONS"] == "news"
    assert b"mallory" not in stub.mails[0]


def test_bounces_go_where_the_message_says(stub: SmtpStub, transport: SmtpTransport) -> None:
    transport.send(outgoing(feedback_to="bounces@example.com", contact_list="news", topic="weekly"))

    assert [line.lower() for line in stub.heard if line.lower().startswith("mail")] == [
        "mail from:<bounces@example.com>"
    ]
    mail = message_from_bytes(stub.mails[0], policy=default)
    assert (mail["From"], mail["Return-Path"]) == (SENDER, None)
    assert mail["X-SES-LIST-MANAGEMENT-OPTIONS"] == "news; topic=weekly"


def test_identities_that_are_lent_are_named_in_headers(stub: SmtpStub, transport: SmtpTransport) -> None:
    arn = "arn:aws:ses:eu-west-1:123456789012:identity/"
    transport.borrowed = BorrowedIdentities.of([f"{arn}example.com", f"{arn}bounces.example"])
    for message in (
        outgoing(),
        outgoing(feedback_to="b@bounces.example"),
        outgoing(sender="x@other.example", feedback_to="b@bounces.example"),
        outgoing(sender="x@other.example"),
    ):
        transport.send(message)
    mails = [message_from_bytes(mail, policy=default) for mail in stub.mails]
    names = ("X-SES-SOURCE-ARN", "X-SES-FROM-ARN", "X-SES-RETURN-PATH-ARN")
    shop, bounces = f"{arn}example.com", f"{arn}bounces.example"
    assert [[mail[name] for name in names] for mail in mails] == [
        [shop, shop, shop],
        [bounces, shop, bounces],
        [bounces, None, bounces],
        [None, None, None],
    ]


def test_a_raw_mail_keeps_its_text_whatever_its_line_ends_and_dots(
    stub: SmtpStub, transport: SmtpTransport
) -> None:
    raw = b"From: shop@example.com\nSubject: Hi\n\n.one\n..two\rthree\n."

    transport.send(outgoing(raw, kind="raw"))

    assert stub.mails[0].endswith(b"\r\n\r\n..one\r\n...two\r\nthree\r\n..\r\n")


@pytest.mark.parametrize("own", [b"", b"date: Mon, 1 Jan 2024 10:00:00 +0000\r\nMESSAGE-ID: <own@x.org>\r\n"])
def test_date_and_message_id_stand_there_once(own: bytes) -> None:
    raw = own + b"From: shop@example.com\r\n\r\nDate: of the meeting\r\n"
    mail = message_from_bytes(parcel_for(outgoing(raw, kind="raw")).content)
    assert len(mail.get_all("Date", [])) == len(mail.get_all("Message-ID", [])) == 1
    assert mail["Message-ID"] == ("<own@x.org>" if own else "<id-1@example.com>")


def test_eight_bits_are_announced_where_the_server_takes_them(
    stub: SmtpStub, transport: SmtpTransport
) -> None:
    transport.send(outgoing("From: shop@example.com\r\n\r\nGrüße\r\n".encode(), kind="raw"))
    assert any("BODY=8BITMIME" in line for line in stub.heard)


def test_many_tags_are_folded_within_a_mails_line_length() -> None:
    tags = {f"name-{i}-{'n' * 200}": "v" * 250 for i in range(10)}
    content = parcel_for(outgoing(tags=tags)).content
    assert max(map(len, content.splitlines())) < 998
    folded = message_from_bytes(content)["X-SES-MESSAGE-TAGS"].split(",")
    assert [pair.strip().partition("=")[0] for pair in folded] == ["sesq-id", *tags]


@pytest.mark.parametrize(
    ("reply", "id"),
    [
        ("Ok 0100019a-000000", "0100019a-000000"),
        ("2.0.0 Ok: queued as 4F1C2", "4F1C2"),
        ("2.6.0\nthanks", "2.6.0_thanks"),
        ("", "accepted"),
    ],
)
def test_the_id_in_a_reply(reply: str, id: str) -> None:
    assert named_id(reply) == id


@pytest.mark.parametrize(
    "reply",
    [
        "250 Message accepted for delivery",
        "250 2.0.0 accepted 1:00 2:00 for delivery",
        "250-taken\r\n250 1:00 thanks",
        "250 OK: got it",
        "250 OK got it",
    ],
)
def test_a_reply_without_an_id_is_of_one_row_alone(
    redis: Redis, stub: SmtpStub, transport: SmtpTransport, reply: str
) -> None:
    # Given a batch, and a relay that answers in words
    stage = BatchStage(redis)
    stage.sender.transport = transport
    taken = stage.take(3)
    stub.after_the_dot(reply)
    # When one row is sent
    (result,) = stage.send(1)
    # Then it has an id without spaces, and the log of its chunk has that row alone
    assert result.state is State.SENT
    assert result.message_id is not None
    assert re.fullmatch(r"\S+", result.message_id)
    log = redis.get(stage.keys.log(f"{taken.id}-0"))
    assert log is not None
    assert log.decode().split()[1:] == [f"0:{result.message_id}"]
    read = {row: each.message_id for row, each in read_results(log).items()}
    assert read == {0: result.message_id}
    assert [each.message_id for each in stage.batches.recipients(taken.id)] == [result.message_id, None, None]


def test_without_credentials_nobody_signs_in(stub: SmtpStub) -> None:
    transport = SmtpTransport(SmtpServer("127.0.0.1", stub.port, "none"))
    transport.send(outgoing())
    transport.close()
    assert "AUTH" not in stub.heard


# every answer of the table, over a socket ----------------------------------------------------------------------------

UNVERIFIED = (
    "554 Message rejected: Email address is not verified. "
    "The following identities failed the check in region US-EAST-1: {}"
)
DENIED = "554 Access denied: User arn:aws:iam::1:user/x is not authorized to perform ses:SendRawEmail on resource {}"

ANSWERS: list[tuple[int, str, str]] = [
    (0, ".", "454 Throttling failure: Maximum sending rate exceeded."),
    (0, "DATA", "454 Throttling failure: Maximum sending rate exceeded."),
    (1, ".", "454 Throttling failure: Daily message quota exceeded."),
    (2, ".", "554 Maximum SigV2 SMTP sending rate exceeded"),
    (3, ".", "454 Throttling failure: something new"),
    (4, ".", "451 Temporary service failure"),
    (4, "RCPT", "454 Temporary service failure"),
    (4, "AUTH", "454 Temporary authentication failure"),
    (4, "GREETING", "421 Too many concurrent SMTP connections"),
    (5, "AUTH", "535 Authentication Credentials Invalid"),
    (5, "AUTH", "535 Account not subscribed to SES"),
    (5, "MAIL", "530 Authentication required"),
    (5, "AUTH", "534 Authentication mechanism is too weak"),
    (5, "AUTH", "538 Encryption required for requested authentication mechanism"),
    (6, ".", "552 Message is too long."),
    (
        7,
        ".",
        "554 Message rejected: Sending suspended for this account. For more information, please check the inbox",
    ),
    (8, ".", UNVERIFIED.format("bob@x.org")),
    (9, ".", UNVERIFIED.format("Shop <shop@example.com>, shop@example.com, bob@x.org")),
    (10, ".", DENIED.format("arn:aws:ses:us-east-1:1:identity/bob@x.org")),
    (11, ".", DENIED.format("arn:aws:ses:us-east-1:1:identity/example.com")),
    (12, ".", DENIED.format("something")),
    (13, ".", "554 Transaction failed: Configuration set <gone> does not exist."),
    (14, ".", "554 Transaction failed: Duplicate header 'Content-Type'."),
    (14, "MAIL", "553 <shop> Invalid email address"),
    (14, "RCPT", "553 <bob@x.org> address unknown"),
]


def test_every_row_of_the_table_is_among_the_answers() -> None:
    assert {number for number, _, _ in ANSWERS} == set(range(len(SMTP)))


@pytest.mark.parametrize(("number", "step", "reply"), ANSWERS)
def test_an_answer_means_what_its_row_says(
    number: int,
    step: str,
    reply: str,
    stub: SmtpStub,
    transport: SmtpTransport,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Given a server that answers so; a sign-in is tried in two ways
    stub.says(**{step: reply})
    if step == "AUTH":
        stub.says(AUTH=reply)

    # When a message is sent
    verdict = verdict_of(transport)

    # Then the verdict is that row's
    row: Row = SMTP[number]
    monkeypatch.setattr(sys.modules["sesq.worker.verdicts.judge"], "ROWS", (row,))
    code, _, text = reply.partition(" ")
    expected = weigh(Answer(Channel.SMTP, (code,), text), envelope=outgoing().envelope, region="us-east-1")
    assert expected.kind is row.outcome.kind
    assert verdict == expected
    assert "secret-password" not in repr(verdict)

    # And the next message goes, once
    stub.mails.clear()
    assert transport.send(outgoing()) == "stub-1"


def test_one_refused_recipient_takes_the_whole_message_back(stub: SmtpStub, transport: SmtpTransport) -> None:
    # Given a server that refuses the second of three
    stub.says(RCPT="250 Ok")
    stub.says(RCPT="553 <eve@x.org> address unknown")

    # When the message is sent, then it is refused, nothing has left, and the session is cleared for the next one
    verdict = verdict_of(transport, outgoing(to=("bob@x.org", "eve@x.org", "ada@x.org")))
    assert verdict.kind is Kind.REFUSED
    assert stub.mails == []
    assert stub.heard[-1] == "rset"
    transport.send(outgoing())
    assert stub.connections == 1


def test_a_recipient_whom_the_server_forwards_is_taken(stub: SmtpStub, transport: SmtpTransport) -> None:
    """RFC 5321, 4.3.2: 251 says so, of one who is not local."""
    stub.says(RCPT="251 User not local; will forward")
    assert transport.send(outgoing()) == "stub-1"
    assert len(stub.mails) == 1


# connections --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", ["GREETING", "EHLO", "MAIL", "RCPT", "DATA"])
def test_an_end_before_the_mail_has_left_is_transient(
    step: str, stub: SmtpStub, transport: SmtpTransport
) -> None:
    stub.says(**{step: HANG_UP})
    if step == "EHLO":
        stub.says(HELO=HANG_UP)
    assert verdict_of(transport).kind is Kind.TRANSIENT
    assert stub.mails == []


def test_an_end_after_the_final_dot_is_unknown(stub: SmtpStub, transport: SmtpTransport) -> None:
    stub.after_the_dot(HANG_UP)
    assert verdict_of(transport).kind is Kind.UNKNOWN
    assert len(stub.mails) == 1
    assert transport.send(outgoing()) == "stub-2"


@pytest.mark.parametrize("reply", ["what?", "250", "250 " + "x" * 10_000])
def test_a_reply_to_the_mail_that_cannot_be_read_is_unknown_or_a_yes(
    reply: str, stub: SmtpStub, transport: SmtpTransport
) -> None:
    stub.after_the_dot(reply)
    if reply == "250":
        assert transport.send(outgoing()) == "accepted"
    else:
        assert verdict_of(transport).kind is Kind.UNKNOWN


def test_nobody_there_is_transient() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    verdict = verdict_of(SmtpTransport(SmtpServer("127.0.0.1", port, "none")))
    assert (verdict.kind, verdict.text) == (Kind.TRANSIENT, "Connection refused")


@pytest.mark.parametrize("reply", ["500 Unknown command", "504 Unrecognized authentication type"])
def test_a_server_that_signs_nobody_in_concerns_the_account_not_the_message(
    reply: str, stub: SmtpStub, transport: SmtpTransport
) -> None:
    for _ in range(2):
        stub.says(AUTH=reply)
    verdict = verdict_of(transport)
    assert (verdict.kind, verdict.hold) == (Kind.CONFIGURATION, "account")


NO_REPLIES = ("what?", "", "250", "999 Ok", "\xff\xfe", "500 " + "x" * 10_000)


@pytest.mark.parametrize("greeting", ["554 No SMTP service here", "535 Not now", *NO_REPLIES])
def test_a_greeting_that_is_none_is_transient(
    greeting: str, stub: SmtpStub, transport: SmtpTransport
) -> None:
    # Given a server that is not ready, or something else that listens there for a moment
    stub.says(GREETING=greeting)
    # When a message is sent, then nothing was told to it, and the message may be tried again
    verdict = verdict_of(transport)
    assert (verdict.kind, verdict.hold) == (Kind.TRANSIENT, None)
    assert "nothing was sent" in verdict.reason
    assert stub.heard == []
    assert transport.send(outgoing()) == "stub-1"


@pytest.mark.parametrize("step", ["AUTH", "MAIL", "RCPT", "DATA"])
@pytest.mark.parametrize("reply", NO_REPLIES)
def test_a_reply_that_is_none_before_the_mail_is_transient(
    reply: str, step: str, stub: SmtpStub, transport: SmtpTransport
) -> None:
    if (reply, step) in (("250", "MAIL"), ("250", "RCPT")):
        return  # that is a yes
    stub.says(**{step: reply})
    if step == "AUTH":
        stub.says(AUTH=reply)
    verdict = verdict_of(transport)
    assert (verdict.kind, verdict.hold) == (Kind.TRANSIENT, None)
    assert "secret-password" not in repr(verdict)
    assert stub.mails == []
    stub.scripted.clear()
    assert transport.send(outgoing()) == "stub-1"


def test_without_tls_no_credentials_are_told(stub: SmtpStub) -> None:
    transport = SmtpTransport(SmtpServer("127.0.0.1", stub.port, "starttls", "AKIA", "secret"))
    assert verdict_of(transport).kind is Kind.CONFIGURATION
    assert "AUTH" not in stub.heard


@pytest.mark.parametrize("wrong", ["issuer", "host", "time"])
def test_a_certificate_is_checked(wrong: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Given a server whose certificate is by nobody we trust, for another host, or out of date
    connect = socket.create_connection
    if wrong == "time":
        monkeypatch.setattr("sesq.simulator.smtp.certificate._LIFETIME", timedelta(hours=-1))
    monkeypatch.setattr(socket, "create_connection", lambda at, *rest: connect(("127.0.0.1", at[1]), *rest))
    with Simulator(smtp_tls_port=0, smtp_port=0) as ses:
        (tmp_path / "ca.pem").write_text(ses.certificate)
        ca_file = None if wrong == "issuer" else str(tmp_path / "ca.pem")
        host = "mail.example.com" if wrong == "host" else "localhost"
        for port, tls in ((ses.smtp_port, "starttls"), (ses.smtp_tls_port, "tls")):
            # When mail is handed to it, then it is told nothing, and the account's mail waits for a person
            server = SmtpServer(host, port, tls, "AKIA", "secret", ca_file)  # type: ignore[arg-type]
            verdict = verdict_of(SmtpTransport(server))
            assert (verdict.kind, verdict.code) == (Kind.CONFIGURATION, "SSLCertVerificationError")
            assert ("expired" in verdict.text) is (wrong == "time")
        assert ses.messages() == []


def test_sessions_are_used_again_and_a_dead_one_is_replaced_without_loss(
    stub: SmtpStub, transport: SmtpTransport
) -> None:
    # Given a session that the server ended while it was idle, in each of its ways
    transport.send(outgoing())
    transport.send(outgoing())
    assert stub.connections == 1
    for farewell in ("451 4.4.2 Timeout waiting for data from client.", "421 Closing", HANG_UP):
        stub.says(MAIL=farewell)
        # When the next message is sent, then it goes through a new one
        transport.send(outgoing())
    assert (stub.connections, len(stub.mails)) == (4, 5)


CLOSING = "421 Service not available, closing transmission channel"


@pytest.mark.parametrize("step", ["GREETING", "MAIL", "RCPT", "DATA", "."])
def test_a_new_session_that_is_closed_is_no_reason_for_another(
    step: str, stub: SmtpStub, transport: SmtpTransport
) -> None:
    # Given a server that closes every session
    for _ in range(5):
        stub.says(**{step: CLOSING})
    # When a message is sent, Then one session was tried, and the message may be tried again later
    verdict = verdict_of(transport)
    assert (verdict.kind, verdict.code) == (Kind.TRANSIENT, "421")
    assert stub.connections == 1


def test_for_a_session_that_had_ended_one_other_is_tried(stub: SmtpStub, transport: SmtpTransport) -> None:
    transport.send(outgoing())
    for _ in range(5):
        stub.says(MAIL=CLOSING)
    assert verdict_of(transport).kind is Kind.TRANSIENT
    assert (stub.connections, len(stub.mails)) == (2, 1)


def test_the_other_session_is_a_new_one(stub: SmtpStub, transport: SmtpTransport) -> None:
    # Given two idle sessions that the server has both ended
    with transport._pool.lend() as one, transport._pool.lend() as another:
        for session in (one, another):
            session.deliver(parcel_for(outgoing()), lambda: None)
    stub.says(MAIL=CLOSING)
    stub.says(MAIL=CLOSING)
    # When a message is sent, Then it does not meet both
    with pytest.raises(SendFailed):
        transport.send(outgoing())
    assert stub.connections == 3


class Clock:
    """Time as the session sees it: a second a line."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now

    def tick(self) -> None:
        self.now += 1


@pytest.mark.parametrize(
    ("step", "code", "kind"),
    [
        ("GREETING", 220, Kind.TRANSIENT),
        ("AUTH", 235, Kind.TRANSIENT),
        ("MAIL", 250, Kind.TRANSIENT),
        ("RCPT", 250, Kind.TRANSIENT),
        ("DATA", 354, Kind.TRANSIENT),
        (".", 250, Kind.UNKNOWN),
    ],
)
def test_a_reply_without_end_does_not_outlast_a_mails_time(
    step: str,
    code: int,
    kind: Kind,
    stub: SmtpStub,
    transport: SmtpTransport,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Given a server that answers a line a second for longer than a mail may take
    clock = Clock()
    monkeypatch.setattr(smtp_session, "time", clock)
    stub.before_a_line = clock.tick
    stub.says(**{step: "\r\n".join([*([f"{code}-{'x' * 500}"] * 100), f"{code} Ok"])})
    # When a message is sent, Then it ends in time
    assert verdict_of(transport).kind is kind
    # And the next one goes
    stub.scripted.clear()
    transport.send(outgoing())


def test_several_threads_have_a_session_each(stub: SmtpStub, transport: SmtpTransport) -> None:
    with ThreadPoolExecutor(8) as threads:
        ids = set(threads.map(lambda _: transport.send(outgoing()), range(40)))
    assert len(ids) == 40
    assert stub.most_open <= 4


def test_too_many_connections_are_waited_for_and_lowered(stub: SmtpStub, transport: SmtpTransport) -> None:
    # Given one session at work, and a server that lets no second one in
    started, finish = threading.Event(), threading.Event()
    with ThreadPoolExecutor(2) as threads:

        def hold() -> None:
            with transport._pool.lend():
                started.set()
                assert finish.wait(20)

        holding = threads.submit(hold)
        assert started.wait(20)
        stub.says(GREETING="421 Too many concurrent SMTP connections")
        # When another message is sent, it waits for the first session
        sending = threads.submit(transport.send, outgoing())
        while transport._pool.limit > 1:
            assert not sending.done()
        finish.set()
        # Then it goes through that one, and no attempt is lost
        assert sending.result(20) == "stub-1"
        holding.result(20)
    assert transport._pool.limit == 1
