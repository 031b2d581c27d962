"""One SMTP conversation (RFC 5321, 6409): aiosmtpd's protocol, and what we ask of who submits mail.

A mail ends at CR LF . CR LF and at nothing else; a bare CR or LF in it is refused, so that no other server reads two
mails where we read one. Who speaks before being answered is cut off: PIPELINING is not offered.
"""

from __future__ import annotations

import asyncio
import logging
import re
from typing import TYPE_CHECKING, Any, AnyStr

from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword, Session

from sesq.producer.submission.handler import ACCEPTED, Handler, Submission, user_of
from sesq.producer.submission.users import ANYBODY

if TYPE_CHECKING:
    from sesq.producer.submission.server import Door

log = logging.getLogger("sesq.submission")

HELD_LINE_BYTES = 64 * 1024
"""Longer than the limit of mail, which is checked, and explained, with the whole mail."""
LIMITS = {"AUTH": 3, "STARTTLS": 2, "VRFY": 20, "HELP": 20, "NOOP": 1000, "*": 10**9}
"""How often a command may be given in one connection."""
GRACE_SECONDS = 5

_path = re.compile(r"\s*<([^<>]*)>\s*(.*)").fullmatch
_auth_parameter = re.compile(r"\bAUTH=\S*", re.IGNORECASE)


class SubmissionSmtp(SMTP):
    """One connection. Methods are named as aiosmtpd looks for them."""

    line_length_limit = HELD_LINE_BYTES

    def __init__(self, door: Door, loop: asyncio.AbstractEventLoop) -> None:
        self.door = door
        self._login_end: asyncio.TimerHandle | None = None
        options = door.options
        super().__init__(
            Handler(),
            data_size_limit=options.max_bytes,
            hostname=options.hostname,
            ident="ESMTP sesq",
            tls_context=None if door.wrapped else door.tls,
            timeout=options.idle_seconds,
            auth_required=False,  # `check_auth_needed` asks
            auth_require_tls=not (door.wrapped or door.loopback),
            authenticator=lambda *given: AuthResult(success=True, auth_data=given[-1]),
            command_call_limit=LIMITS,
            loop=loop,
        )
        if door.users is None:
            self._auth_methods.clear()

    def _create_session(self) -> Session:
        session = Submission(self.loop)
        session.user = ANYBODY if self.door.users is None else None
        return session

    async def _handle_client(self) -> None:
        if self.door.admit(self):
            await super()._handle_client()
        else:
            await self.push("421 4.7.0 too many connections, try again later")
            self._writer.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """STARTTLS comes by here once more; the time to log in runs on."""
        super().connection_made(transport)
        if self._login_end is None:
            self._login_end = self.loop.call_later(self.door.options.idle_seconds, self._end_of_login)

    def connection_lost(self, error: Exception | None) -> None:
        if self._login_end is not None:
            self._login_end.cancel()
        self.door.leave(self)
        super().connection_lost(error)

    def _timeout_cb(self) -> None:
        self.end("421 4.4.2 nothing came for too long")

    def _end_of_login(self) -> None:
        if user_of(self.session) is None:
            self.end("421 4.7.0 log in sooner")

    def end(self, reply: str) -> None:
        """Says so and hangs up, in the end on who does not listen as well."""
        transport: Any = self.transport
        if transport is None:
            return
        if self._handler_coroutine is None or self._handler_coroutine.done():
            transport.abort()  # we have said good-bye, and are not heard
            return
        self._writer.write(f"{reply}\r\n".encode("ascii"))
        transport.close()
        self.loop.call_later(GRACE_SECONDS, transport.abort)

    async def push(self, status: AnyStr) -> None:
        """A reply. Commands that came before it are not obeyed: they may be part of a mail, for somebody else."""
        reader: Any = self._reader
        if not reader._buffer:  # noqa: SLF001  (aiosmtpd itself looks there)
            await super().push(status)
            return
        if str(status).startswith(ACCEPTED):
            await super().push(status)
        self.end("421 5.5.0 wait for the reply before you send more: PIPELINING is not offered")
        raise asyncio.CancelledError

    async def check_auth_needed(self, _caller: str) -> bool:
        if user_of(self.session) is not None:
            return False
        await self.push("530 5.7.0 Authentication required")
        return True

    async def smtp_AUTH(self, arg: str | None) -> None:  # noqa: N802
        """Mechanisms are named in any case (RFC 4954)."""
        mechanism, space, rest = (arg or "").partition(" ")
        await super().smtp_AUTH(f"{mechanism.upper()}{space}{rest}")

    async def auth_PLAIN(self, server: Any, args: list[str]) -> AuthResult:  # noqa: N802
        return await self._checked(await super().auth_PLAIN(server, args))

    async def auth_LOGIN(self, server: Any, args: list[str]) -> AuthResult:  # noqa: N802
        return await self._checked(await super().auth_LOGIN(server, args))

    async def _checked(self, given: AuthResult) -> AuthResult:
        """aiosmtpd has read name and password; whether they are right takes a while, so it is a thread that looks."""
        login, users = given.auth_data, self.door.users
        if not isinstance(login, LoginPassword) or users is None:
            return given
        name, password = (part.decode(errors="surrogateescape") for part in login)
        user = await asyncio.to_thread(users.find, name, password)
        if user is None:
            log.warning("a wrong name or password from %s", self.session.peer)  # type: ignore[union-attr]
            return AuthResult(success=False, handled=False)
        assert isinstance(self.session, Submission)
        self.session.user = user
        return AuthResult(success=True)

    async def smtp_DATA(self, arg: str) -> None:  # noqa: N802
        self._reset_timeout(self.door.options.data_seconds)
        await super().smtp_DATA(arg)
        self._reset_timeout()

    def _getaddr(self, arg: str) -> tuple[str | None, str | None]:
        """The address between the angles as it stands, and the parameters without AUTH=, which says nothing to us."""
        path = _path(arg)
        return (path[1] or "<>", _auth_parameter.sub("", path[2])) if path else (None, None)
