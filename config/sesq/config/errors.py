"""The errors of sesq, in one tree: `except SesqError` catches all that sesq raises on purpose.

SesqError
├── InputError               the caller gave something that cannot be right
│   ├── InvalidMessage       a message that SES or a mail rule would refuse
│   │   └── UnknownVersion   something that another version of sesq has written
│   ├── WouldBeRefused       SES would refuse this message, by what is known of the account
│   ├── InvalidPolicy        a limit that makes no sense, or lies above SES's
│   ├── InvalidTemplate      names the file and the line
│   ├── InvalidRows          a file of recipients that cannot be read: names the line
│   └── SettingsError        sesq.toml or SESQ_*: names the key, the file and what is allowed
├── QueueUnavailable         Redis cannot be reached, or did not answer in time
├── UnknownMessage           no message with that id (never queued here, or its record has expired)
├── UnknownBatch             no batch with that id
├── TakenBefore              the same batch was sent before
├── WrongState               the message is in a state in which that cannot be done
└── MissingPart              an optional part is not installed: names the extra that brings it
"""

from __future__ import annotations

import re
from collections.abc import Callable

ARGUMENT = re.compile(
    r"\b(sender|to|cc|bcc|reply_to|subject|text|html|attachments|tags|configuration_set|tenant|contact_list|topic|lane"
    r"|force|again|email_column|zone_column|encoding)=(?![^\s,;)])"
)
"""How the text of an error names an argument: as Python does, with =."""


def in_words(text: str, name: Callable[[str], str]) -> str:
    """Replaces the arguments in an error's text by what they are called where the error is shown.

    `name` says it for one of them: `--force`, or `"force": true`.
    """
    return ARGUMENT.sub(lambda found: name(found[1]), text)


class SesqError(Exception):
    """Anything that sesq raises on purpose. `str(error)` is a sentence for people, with a cure if one is known."""


class InputError(SesqError):
    """The caller gave something that cannot be right."""


class InvalidMessage(InputError):
    """A message that SES or a mail rule would refuse. `field` names the part at fault."""

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field}: {problem}")
        self.field = field
        self.problem = problem


class UnknownVersion(InvalidMessage):
    """Another version of sesq has written something that this one cannot read. `version` is its number."""

    def __init__(self, version: str, problem: str) -> None:
        super().__init__("v", problem)
        self.version = version


class WouldBeRefused(InputError):
    """SES would refuse this message: the text names who is not verified. Nothing was queued."""


class InvalidPolicy(InputError):
    """A limit that makes no sense (zero, negative, not a number), or lies above SES's."""


class SettingsError(InputError):
    """A setting that cannot be used: the text names the key, where it stands and what is allowed."""


class QueueUnavailable(SesqError):
    """Redis cannot be reached, or did not answer in time.

    If it cannot be reached, nothing was queued. If it did not answer in time, it may have queued the message: only with
    an idempotency key is it safe to send it again.
    """


class WrongLayout(QueueUnavailable):
    """Redis holds data in the layout of another version of sesq. Nothing was queued, and nothing was read."""


class UnknownMessage(SesqError):
    """No message has that id: it was never queued here, or its record has expired."""


class WrongState(SesqError):
    """The message's state does not allow this: a sent message cannot be cancelled, for example."""


class MissingPart(SesqError):
    """An optional part of sesq is not installed; the text names the extra that brings it."""


class InvalidTemplate(InputError):
    """A template that cannot be used; the text names the file and the line."""


class InvalidRows(InputError):
    """A file of recipients that cannot be read; the text names the line."""


class UnknownBatch(SesqError):
    """No batch has that id: it was never begun here, or its record has expired."""


class UnknownWebhook(InputError):
    """No webhook of that name is configured or known to Redis; the text names those that are."""


class TakenBefore(SesqError):
    """The same rows were sent with the same template before; the text names the batch."""
