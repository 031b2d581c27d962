"""Opens an SMTP session, with TLS and sign-in, and delivers one mail after another."""

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
"""The time for the answer to a connection, an open session, one answer, and one mail. A mail must be settled before the
ledger's spare 60 s are over, however slow each reply is, and however many lines it has.
"""

CLOSING = 421
IDLE_TOO_LONG = 451
"""`451 4.4.2 Timeout waiting for data from client.`: SES's answer after about ten idle seconds."""


@dataclass(frozen=True, slots=True)
class SmtpServer:
    """Holds the address of a mail server, and the credentials for it. `password` is never shown."""

    host: str
    port: int = 587
    tls: Literal["starttls", "tls", "none"] = "starttls"
    user: str | None = None
    password: str = field(default="", repr=False)
    ca_file: str | None = None


class Stale(Exception):
    """The server has ended this idle session. It took nothing, so another session can be used."""


class _Timely(smtplib.SMTP):
    """Is smtplib's client with a time limit for all. smtplib's own limit begins again with each part of a reply."""

    def __init__(self, *address: Any, **options: Any) -> None:
        self.begin(CONNECT_SECONDS, OPEN_SECONDS)
        super().__init__(*address, **options)

    def begin(self, step_seconds: float, all_seconds: float) -> None:
        """Sets the limits for what follows: for each wait for bytes, and for all of it."""
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
    """Is the same with TLS from the first byte."""


class _Reader(io.RawIOBase):
    """Reads what comes to an SMTP client, within its time limits."""

    def __init__(self, smtp: _Timely) -> None:
        super().__init__()
        self._smtp = smtp

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._smtp.wait()
        return self._smtp.sock.recv_into(buffer) if self._smtp.sock is not None else 0


class Session:
    """Is one open session, for one thread at a time. Raises NotLetIn, or an OSError, if it cannot be opened."""

    def __init__(self, server: SmtpServer) -> None:
        self._used = False
        self._smtp = _open(server)

    @property
    def sound(self) -> bool:
        """Whether the session can be used for another mail."""
        return self._smtp.sock is not None

    def deliver(self, parcel: Parcel, clear: Callable[[], None]) -> str:
        """Delivers one mail to all its recipients, and returns the text of the reply.

        It calls `clear` right before the mail itself. If `clear` raises an error, nobody gets the mail. It raises
        SMTPResponseException if a reply refuses the mail, or one recipient: then nobody gets it. It raises ReplyLost if
        the server may have taken the mail, and Stale, NoReply or another OSError if it has not.
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
        """Sends QUIT, does not wait for the answer, and closes the connection."""
        try:
            if self.sound:
                self._smtp.begin(CONNECT_SECONDS, CONNECT_SECONDS)
                self._smtp.putcmd("QUIT")
        except OSError:
            pass
        finally:
            self._smtp.close()

    def _propose(self, parcel: Parcel, clear: Callable[[], None]) -> None:
        """Sends all commands before the mail itself. If one recipient is refused, it takes back all of them."""
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
    # without a name, smtplib would look up this host's own name, which may take longer than the mail
    name = socket.gethostname() or "localhost"
    if server.tls == "tls":
        context = ssl.create_default_context(cafile=server.ca_file)
        return _TimelyOverTls(server.host, server.port, name, timeout=CONNECT_SECONDS, context=context)
    return _Timely(server.host, server.port, name, timeout=CONNECT_SECONDS)


def _sign_in(smtp: smtplib.SMTP, server: SmtpServer) -> None:
    """Starts TLS, then signs in. If the server offers no STARTTLS, smtplib raises an error."""
    smtp.ehlo_or_helo_if_needed()
    if server.tls == "starttls":
        smtp.starttls(context=ssl.create_default_context(cafile=server.ca_file))
        smtp.ehlo_or_helo_if_needed()
    if server.user is not None:
        smtp.login(server.user, server.password)
