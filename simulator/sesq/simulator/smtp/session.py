"""One SMTP conversation: aiosmtpd's protocol, with SES's texts.

A message ends at CR LF . CR LF and at nothing else. So bare line ends cannot hide a second message from the limits.
"""

from __future__ import annotations

import asyncio
import re
from secrets import token_hex
from typing import TYPE_CHECKING, Any, AnyStr

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from sesq.simulator.account import Account
from sesq.simulator.addresses import bare_address
from sesq.simulator.cut import reset_connection
from sesq.simulator.errors import WIRE, SesError
from sesq.simulator.faults import ReplyLost
from sesq.simulator.mail import Mail
from sesq.simulator.mime import fill_from_headers
from sesq.simulator.reading import V2_MAX_BYTES, address, check_size

if TYPE_CHECKING:
    from sesq.simulator.smtp.listener import SmtpListener

HELD_BYTES = (
    V2_MAX_BYTES + 1024 * 1024
)  # a message that is a little too long is refused by the account, and recorded
HELD_RECIPIENTS = 1000  # more than 50 are refused with the message; this bounds memory
MAX_REPLY = 500  # a reply's line holds 512 characters
_PATH = re.compile(r"\s*<([^<>]*)>\s*(.*)")
_TEMPORARY = "451 Temporary service failure"
_AUTHENTICATED = "235 Authentication successful."
_NOT_AUTHENTICATED = "535 Authentication Credentials Invalid"


class SesSession(Session):
    """`account`: the one whose credentials were given; None before AUTH."""

    account: Account | None = None
    login_data: Any = None  # a plain attribute here: aiosmtpd warns of it, and sets it


class SesSmtp(SMTP):
    line_length_limit = 1024 * 1024  # SES's own limit is checked with the message, and recorded

    def __init__(self, listener: SmtpListener, loop: asyncio.AbstractEventLoop) -> None:
        self._listener = listener
        super().__init__(
            _Handler(),
            data_size_limit=HELD_BYTES,
            hostname="email-smtp.amazonaws.com",
            ident=f"ESMTP SimpleEmailService-d-SIMULATOR {token_hex(10)}",
            tls_context=None if listener.wrapped else listener.tls,
            require_starttls=not listener.wrapped,
            timeout=listener.options.idle,
            auth_require_tls=not listener.wrapped,
            authenticator=self._authenticator_of_ses,
            loop=loop,
        )

    def abort(self, reset: bool = False) -> None:
        """Ends the connection at once, without a reply."""
        transport: Any = self.transport
        if transport is not None and reset:
            reset_connection(transport)
        elif transport is not None:
            transport.abort()

    def _create_session(self) -> Session:
        return SesSession(self.loop)

    def data_received(self, data: bytes) -> None:
        self._reset_timeout()
        super().data_received(data)

    def connection_lost(self, error: Exception | None) -> None:
        self._listener.leave(self)
        super().connection_lost(error)

    async def push(self, status: AnyStr) -> None:
        """Sends a reply, with SES's text instead of aiosmtpd's."""
        if isinstance(status, str) and status.startswith("552 "):
            await super().push(WIRE["too_long"].smtp)
        else:
            await super().push(status)

    async def check_auth_needed(self, _caller: str) -> bool:
        assert isinstance(self.session, SesSession)
        if self.session.account is not None:
            return False
        await self.push("530 Authentication required")
        return True

    async def _handle_client(self) -> None:
        if self._listener.admit(self):
            await super()._handle_client()
        else:
            await self.push("421 Too many concurrent SMTP connections")
            self._writer.close()

    def _timeout_cb(self) -> None:
        self._writer.write(b"451 4.4.2 Timeout waiting for data from client.\r\n")
        self._writer.close()

    def _getaddr(self, arg: str) -> tuple[str | None, str | None]:
        """Returns the address between < and > as it stands, and the parameters. The address is checked later."""
        path = _PATH.fullmatch(arg)
        return (path[1] or "<>", path[2]) if path else (None, None)

    def _authenticator_of_ses(
        self, _smtp: SMTP, session: Session, _envelope: Envelope, _mechanism: str, data: Any
    ) -> AuthResult:
        assert isinstance(data, LoginPassword)
        user, password = data.login.decode("utf-8", "replace"), data.password.decode("utf-8", "replace")
        account = self._listener.account_for(user, password)
        if account is None:
            return AuthResult(success=False, handled=False, message=_NOT_AUTHENTICATED)
        assert isinstance(session, SesSession)
        session.account = account
        return AuthResult(success=True, message=_AUTHENTICATED)


class _Handler:
    """aiosmtpd's hooks: each returns the reply."""

    async def handle_EHLO(  # noqa: N802  (aiosmtpd finds its hooks by name)
        self, _server: SesSmtp, session: Session, _envelope: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        session.host_name = hostname
        told = [line for line in responses[:-1] if not line.startswith("250-SIZE")]
        return [*told, "250 Ok"]

    async def handle_MAIL(  # noqa: N802
        self, _server: SesSmtp, _session: Session, envelope: Envelope, given: str, options: list[str]
    ) -> str:
        if not _is_address(given):
            return f"553 <{given.strip('<>')}> Invalid email address"
        envelope.mail_from = given
        envelope.mail_options.extend(options)
        return "250 Ok"

    async def handle_RCPT(  # noqa: N802
        self, _server: SesSmtp, _session: Session, envelope: Envelope, given: str, options: list[str]
    ) -> str:
        if not _is_address(given):
            return f"553 <{given.strip('<>')}> address unknown"
        if len(envelope.rcpt_tos) >= HELD_RECIPIENTS:
            return "452 Too many recipients"
        envelope.rcpt_tos.append(given)
        envelope.rcpt_options.extend(options)
        return "250 Ok"

    async def handle_RSET(self, _server: SesSmtp, _session: Session, _envelope: Envelope) -> str:  # noqa: N802
        return "250 Ok"

    async def handle_DATA(self, server: SesSmtp, session: SesSession, envelope: Envelope) -> str:  # noqa: N802
        account = session.account
        assert account is not None
        content = envelope.original_content or b""
        await asyncio.sleep(account.faults.latency("before"))
        after = account.faults.latency("after")
        try:
            return f"250 Ok {account.send(lambda: _read(envelope, content), 'smtp')}"
        except SesError as error:
            if error.kind != "reset":
                return smtp_reply(error)
            server.abort(reset=True)
            return await _never()
        except ReplyLost:
            server.abort()
            return await _never()
        finally:
            await asyncio.sleep(after)

    async def handle_exception(self, _error: Exception) -> str:
        return _TEMPORARY


def _read(envelope: Envelope, content: bytes) -> Mail:
    to = list(envelope.rcpt_tos)
    mail = Mail(
        sender=envelope.mail_from or "",
        to=to,
        content=content,
        raw=True,
        api="smtp",
        operation="SendSmtpEmail",
    )
    check_size(len(content), V2_MAX_BYTES)
    fill_from_headers(mail, content)
    address(mail)
    return mail


def smtp_reply(error: SesError) -> str:
    """Writes the reply as one line. A list of identities that is too long ends in "..."."""
    text = (error.message or "").replace("\r", " ").replace("\n", " ").encode("ascii", "replace").decode()
    reply = WIRE[error.kind].smtp.format(text)
    if len(reply) > MAX_REPLY:
        reply = reply[:MAX_REPLY].rpartition(",")[0] + ", ..."
    return reply


def _is_address(given: str) -> bool:
    try:
        return bare_address(given) == given
    except SesError:
        return False


async def _never() -> str:
    """Waits until the end of the connection cancels its conversation."""
    await asyncio.Event().wait()
    return _TEMPORARY
