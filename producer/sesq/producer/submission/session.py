"""One SMTP conversation (RFC 5321, 6409): aiosmtpd's protocol, and what we ask of a client that submits mail.

A mail ends at CR LF . CR LF and at nothing else. A bare CR or LF in it is refused, so that no other server reads two
mails where we read one. A client that sends more before it is answered is cut off: PIPELINING is not offered.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections import defaultdict
from contextlib import suppress
from typing import TYPE_CHECKING, Any, AnyStr, cast

from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword, Session, TLSSetupException

from sesq.producer.submission.content import Content
from sesq.producer.submission.handler import ACCEPTED, Handler, Submission, user_of
from sesq.producer.submission.hosts import host_of
from sesq.producer.submission.passwords import TooManyTries
from sesq.producer.submission.replies import written
from sesq.producer.submission.users import ANYBODY

if TYPE_CHECKING:
    from sesq.producer.submission.server import Listener

log = logging.getLogger("sesq.submission")

COMMAND_BYTES = 2048
"""Of a command with the parameters of all extensions: RFC 3461 and 4954 add 500 each, an address in UTF-8 adds 256."""
LINE_BYTES = 16 * 1024
"""Of a line that is no command: a password in base64 has 12,288 bytes at most (RFC 4954, 4)."""
LIMITS = {"AUTH": 3, "STARTTLS": 2, "VRFY": 20, "HELP": 20, "NOOP": 1000, "*": 10**9}
"""How often a command may be given in one connection."""
GRACE_SECONDS = 5

_path = re.compile(r"\s*<([^<>]*)>\s*(.*)").fullmatch
_ignored = re.compile(r"(?<!\S)(?:AUTH|RET|ENVID|NOTIFY|ORCPT)=\S*", re.IGNORECASE)


class SubmissionSmtp(SMTP):
    """One connection. Methods are named as aiosmtpd looks for them."""

    line_length_limit = LINE_BYTES
    command_size_limit = COMMAND_BYTES

    def __init__(self, listener: Listener, loop: asyncio.AbstractEventLoop) -> None:
        self.listener = listener
        self.host = ""
        self._content: Content | None = None
        self._early = b""
        self._login_end: asyncio.TimerHandle | None = None
        options = listener.options
        super().__init__(
            Handler(),
            data_size_limit=options.max_bytes,
            enable_SMTPUTF8=True,
            hostname=options.hostname,
            ident="ESMTP sesq",
            tls_context=listener.tls,
            timeout=options.idle_seconds,
            auth_required=False,  # `check_auth_needed` asks
            auth_require_tls=not listener.loopback,
            authenticator=lambda *given: AuthResult(success=True, auth_data=given[-1]),
            command_call_limit=LIMITS,
            loop=loop,
        )
        self.command_size_limits = defaultdict(lambda: COMMAND_BYTES, AUTH=LINE_BYTES)
        if listener.passwords is None:
            self._auth_methods.clear()

    def _create_session(self) -> Session:
        session = Submission(self.loop)
        session.user = ANYBODY if self.listener.passwords is None else None
        return session

    async def _handle_client(self) -> None:
        if not self.listener.admit(self):
            await self.push("421 4.7.0 too many connections, try again later")
            self._writer.close()
            return
        if self.listener.wrapped:
            await self._begin_tls("")
        await super()._handle_client()

    # the connection

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begins the time in which the client must log in. TLS calls this once more, and the time runs on."""
        super().connection_made(transport)
        if self._login_end is None:
            peer = transport.get_extra_info("peername")
            self.host = host_of(str(peer[0])) if isinstance(peer, tuple) else ""
            self._login_end = self.loop.call_later(self.listener.options.idle_seconds, self._end_of_login)

    def connection_lost(self, error: Exception | None) -> None:
        if self._login_end is not None:
            self._login_end.cancel()
        self.listener.leave(self)
        super().connection_lost(error)

    def data_received(self, data: bytes) -> None:
        """Puts content into its own buffer. Everything else is read in lines."""
        if self._before_tls:
            self._keep_for_tls(data)
            return
        rest: bytes | None = data
        if self._content is not None:
            rest = self._content.feed(data)
            self._content = None if rest is not None else self._content
        if rest:
            super().data_received(rest)

    def _timeout_cb(self) -> None:
        self.end("421 4.4.2 nothing came for too long: connect again")

    def _end_of_login(self) -> None:
        if user_of(self.session) is None:
            self.end("421 4.7.0 no login came in time: log in sooner")

    def end(self, reply: str) -> None:
        """Sends the reply and closes the connection, after a while also if the client does not read."""
        transport: Any = self._original_transport if self._before_tls else self.transport
        if transport is None:
            return
        if self._before_tls or self._handler_coroutine is None or self._handler_coroutine.done():
            transport.abort()  # nothing can be sent, or the client has not read the last reply
            return
        self._writer.write(f"{reply}\r\n".encode("ascii"))
        transport.close()
        self.loop.call_later(GRACE_SECONDS, transport.abort)

    # TLS

    @property
    def _before_tls(self) -> bool:
        """Whether TLS has to come first, or is being set up. Until then nothing is sent unencrypted."""
        awaited = self.listener.wrapped or self._tls_protocol is not None
        return awaited and (self.session is None or self.session.ssl is None)

    async def smtp_STARTTLS(self, arg: str | None) -> None:  # noqa: N802
        if self._tls_protocol is not None:
            await self.push("503 5.5.1 TLS is active already")
        else:
            await self._begin_tls(arg or "")

    async def _begin_tls(self, arg: str) -> None:
        """Starts TLS. Returns when it is active, or if the command was wrong.

        A handshake that fails or breaks off ends the connection here, since nothing else would.
        """
        self._reset_timeout(self.listener.options.handshake_seconds)
        self.loop.call_soon(self._give_to_tls)
        with suppress(TLSSetupException):
            await super().smtp_STARTTLS(arg)
        self._reset_timeout()
        if self._before_tls:
            self._writer.transport.abort()
            self.connection_lost(None)
            raise asyncio.CancelledError

    def _keep_for_tls(self, data: bytes) -> None:
        """Keeps the client's first bytes, which may come with the connection, before TLS is there to read them."""
        self._early += data
        cast("asyncio.Transport", self.transport).pause_reading()

    def _give_to_tls(self) -> None:
        """Gives TLS the bytes that were kept."""
        if not self._early:
            return
        early, self._early = self._early, b""
        tls: Any = self._tls_protocol
        if isinstance(tls, asyncio.BufferedProtocol):
            memoryview(tls.get_buffer(len(early)))[: len(early)] = early
            tls.buffer_updated(len(early))
        else:  # Python 3.10
            tls.data_received(early)
        cast("asyncio.Transport", self._original_transport).resume_reading()

    # commands

    async def push(self, status: AnyStr) -> None:
        """Sends a reply, with its status code.

        Commands that came before it are not obeyed, and end the connection: they may be part of somebody else's mail.
        """
        if self._before_tls and self.listener.wrapped:
            return
        reply = written(status) if isinstance(status, str) else status
        reader: Any = self._reader
        if not reader._buffer:  # noqa: SLF001  (aiosmtpd itself looks there)
            await super().push(reply)
            return
        if reply.startswith(ACCEPTED.encode()):
            await super().push(reply)
        self.end("421 4.5.0 wait for the reply before you send more: PIPELINING is not offered")
        raise asyncio.CancelledError

    async def check_auth_needed(self, _caller: str) -> bool:
        if user_of(self.session) is not None:
            return False
        await self.push("530 5.7.0 Authentication required")
        return True

    async def smtp_AUTH(self, arg: str | None) -> None:  # noqa: N802
        """Takes the mechanism's name in any case (RFC 4954)."""
        mechanism, space, rest = (arg or "").partition(" ")
        await super().smtp_AUTH(f"{mechanism.upper()}{space}{rest}")

    async def auth_PLAIN(self, server: Any, args: list[str]) -> AuthResult:  # noqa: N802
        return await self._checked(await super().auth_PLAIN(server, args))

    async def auth_LOGIN(self, server: Any, args: list[str]) -> AuthResult:  # noqa: N802
        return await self._checked(await super().auth_LOGIN(server, args))

    async def _checked(self, given: AuthResult) -> AuthResult:
        """Checks the name and password that aiosmtpd has read."""
        login, passwords = given.auth_data, self.listener.passwords
        if not isinstance(login, LoginPassword) or passwords is None:
            return given
        name, password = (part.decode(errors="surrogateescape") for part in login)
        try:
            user = await passwords.check(name, password, self.host)
        except TooManyTries as error:
            log.warning("%s: %s", self.host, error)
            return AuthResult(success=False, handled=False, message=f"454 4.7.0 {error}, try again later")
        if user is None:
            log.warning("a wrong name or password from %s", self.host)
            return AuthResult(success=False, handled=False)
        assert isinstance(self.session, Submission)
        self.session.user = user
        return AuthResult(success=True)

    async def smtp_DATA(self, arg: str | None) -> None:  # noqa: N802
        if await self.check_helo_needed() or await self.check_auth_needed("DATA"):
            return
        assert self.envelope is not None
        if not self.envelope.rcpt_tos:
            await self.push("503 5.5.1 need RCPT command")
        elif arg:
            await self.push("501 5.5.4 DATA takes no argument: send DATA alone")
        else:
            self._reset_timeout(self.listener.options.data_seconds)
            await self._take_content()
            self._reset_timeout()

    async def _take_content(self) -> None:
        content = self._content = Content(self.listener.options.max_bytes, self.loop)
        await self.push("354 End data with <CR><LF>.<CR><LF>")
        await content.ended
        assert self.envelope is not None
        if content.too_large:
            reply = f"552 5.3.4 the mail has more than {self.listener.options.max_bytes} bytes"
        else:
            self.envelope.original_content = content.whole()
            reply = await self._call_handler_hook("DATA")
        self._set_post_data_state()  # type: ignore[no-untyped-call]
        await self.push(reply)

    def _getaddr(self, arg: str) -> tuple[str | None, str | None]:
        """Returns the address between < and > as it stands, and the parameters that have an effect here.

        AUTH has none, nor have those that ask for notices of delivery (RFC 3461), which the queue does not send.
        """
        path = _path(arg)
        return (path[1] or "<>", _ignored.sub("", path[2])) if path else (None, None)
