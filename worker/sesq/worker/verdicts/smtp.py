"""Reads the errors of an SMTP session: a refusing reply, a session that could not be opened, or a lost reply."""

from __future__ import annotations

import smtplib

from sesq.worker.verdicts.model import Answer, Channel

SIGN_IN_CODES = frozenset({530, 534, 535, 538})
"""Replies that are about the credentials (RFC 4954, 6)."""


class NotLetIn(Exception):
    """The server refused before any message, in its greeting, TLS or the sign-in. `code` 0: without a reply."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


class NoReply(OSError):
    """The reply is not one of a mail server that takes mail: a wrong greeting, or no SMTP."""


class ReplyLost(Exception):
    """The whole mail has left, but its reply could not be read. The cause says what came instead."""


def read_smtp(error: Exception) -> Answer:
    """Reads the answer in an exception of an SMTP session.

    All errors but ReplyLost come before the mail's final dot.
    """
    if isinstance(error, ReplyLost):
        cause = error.__cause__ or error
        return Answer(Channel.LOST, _names(cause), _words(cause))
    if isinstance(error, NotLetIn):
        about_us = 400 <= error.code < 500 or error.code in SIGN_IN_CODES
        codes = (str(error.code),) if about_us else _names(error)
        return Answer(Channel.SMTP if about_us else Channel.UNSENT, codes, str(error))
    if isinstance(error, smtplib.SMTPResponseException):
        return Answer(Channel.SMTP, (str(error.smtp_code),), reply_text(error.smtp_error))
    return Answer(Channel.UNSENT, _names(error), _words(error))


def is_refusal(error: smtplib.SMTPResponseException) -> bool:
    """Whether a server refused. For replies that it cannot read, smtplib has its own numbers and texts."""
    return 400 <= error.smtp_code < 600 and isinstance(error.smtp_error, bytes)


def no_reply(error: smtplib.SMTPResponseException) -> NoReply:
    """Makes the error for a reply that no mail server gives."""
    return NoReply(_words(error))


def reply_text(reply: bytes | str) -> str:
    """Returns a reply's text, with its line ends."""
    return reply.decode("utf-8", "replace") if isinstance(reply, bytes) else reply


def _names(error: BaseException) -> tuple[str, ...]:
    return tuple(kind.__name__ for kind in type(error).__mro__)


def _words(error: BaseException) -> str:
    """Returns the words of the system, smtplib or the server, and no others: those may quote the message."""
    if isinstance(error, smtplib.SMTPResponseException):
        code = str(error.smtp_code) if error.smtp_code >= 0 else ""
        return f"{code} {reply_text(error.smtp_error)}".strip() or "no reply"
    if not isinstance(error, OSError):
        return ""
    return error.strerror or next((arg for arg in error.args if isinstance(arg, str)), "")
