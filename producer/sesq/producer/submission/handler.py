"""Answers a client that submits mail: checks what it may send, and queues it."""

from __future__ import annotations

import asyncio
import logging
import re
import traceback
from typing import TYPE_CHECKING, Any

from aiosmtpd.smtp import Envelope, Session

from sesq.config.errors import InvalidMessage, QueueUnavailable
from sesq.producer.message import Message
from sesq.producer.raw import RawMail
from sesq.producer.submission.replies import Plain
from sesq.producer.submission.users import User
from sesq.producer.written_mail import messages_of, sorted_recipients
from sesq.queue.addresses import spec_of, wire_form

if TYPE_CHECKING:
    from sesq.producer.submission.session import SubmissionSmtp

log = logging.getLogger("sesq.submission")

MOST_RECIPIENTS = 1000
ACCEPTED = "250 2.0.0 queued as"
RETURN_PATH = "return-path"
"""SES would send bounces to its address, and count it as one more sender. Only a server sets it (RFC 5321, 4.4)."""

_bare = re.compile(rb"\r(?!\n)|(?<!\r)\n").search


class Submission(Session):
    """What is known of a client."""

    user: User | None = None
    login_data: Any = None  # a plain attribute here: aiosmtpd warns of it, and sets it


def user_of(session: Session | None) -> User | None:
    return session.user if isinstance(session, Submission) else None


class Handler:
    """aiosmtpd's hooks: each returns the reply."""

    async def handle_EHLO(  # noqa: N802  (aiosmtpd finds its hooks by name)
        self, _server: SubmissionSmtp, session: Submission, _envelope: Envelope, name: str, lines: list[str]
    ) -> list[str]:
        session.host_name = name
        told = [line for line in lines if line != "250-AUTH "]
        return [*told[:-1], "250-ENHANCEDSTATUSCODES", Plain(told[-1])]

    async def handle_HELO(  # noqa: N802
        self, server: SubmissionSmtp, session: Submission, _envelope: Envelope, name: str
    ) -> str:
        session.host_name = name
        return Plain(f"250 {server.hostname}")

    async def handle_MAIL(  # noqa: N802
        self, _server: SubmissionSmtp, session: Submission, envelope: Envelope, given: str, options: list[str]
    ) -> str:
        if given != "<>":
            try:
                spec = spec_of(wire_form(given, "sender"))
            except InvalidMessage as error:
                return _bad_address("5.1.7", given, error)
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
            return _bad_address("5.1.3", given, error)
        if len(envelope.rcpt_tos) >= MOST_RECIPIENTS:
            return "452 4.5.3 too many recipients; send the rest with another copy of the mail"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 Ok"

    async def handle_DATA(  # noqa: N802
        self, server: SubmissionSmtp, session: Submission, envelope: Envelope
    ) -> str:
        content, recipients = envelope.original_content or b"", envelope.rcpt_tos
        user = _allowed(session.user)
        try:
            ids = await server.listener.bundle.queue(lambda: read(content, recipients, user), len(content))
        except InvalidMessage as error:
            log.info("refused, %s: %s", user.name or "no user", error.field)
            return f"554 5.6.0 {error}"
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
        """Logs a bug of ours without its text, which may hold content. A line that is too long is not a bug."""
        if isinstance(error, ValueError) and isinstance(error.__context__, asyncio.LimitOverrunError):
            return "500 5.5.2 the line is too long"
        log.error("%s\n%s", type(error).__name__, "".join(traceback.format_tb(error.__traceback__)))
        return "451 4.3.0 this went wrong here, try again later"


def read(content: bytes, recipients: list[str], user: User) -> list[Message]:
    """Makes the messages of one submitted mail, if its user may send it so. Raises InvalidMessage."""
    if _bare(content):
        raise InvalidMessage("mail", "has a bare CR or LF: every line ends with CR LF")
    if b"\r\n\r\n" not in content and not content.startswith(b"\r\n"):
        content += b"\r\n"  # headers alone are a mail
    mail = RawMail.read(content).without(RETURN_PATH)
    for name in ("from", "sender"):
        for wire in mail.addresses(name):
            user.require_sender(name, wire)
    messages = messages_of(
        mail,
        sorted_recipients(mail, recipients),
        key_owner=user.name,
        lane=user.lanes[0],
        account=user.account,
        tenant=user.tenant,
        rule=user.header_rule,
    )
    user.require_lane(messages[0].lane)
    return messages


def _allowed(user: User | None) -> User:
    assert user is not None, "check_auth_needed has asked"
    return user


def _bad_address(code: str, given: str, error: InvalidMessage) -> str:
    """Returns the reply. RFC 6531 has a code of its own for a local part that is not ASCII, which SES never takes."""
    return f"553 {code if given.rpartition('@')[0].isascii() else '5.6.7'} {error}"
