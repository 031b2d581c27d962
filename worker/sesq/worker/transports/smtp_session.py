"""One SMTP session: opened, secured and signed in, it hands over one mail after another."""

from __future__ import annotations

import io
import smtplib
import socket
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from sesq.worker.transports.base import NotCleared
from sesq.worker.transports.parcel import Parcel
from sesq.worker.verdicts.smtp import NotLetIn, ReplyLost, is_refusal, no_reply, reply_text

CONNECT_SECONDS = 5.0
OPEN_SECONDS = 20.0
READ_SECONDS = 20.0
SEND_SECONDS = 45.0
"""For one answer to a connection, for a session to be opened, for one answer, and for a mail. It must be settled before
the ledger's slack of 60 s is over, however slowly each reply comes, and however many lines it has.
"""

CLOSING = 421
IDLE_TOO_LONG = 451
"""`451 4.4.2 Timeout waiting for data from client.`, after about ten idle seconds at SES; it is no mail's fault."""


@dataclass(frozen=True, slots=True)
class SmtpServer:
    """Where mail is handed in, and as whom. `password` is never shown."""

    host: str
    port: int = 587
    tls: Literal["starttls", "tls", "none"] = "starttls"
    user: str | None = None
    password: str = field(default="", repr=False)
    ca_file: str | None = None


class Stale(Exception):
    """The server had ended this session while it lay idle: it took nothing, and another session will do."""


class _Timely(smtplib.SMTP):
    """smtplib's client with an end to its patience. smtplib waits anew for each part of a reply, however many come."""

    def __init__(self, *address: Any, **options: Any) -> None:
        self.begin(CONNECT_SECONDS, OPEN_SECONDS)
        super().__init__(*address, **options)

    def begin(self, step_seconds: float, all_seconds: float) -> None:
        """What follows may take so long: each time that it waits for bytes, and all of it."""
        self._step, self._end = step_seconds, time.monotonic() + all_seconds

    def getreply(self) -> tuple[int, bytes]:
        if self.file is None:
            self.file = io.BufferedReader(_Reader(self))
        return super().getreply()

    def send(self, s: Any) -> None:
        try:
            self.wait()
        except TimeoutError:
            self.close()
            raise
        super().send(s)

    def wait(self) -> None:
        """Lets the socket wait as long as there is time. Raises TimeoutError if there is none."""
        left = self._end - time.monotonic()
        if left <= 0:
            raise TimeoutError("timed out")
        if self.sock is not None:
            self.sock.settimeout(min(self._step, left))


class _TimelyOverTls(_Timely, smtplib.SMTP_SSL):
    """The same, with TLS from the first byte."""


class _Reader(io.RawIOBase):
    """What comes to an SMTP client, while there is time."""

    def __init__(self, smtp: _Timely) -> None:
        super().__init__()
        self._smtp = smtp

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._smtp.wait()
        return self._smtp.sock.recv_into(buffer) if self._smtp.sock is not None else 0


class Session:
    """Not for several threads at once. Raises NotLetIn, or an OSError, where it cannot be opened."""

    def __init__(self, server: SmtpServer) -> None:
        self._used = False
        self._smtp = _open(server)

    @property
    def sound(self) -> bool:
        """Whether another mail may be tried on it."""
        return self._smtp.sock is not None

    def deliver(self, parcel: Parcel, clear: Callable[[], None]) -> str:
        """Hands over one mail to all its recipients, and returns the text of the reply.

        `clear` is called when the mail itself comes next; what it raises is raised, and nobody gets the mail.
        Raises SMTPResponseException where a reply refuses it, to one recipient or to all: then nobody gets it. Raises
        ReplyLost where it may have been taken, and Stale, NoReply or another OSError where it was not.
        """
        self._smtp.begin(READ_SECONDS, SEND_SECONDS)
        self._propose(parcel, clear)
        self._smtp.send(parcel.content + b".\r\n")
        try:
            return self._agreed(self._smtp.getreply(), 250)
        except Exception as error:
            if isinstance(error, smtplib.SMTPResponseException) and is_refusal(error):
                raise
            self._smtp.close()
            raise ReplyLost from error

    def close(self) -> None:
        """Says goodbye, and does not wait for the answer."""
        try:
            if self.sound:
                self._smtp.begin(CONNECT_SECONDS, CONNECT_SECONDS)
                self._smtp.putcmd("QUIT")
        except OSError:
            pass
        finally:
            self._smtp.close()

    def _propose(self, parcel: Parcel, clear: Callable[[], None]) -> None:
        """All that comes before the mail itself. One refused recipient takes back the whole of it."""
        try:
            self._open_transaction(parcel)
            for recipient in parcel.recipients:
                self._agreed(self._smtp.rcpt(recipient), 250, 251)
            clear()
            self._agreed(self._smtp.docmd("DATA"), 354)
        except NotCleared:
            self._take_back()
            raise
        except smtplib.SMTPResponseException as error:
            if is_refusal(error):
                self._take_back()
                raise
            self._smtp.close()
            raise no_reply(error) from error

    def _open_transaction(self, parcel: Parcel) -> None:
        used, self._used = self._used, True
        extension = not parcel.is_ascii and self._smtp.has_extn("8bitmime")
        try:
            answer = self._smtp.mail(parcel.sender, ["BODY=8BITMIME"] if extension else [])
        except OSError as error:
            if used:
                raise Stale from error
            raise
        if used and _has_ended(*answer):
            self._smtp.close()
            raise Stale
        self._agreed(answer, 250)

    def _take_back(self) -> None:
        try:
            if self.sound and self._smtp.rset()[0] != 250:
                self._smtp.close()
        except OSError:
            self._smtp.close()

    def _agreed(self, answer: tuple[int, bytes], *wanted: int) -> str:
        code, reply = answer
        if code in wanted:
            return reply_text(reply)
        if code == CLOSING:
            self._smtp.close()
        raise smtplib.SMTPResponseException(code, reply)


def _has_ended(code: int, reply: bytes) -> bool:
    return code == CLOSING or (code == IDLE_TOO_LONG and b"imeout" in reply)


def _open(server: SmtpServer) -> _Timely:
    """Opens a session. A refusal in the greeting means that the server is not ready, not that it refuses us."""
    try:
        smtp = _connect(server)
        try:
            _sign_in(smtp, server)
        except BaseException:
            smtp.close()
            raise
    except smtplib.SMTPServerDisconnected:
        raise
    except smtplib.SMTPResponseException as error:
        greeting = isinstance(error, smtplib.SMTPConnectError)
        if not is_refusal(error) or (greeting and error.smtp_code >= 500):
            raise no_reply(error) from error
        raise NotLetIn(error.smtp_code, reply_text(error.smtp_error)) from error
    except smtplib.SMTPException as error:
        raise NotLetIn(0, str(error)) from error
    return smtp


def _connect(server: SmtpServer) -> _Timely:
    # smtplib would look our own name up, which can take longer than the mail
    name = socket.gethostname() or "localhost"
    if server.tls == "tls":
        context = ssl.create_default_context(cafile=server.ca_file)
        return _TimelyOverTls(server.host, server.port, name, timeout=CONNECT_SECONDS, context=context)
    return _Timely(server.host, server.port, name, timeout=CONNECT_SECONDS)


def _sign_in(smtp: smtplib.SMTP, server: SmtpServer) -> None:
    """TLS before the credentials, or neither: where STARTTLS is not offered, smtplib refuses."""
    smtp.ehlo_or_helo_if_needed()
    if server.tls == "starttls":
        smtp.starttls(context=ssl.create_default_context(cafile=server.ca_file))
        smtp.ehlo_or_helo_if_needed()
    if server.user is not None:
        smtp.login(server.user, server.password)
