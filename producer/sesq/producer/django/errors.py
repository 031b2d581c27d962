"""The backend's errors: those of sesq, and at the same time those that Django's callers know.

Code that sends mail through a Django backend expects smtplib's errors or OSError, and goes on after them with its other
mail. After any other error it may stop. So each of these is both.

    MailRefused, SenderRefused, RecipientsRefused   InvalidMessage, and SMTPDataError, SMTPSenderRefused,
                                                    SMTPRecipientsRefused
    NoQueue                                         QueueUnavailable, and SMTPServerDisconnected and ConnectionError
    NotConfigured                                   SettingsError, and Django's ImproperlyConfigured
"""

from __future__ import annotations

import smtplib
from collections.abc import Sequence
from typing import Any

from django.core.exceptions import ImproperlyConfigured

from sesq.config.errors import InvalidMessage, QueueUnavailable, SesqError, SettingsError

REFUSED = 554
"""The reply of an SMTP server that does not take a mail, and never will."""

OF_SENDER = ("sender", "from", "return-path")
OF_RECIPIENTS = ("to", "cc", "bcc", "recipient")


class _Refused(InvalidMessage):
    """Has the attributes of all those errors of smtplib. `args` are its own arguments, so that it can be pickled."""

    smtp_error: Any  # bytes; smtplib's classes do not agree on its type

    def __init__(self, field: str, problem: str, sender: str, recipients: Sequence[str]) -> None:
        self.field, self.problem, self.sender = field, problem, sender
        self.smtp_code, self.smtp_error = REFUSED, str(self).encode()
        self.recipients = dict.fromkeys(recipients, (self.smtp_code, self.smtp_error))
        self.args = (field, problem, sender, tuple(recipients))

    def __str__(self) -> str:
        return f"{self.field}: {self.problem}"


class MailRefused(_Refused, smtplib.SMTPDataError):
    """A mail that SES or a mail rule would refuse. `field` names the part at fault."""


class SenderRefused(_Refused, smtplib.SMTPSenderRefused):
    """A mail whose sender is at fault."""


class RecipientsRefused(_Refused, smtplib.SMTPRecipientsRefused):
    """A mail of which a recipient is at fault. No recipient gets it."""


class NoQueue(QueueUnavailable, smtplib.SMTPServerDisconnected, ConnectionError):
    """Redis cannot be reached, or did not answer in time."""


class NotConfigured(SettingsError, ImproperlyConfigured):
    """A setting that cannot be used, or a part that is not installed."""


def refused(error: InvalidMessage, sender: str, recipients: Sequence[str]) -> _Refused:
    """Makes the error that Django's callers know, for a mail from `sender` to `recipients`."""
    kind = next((kind for fields, kind in KINDS if error.field in fields), MailRefused)
    return kind(error.field, error.problem, sender, recipients)


def unusable(error: SesqError) -> NoQueue | NotConfigured:
    """Makes the error that Django's callers know, for an error of the queue itself."""
    return NoQueue(str(error)) if isinstance(error, QueueUnavailable) else NotConfigured(str(error))


KINDS: tuple[tuple[tuple[str, ...], type[_Refused]], ...] = (
    (OF_SENDER, SenderRefused),
    (OF_RECIPIENTS, RecipientsRefused),
)
