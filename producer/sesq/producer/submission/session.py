"""One SMTP conversation (RFC 5321, 6409): aiosmtpd's protocol, and what we ask of who submits mail.

A mail ends at CR LF . CR LF and at nothing else; a bare CR or LF in it is refused, so that no other server reads two
mails where we read one. Who speaks before being answered is cut off: PIPELINING is not offered.
"""

from __future__ import annotations

import asyncio
import logging
import re
import traceback
from typing import TYPE_CHECKING, Any, AnyStr

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from sesq.config.addresses import spec_of, wire_form
from sesq.config.errors import InvalidMessage, QueueUnavailable
from sesq.producer.intake import messages_of, sorted_recipients
from sesq.producer.message import Message
from sesq.producer.raw import RawMail
from sesq.producer.submission.users import ANYBODY, User

if TYPE_CHECKING:
    from sesq.producer.submission.server import Door

log = logging.getLogger("sesq.submission")

HELD_LINE_BYTES = (
    64 * 1024
)  # longer than mail's own limit, which is checked, and explained, with the whole mail
MOST_RECIPIENTS = 1000
MOST_REPLY = 400  # characters; a reply's line holds 512
LIMITS = {"AUTH": 3, "STARTTLS": 2, "VRFY": 20, "HELP": 20, "NOOP": 1000, "*": 10**9}
"""How often a command may be given in one connection."""
GRACE_SECONDS = 5
ACCEPTED = "250 2.0.0 queued as"
RETURN_PATH = "return-path"
"""SES would send bounces where it says, and takes it as one more sender; it is a server's to set (RFC 5321, 4.4)."""

_path = re.compile(r"\s*<([^<>]*)>\s*(.*)").fullmatch
_auth_parameter = re.compile(r"\bAUTH=\S*", re.IGNORECASE)
_bare = re.compile(rb"\r(?!\n)|(?<!\r)\n").search


class Submission(Session):
    """What is known of who is connected."""

    user: User | None = None
    login_data: Any = None  # a plain attribute here: aiosmtpd warns of it, and sets it


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
        if _user(self.session) is None:
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
        if _user(self.session) is not None:
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


class Handler:
    """aiosmtpd's hooks: each returns the reply."""

    async def handle_EHLO(  # noqa: N802  (aiosmtpd finds its hooks by name)
        self, _server: SubmissionSmtp, session: Submission, _envelope: Envelope, name: str, lines: list[str]
    ) -> list[str]:
        session.host_name = name
        told = [line for line in lines if line != "250-AUTH "]
        return [*told[:-1], "250-ENHANCEDSTATUSCODES", told[-1]]

    async def handle_MAIL(  # noqa: N802
        self, _server: SubmissionSmtp, session: Submission, envelope: Envelope, given: str, options: list[str]
    ) -> str:
        if given != "<>":
            try:
                spec = spec_of(wire_form(given, "sender"))
            except InvalidMessage as error:
                return _reply("553 5.1.7", error)
            if not _allowed(session.user).may_send_as(spec):
                return f"553 5.7.1 this user may not send as {spec}"
        envelope.mail_from = given
        envelope.mail_options.extend(options)
        return "250 2.1.0 Ok"

    async def handle_RCPT(  # noqa: N802
        self,
        _server: SubmissionSmtp,
        _session: Submission,
        envelope: Envelope,
        given: str,
        _options: list[str],
    ) -> str:
        try:
            address = wire_form(given, "recipient")
        except InvalidMessage as error:
            return _reply("553 5.1.3", error)
        if len(envelope.rcpt_tos) >= MOST_RECIPIENTS:
            return "452 4.5.3 too many recipients; the rest can go with another copy of the mail"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 Ok"

    async def handle_DATA(  # noqa: N802
        self, server: SubmissionSmtp, session: Submission, envelope: Envelope
    ) -> str:
        content, recipients = envelope.original_content or b"", envelope.rcpt_tos
        user = _allowed(session.user)
        try:
            ids = await server.door.bundle.queue(lambda: read(content, recipients, user), len(content))
        except InvalidMessage as error:
            log.info("refused, %s: %s", user.name or "no user", error.field)
            return _reply("554 5.6.0", error)
        except QueueUnavailable as error:
            log.warning("not taken: %s", error)
            return "451 4.3.0 the queue cannot be reached, try again later"
        log.info(
            "%s: %d bytes to %d recipients: %s",
            user.name or "no user",
            len(content),
            len(recipients),
            ids[0],
            extra={"id": ids[0], "user": user.name, "bytes": len(content), "recipients": len(recipients)},
        )
        return f"{ACCEPTED} {ids[0]}"

    async def handle_RSET(self, _server: SubmissionSmtp, _session: Session, _envelope: Envelope) -> str:  # noqa: N802
        return "250 2.0.0 Ok"

    async def handle_exception(self, error: Exception) -> str:
        """A bug of ours: said without its text, which may hold content."""
        log.error("%s\n%s", type(error).__name__, "".join(traceback.format_tb(error.__traceback__)))
        return "451 4.3.0 this went wrong here, try again later"


def read(content: bytes, recipients: list[str], user: User) -> list[Message]:
    """The messages of one submitted mail, if its user may send it so. Raises InvalidMessage."""
    if _bare(content):
        raise InvalidMessage("mail", "has a bare CR or LF: every line ends with CR LF")
    if b"\r\n\r\n" not in content and not content.startswith(b"\r\n"):
        content += b"\r\n"  # headers alone are a mail
    mail = RawMail.read(content).without(RETURN_PATH)
    for name in ("from", "sender"):
        for wire in mail.addresses(name):
            if not user.may_send_as(spec_of(wire)):
                raise InvalidMessage(name, f"this user may not send as {spec_of(wire)}")
    messages = messages_of(
        mail, sorted_recipients(mail, recipients), lane=user.lanes[0], account=user.account
    )
    if messages[0].lane not in user.lanes:
        raise InvalidMessage("lane", f"this user may not use the lane {messages[0].lane}")
    return messages


def _user(session: Session | None) -> User | None:
    return session.user if isinstance(session, Submission) else None


def _allowed(user: User | None) -> User:
    assert user is not None, "check_auth_needed has asked"
    return user


def _reply(code: str, error: InvalidMessage) -> str:
    """One line of ASCII, whatever was given."""
    text = "".join(character if character.isprintable() else "?" for character in str(error))
    return f"{code} {text[:MOST_REPLY].encode('ascii', 'backslashreplace').decode()[:MOST_REPLY]}"
