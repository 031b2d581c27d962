"""The SMTP endpoint through smtplib, and over bare sockets what smtplib would never send."""

from __future__ import annotations

import contextlib
import smtplib
import socket
import ssl

import pytest

from sesq.simulator import Simulator
from sesq.simulator.errors import WIRE, SesError
from sesq.simulator.signature import smtp_password
from sesq.simulator.smtp.session import smtp_reply

MESSAGE = "From: shop@example.com\r\nTo: ada@example.org\r\nSubject: Hi\r\n\r\nHello"
VERIFIED = ["example.com", "ada@example.org"]


@pytest.fixture
def ses():
    with Simulator(
        verified=VERIFIED, smtp_port=0, smtp_tls_port=0, smtp_options={"connections": 3}
    ) as simulator:
        simulator.freeze()
        yield simulator


@pytest.fixture
def trust(ses):
    return ssl.create_default_context(cadata=ses.certificate)


@pytest.fixture
def smtp(ses, trust):
    with contextlib.closing(smtplib.SMTP("localhost", ses.smtp_port, timeout=10)) as client:
        client.starttls(context=trust)
        client.login("AKIATEST", "anything")
        yield client


def test_accepted_with_the_id_of_ses(ses, smtp):
    smtp.mail("shop@example.com")
    smtp.rcpt("ada@example.org")
    code, text = smtp.data(MESSAGE)
    message = ses.messages(content=True)[0]
    assert (code, text) == (250, f"Ok {message['id']}".encode())
    assert message["api"] == "smtp"
    assert message["subject"] == "Hi"
    assert message["content"]["Raw"]["Data"] == MESSAGE + "\r\n"


def test_implicit_tls(ses, trust):
    with smtplib.SMTP_SSL("localhost", ses.smtp_tls_port, context=trust, timeout=10) as client:
        client.login("AKIATEST", "anything")
        assert client.sendmail("shop@example.com", ["ada@example.org"], MESSAGE) == {}
    assert ses.report()["accepted"] == 1


def test_nothing_before_tls_and_nothing_before_auth(ses, trust):
    with contextlib.closing(smtplib.SMTP("localhost", ses.smtp_port, timeout=10)) as client:
        client.ehlo()
        assert client.esmtp_features.keys() == {"8bitmime", "starttls", "ok"}
        assert client.mail("shop@example.com")[0] == 530
        client.starttls(context=trust)
        client.ehlo()
        assert client.esmtp_features["auth"].split() == ["LOGIN", "PLAIN"]
        assert client.mail("shop@example.com") == (530, b"Authentication required")


@pytest.mark.parametrize(
    ("region", "secret", "password"),
    [
        ("eu-central-1", "some+secret+key", "BMXhUYlu5Z3gSXVQORxlVa7XPaz91aGWdfHxvkOZdWZ2"),
        ("eu-central-1", "another+secret+key", "BBbphbrQmrKMx42d1N6+C7VINYEBGI5v9VsZeTxwskfh"),
        ("us-west-1", "some+secret+key", "BH+jbMzper5WwlwUar9E1ySBqHa9whi0GPo+sJ0mVYJj"),
        ("us-west-1", "another+secret+key", "BKVmjjMDFk/qqw8EROW99bjCS65PF8WKvK5bSr4Y6EqF"),
    ],
)
def test_derived_password(region, secret, password):
    assert smtp_password(secret, region) == password


def test_password_of_a_region_opens_that_region():
    options = {"region": "eu-west-1"}
    with Simulator(keys={"AKIA1": "secret"}, verified=VERIFIED, smtp_port=0, smtp_options=options) as ses:
        ses.verify("x@y.org", region="us-west-2")
        trust = ssl.create_default_context(cadata=ses.certificate)
        for region in ("eu-west-1", "us-west-2"):
            with smtplib.SMTP("localhost", ses.smtp_port, timeout=10) as client:
                client.starttls(context=trust)
                client.login("AKIA1", smtp_password("secret", region))
                client.sendmail("shop@example.com", ["ada@example.org"], MESSAGE)
            assert ses.report(region)["accepted"] == 1
        with smtplib.SMTP("localhost", ses.smtp_port, timeout=10) as client:
            client.starttls(context=trust)
            with pytest.raises(smtplib.SMTPAuthenticationError) as refused:
                client.login("AKIA1", "secret")
        assert (refused.value.smtp_code, refused.value.smtp_error) == (
            535,
            b"Authentication Credentials Invalid",
        )


def test_both_limits_are_454_after_data(ses, smtp):
    ses.set_account(max_24_hour_send=1)
    smtp.sendmail("shop@example.com", ["ada@example.org"], MESSAGE)
    with pytest.raises(smtplib.SMTPDataError) as rate:
        smtp.sendmail("shop@example.com", ["ada@example.org"], MESSAGE)
    ses.advance(1)
    with pytest.raises(smtplib.SMTPDataError) as day:
        smtp.sendmail("shop@example.com", ["ada@example.org"], MESSAGE)
    assert rate.value.args == (454, b"Throttling failure: Maximum sending rate exceeded.")
    assert day.value.args == (454, b"Throttling failure: Daily message quota exceeded.")


def test_header_shows_with_its_name_and_the_envelope_bare(smtp):
    with pytest.raises(smtplib.SMTPDataError) as refused:
        smtp.sendmail(
            "yoyo@domain.com",
            ["ada@example.org"],
            MESSAGE.replace("shop@example.com", "yoyo <yoyo@domain.com>"),
        )
    assert refused.value.args == (
        554,
        b"Message rejected: Email address is not verified. The following identities failed the check in region "
        b"US-EAST-1: yoyo <yoyo@domain.com>, yoyo@domain.com",
    )


@pytest.mark.parametrize("kind", sorted(WIRE.keys() - {"reset"}))
def test_each_kind_has_one_reply(ses, smtp, monkeypatch, kind):
    def refuse(*_):
        raise SesError(kind, "the text")

    monkeypatch.setattr(ses.cloud.account(), "_check", refuse)
    with pytest.raises(smtplib.SMTPDataError) as refused:
        smtp.sendmail("shop@example.com", ["ada@example.org"], MESSAGE)
    code, text = WIRE[kind].smtp.format("the text").split(" ", 1)
    assert refused.value.args == (int(code), text.encode())


def test_long_lists_of_identities_end_in_dots():
    error = SesError(
        "unverified", "US-EAST-1: " + ", ".join(f"user{number}@example.org" for number in range(50))
    )
    reply = smtp_reply(error)
    assert len(reply) <= 510
    assert reply.endswith("@example.org, ...")


def test_addresses_refused_at_the_envelope(smtp):
    with pytest.raises(smtplib.SMTPSenderRefused) as sender:
        smtp.sendmail("shop@exa_mple..com", ["ada@example.org"], MESSAGE)
    assert sender.value.smtp_code == 553
    with pytest.raises(smtplib.SMTPRecipientsRefused) as recipient:
        smtp.sendmail("shop@example.com", ["nobody"], MESSAGE)
    assert recipient.value.recipients == {"nobody": (553, b"<nobody> address unknown")}


def test_more_than_fifty_recipients(smtp):
    with pytest.raises(smtplib.SMTPDataError) as refused:
        smtp.sendmail("shop@example.com", [f"u{number}@example.com" for number in range(51)], MESSAGE)
    assert refused.value.args == (554, b"Transaction failed: Recipient count exceeds 50.")


def test_what_is_longer_than_ses_takes_is_refused_and_recorded(ses, smtp, monkeypatch):
    monkeypatch.setattr("sesq.simulator.smtp.session.V2_MAX_BYTES", 1000)
    with pytest.raises(smtplib.SMTPDataError) as refused:
        smtp.sendmail("shop@example.com", ["ada@example.org"], MESSAGE + "x" * 1000)
    assert refused.value.args == (552, b"Message is too long.")
    assert ses.report()["refused"] == {"too_long": 1}
    smtp.sendmail("shop@example.com", ["ada@example.org"], MESSAGE)


def test_too_much_to_hold_is_552(ses, trust, monkeypatch):
    monkeypatch.setattr("sesq.simulator.smtp.session.HELD_BYTES", 10_000)
    with smtplib.SMTP_SSL("localhost", ses.smtp_tls_port, context=trust, timeout=10) as client:
        client.login("AKIATEST", "anything")
        with pytest.raises(smtplib.SMTPDataError) as refused:
            client.sendmail("shop@example.com", ["ada@example.org"], MESSAGE + "\r\nx" * 5_000)
        assert refused.value.args == (552, b"Message is too long.")
        client.sendmail("shop@example.com", ["ada@example.org"], MESSAGE)


def test_configuration_set_and_tags_come_from_headers(ses, smtp):
    with pytest.raises(smtplib.SMTPDataError, match="Configuration set <news> does not exist"):
        smtp.sendmail("shop@example.com", ["ada@example.org"], "X-SES-CONFIGURATION-SET: news\r\n" + MESSAGE)
    smtp.sendmail(
        "shop@example.com", ["ada@example.org"], "X-SES-MESSAGE-TAGS: sesq-id=m1, a=b\r\n" + MESSAGE
    )
    assert ses.messages()[-1]["tags"] == {"sesq-id": "m1", "a": "b"}


@pytest.mark.parametrize(("fault", "accepted"), [("lose_reply", 1), ("reset", 0)])
def test_connection_ends_without_a_reply(ses, smtp, fault, accepted):
    ses.set_faults({fault: {"count": 1}})
    with pytest.raises(smtplib.SMTPServerDisconnected):
        smtp.sendmail("shop@example.com", ["ada@example.org"], MESSAGE)
    assert ses.report()["accepted"] == accepted


def test_too_many_connections(ses):
    with contextlib.ExitStack() as open_ones:
        for _ in range(3):
            client = smtplib.SMTP("localhost", ses.smtp_port, timeout=10)
            open_ones.callback(client.close)
        with pytest.raises(smtplib.SMTPConnectError) as refused:
            smtplib.SMTP("localhost", ses.smtp_port, timeout=10)
        assert refused.value.args == (421, b"Too many concurrent SMTP connections")


def test_idle_connection_is_closed():
    with Simulator(smtp_port=0, smtp_options={"idle": 0.05}) as ses:
        raw = socket.create_connection(("127.0.0.1", ses.smtp_port), timeout=10)
        with raw, raw.makefile("rb") as replies:
            said = replies.readlines()
    assert said[0].startswith(b"220 email-smtp.amazonaws.com ESMTP SimpleEmailService")
    assert said[1:] == [b"451 4.4.2 Timeout waiting for data from client.\r\n"]


@pytest.fixture
def wire(ses, trust):
    """A TLS socket that is logged in: `wire(bytes)` sends them at once, says QUIT, and returns all replies."""

    def talk(data: bytes) -> list[bytes]:
        raw = socket.create_connection(("localhost", ses.smtp_tls_port), timeout=10)
        with trust.wrap_socket(raw, server_hostname="localhost") as tls, tls.makefile("rb") as replies:
            tls.sendall(b"EHLO me\r\nAUTH PLAIN AHUAcA==\r\n" + data + b"QUIT\r\n")
            return replies.readlines()[6:]

    return talk


ENVELOPE = b"MAIL FROM:<shop@example.com>\r\nRCPT TO:<ada@example.org>\r\nDATA\r\n"


def test_pipelined_messages_are_judged_one_by_one(ses, wire):
    replies = wire((ENVELOPE + MESSAGE.encode() + b"\r\n.\r\n") * 3)
    assert [reply[:3] for reply in replies] == [b"250", b"250", b"354", b"250"] + [
        b"250",
        b"250",
        b"354",
        b"454",
    ] * 2 + [b"221"]
    assert ses.report()["accepted"] == 1


ENDS_OF_OTHER_SERVERS = [
    b"\n.\n",
    b"\n.\r\n",
    b"\r\n.\n",
    b"\r.\r",
    b"\r\n.\r",
    b"\r\n\x00.\r\n",
    b"\n\n.\r\r\n",
]


@pytest.mark.parametrize("end", ENDS_OF_OTHER_SERVERS)
def test_bare_line_ends_smuggle_no_second_message(ses, wire, end):
    # Given a message that carries another one behind what some servers take for its end
    ses.set_account(max_send_rate=100, burst=100)
    ses.advance(1)
    smuggled = MESSAGE.encode() + end + ENVELOPE + MESSAGE.encode() + b"\r\n.\r\n"
    replies = wire(ENVELOPE + smuggled)
    # Then it is one message for the record: what it carried is its text
    assert replies[-1].startswith(b"221")
    assert ses.report()["accepted"] + sum(ses.report()["refused"].values()) == 1


def test_commands_before_the_handshake_are_forgotten(ses, trust):
    raw = socket.create_connection(("localhost", ses.smtp_port), timeout=10)
    raw.recv(1000)
    raw.sendall(b"EHLO me\r\n")
    raw.recv(1000)
    raw.sendall(b"STARTTLS\r\nEHLO injected\r\nAUTH PLAIN AHUAcA==\r\n")
    assert raw.recv(1000) == b"220 Ready to start TLS\r\n"
    with trust.wrap_socket(raw, server_hostname="localhost") as tls, tls.makefile("rb") as replies:
        tls.sendall(b"MAIL FROM:<shop@example.com>\r\nQUIT\r\n")
        said = replies.readlines()
    assert said[0].startswith(b"503")
    assert ses.report()["accepted"] == 0


@pytest.mark.parametrize(
    "junk",
    [
        b"\x00\xff\xfe\r\n",
        b"MAIL FROM:<" + b"a" * 5000 + b">\r\n",
        b"\r\n" * 50,
        b"AUTH\r\n",
        b"DATA\r\n",
        b"X" * 3000,
    ],
)
def test_junk_leaves_it_standing(ses, smtp, junk):
    with contextlib.closing(socket.create_connection(("localhost", ses.smtp_port), timeout=10)) as raw:
        raw.sendall(junk)
    smtp.sendmail("shop@example.com", ["ada@example.org"], MESSAGE)
    assert ses.report()["accepted"] == 1
