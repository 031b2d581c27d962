"""What went wrong in an SMTP conversation: a reply, a door that stayed closed, or silence where a reply should be."""

from __future__ import annotations

import smtplib

from sesq.worker.verdicts.model import Answer, Channel

SIGN_IN_CODES = frozenset({530, 534, 535, 538})
"""Replies that are about the credentials (RFC 4954, 6)."""


class NotLetIn(Exception):
    """The server refused before any message was named: its greeting, TLS or the sign-in. `code` 0: not by a reply."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


class NoReply(OSError):
    """What came is not a reply of a mail server that takes mail: a wrong greeting, or something that is not SMTP."""


class ReplyLost(Exception):
    """The whole mail had left, and no reply to it can be read. Its cause says what came instead."""


def read_smtp(error: Exception) -> Answer:
    """Returns the answer in an exception of an SMTP conversation.

    All but ReplyLost come before the mail's final dot.
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
    """Whether a server said no: smtplib has numbers and words of its own for what it cannot read."""
    return 400 <= error.smtp_code < 600 and isinstance(error.smtp_error, bytes)


def no_reply(error: smtplib.SMTPResponseException) -> NoReply:
    """Returns the same as one that answers nothing."""
    return NoReply(_words(error))


def reply_text(reply: bytes | str) -> str:
    """Returns a reply's text; several lines stay several."""
    return reply.decode("utf-8", "replace") if isinstance(reply, bytes) else reply


def _names(error: BaseException) -> tuple[str, ...]:
    return tuple(kind.__name__ for kind in type(error).__mro__)


def _words(error: BaseException) -> str:
    """Returns what the system, smtplib or the server said; other exceptions may quote the message."""
    if isinstance(error, smtplib.SMTPResponseException):
        code = str(error.smtp_code) if error.smtp_code >= 0 else ""
        return f"{code} {reply_text(error.smtp_error)}".strip() or "no reply"
    if not isinstance(error, OSError):
        return ""
    return error.strerror or next((arg for arg in error.args if isinstance(arg, str)), "")
