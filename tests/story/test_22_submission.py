"""Programs that know no queue send by SMTP: curl and smtplib to `sesq submission`, a worker, and SES."""

from __future__ import annotations

import os
import shutil
import signal
import smtplib
import socket
import ssl
import subprocess
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest

from arrived import arrived
from listening import Servers, listening, servers_of_the_how_tos
from sesq.queue.states import State
from system import System

CURL = shutil.which("curl")


def mail(file: bytes) -> EmailMessage:
    """Text that is awkward on the wire, HTML, a logo in it, and a file."""
    message = EmailMessage()
    message["From"], message["To"] = "Shop <shop@example.com>", "Ada Łovelace <ada@example.org>"
    message["Subject"], message["X-Sesq-Tags"] = "Grüße aus der Bücherei", "kind=receipt"
    message.set_content(".\n..leading dots\n\nÜber " + "sehr " * 300 + "lange Zeilen\n")
    message.add_alternative('<p>Danke</p><img src="cid:logo">', subtype="html")
    html: Any = message.get_payload(1)
    html.add_related(file[:500], "image", "png", cid="<logo>")
    message.add_attachment(file, maintype="application", subtype="pdf", filename="Rechnung ü.pdf")
    message.set_boundary("the-boundary")
    return message


def assert_as_sent(s: System, message: EmailMessage, file: bytes) -> None:
    """The one mail that has arrived is that one, to the byte, less what was for sesq."""
    s.wait_for(State.SENT, 1)
    (sent,) = arrived(s.ses)
    del message["X-Sesq-Tags"]
    assert sent.raw == message.as_bytes(policy=message.policy.clone(linesep="\r\n"))
    assert sent.bytes_of("Rechnung ü.pdf") == file
    assert sent.bytes_of("<logo>") == file[:500]
    assert sent.mail["Subject"] == "Grüße aus der Bücherei"
    assert sent.call["tags"]["kind"] == "receipt"
    assert (sent.call["to"], sent.call["bcc"]) == (["ada@example.org"], ["archive@example.com"])


def test_smtplib_by_tls_and_password(system: Any, tmp_path: Path) -> None:
    s: System
    with system(max_send_rate=20) as s:
        # Given a server with a certificate and a user, and a worker
        servers = servers_of_the_how_tos(s, tmp_path)
        s.start_workers(1)
        file = os.urandom(30_000)
        message = mail(file)
        # When smtplib sends to somebody in the headers and to a blind copy
        with smtplib.SMTP("localhost", servers.starttls_port) as client:
            client.starttls(context=ssl.create_default_context(cafile=str(servers.certificate)))
            client.login("shop", "the-password")
            client.send_message(message, to_addrs=["ada@example.org", "archive@example.com"])
        # Then it arrives as it was sent
        assert_as_sent(s, message, file)
        # and the log tells neither what was in it, nor who got it
        assert "ada@example.org" not in s.log()
        assert "Grüße" not in s.log()
        # When clients begin TLS on the other port before the server is there to see them
        server = s.processes[1]
        server.send_signal(signal.SIGSTOP)
        clients = [hello(servers) for _ in range(5)]
        server.send_signal(signal.SIGCONT)
        # Then each of them is greeted
        assert [greeting(client)[:3] for client in clients] == [b"220"] * 5


def hello(servers: Servers) -> ssl.SSLSocket:
    """A connection on which the client has spoken, and nobody has answered."""
    context = ssl.create_default_context(cafile=str(servers.certificate))
    plain = socket.create_connection(("127.0.0.1", servers.tls_port), timeout=5)
    client = context.wrap_socket(plain, server_hostname="localhost", do_handshake_on_connect=False)
    client.setblocking(False)
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    return client


def greeting(client: ssl.SSLSocket) -> bytes:
    client.settimeout(30)
    with client:
        client.do_handshake()
        return client.recv(100)


@pytest.mark.skipif(CURL is None and os.environ.get("CI") != "true", reason="there is no curl")
def test_curl_on_loopback(system: Any, tmp_path: Path) -> None:
    s: System
    with system(max_send_rate=20) as s:
        # Given a server on loopback, for every program of this machine
        port = listening(s)
        s.start_workers(1)
        file = os.urandom(30_000)
        message = mail(file)
        written = tmp_path / "mail.eml"
        written.write_bytes(message.as_bytes())
        # When curl uploads a mail
        options = [
            "--mail-from",
            "shop@example.com",
            "--mail-rcpt",
            "ada@example.org",
            "--mail-rcpt",
            "archive@example.com",
        ]
        command = [
            str(CURL),
            "--silent",
            "--show-error",
            f"smtp://127.0.0.1:{port}",
            *options,
            "-T",
            str(written),
            "--crlf",
        ]
        subprocess.run(command, check=True, timeout=30)
        # Then it arrives as it was written
        assert_as_sent(s, message, file)


def test_while_redis_is_away_nothing_is_promised(system: Any) -> None:
    s: System
    with system(max_send_rate=20) as s:
        # Given a server whose Redis is not there
        s.environment["SESQ_REDIS_URL"] = "redis://127.0.0.1:1/0"
        port = listening(s)
        # When a mail is sent, Then its sender keeps it
        with smtplib.SMTP("127.0.0.1", port) as client, pytest.raises(smtplib.SMTPDataError) as caught:
            client.send_message(mail(b""))
        assert caught.value.smtp_code == 451
