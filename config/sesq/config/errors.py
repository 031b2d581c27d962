"""The errors of sesq: one tree, so that `except SesqError` catches whatever the project raises on purpose.

SesqError
├── InputError               what the caller handed in cannot be right
│   ├── InvalidMessage       a message that SES or a mail rule would refuse, told at the door
│   │   └── UnknownVersion   what another version of sesq has written
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


class SesqError(Exception):
    """Whatever sesq raises on purpose. `str(error)` is a sentence for people, and names the cure where one is known."""


class InputError(SesqError):
    """What the caller handed in cannot be right."""


class InvalidMessage(InputError):
    """A message that SES or a mail rule would refuse. `field` names the part at fault."""

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field}: {problem}")
        self.field = field
        self.problem = problem


class UnknownVersion(InvalidMessage):
    """What another version of sesq has written, and this one cannot read. `version` is its number."""

    def __init__(self, version: str, problem: str) -> None:
        super().__init__("v", problem)
        self.version = version


class WouldBeRefused(InputError):
    """SES would refuse this message, by what is known of the account: who is not verified. Nothing was queued."""


class InvalidPolicy(InputError):
    """A limit that makes no sense (zero, negative, not a number), or lies above SES's."""


class SettingsError(InputError):
    """A setting that cannot be used: the text names the key, where it stands and what is allowed."""


class QueueUnavailable(SesqError):
    """Redis cannot be reached: nothing was queued. Or it did not answer in time: the command may still have been
    carried out, and only an idempotency key makes it safe to send again.
    """


class WrongLayout(QueueUnavailable):
    """Redis holds data of a version of sesq that lays it out in another way: nothing was queued, and nothing read."""


class UnknownMessage(SesqError):
    """No message has that id: it was never queued here, or its record has expired."""


class WrongState(SesqError):
    """The message is in a state in which that cannot be done: a sent mail cannot be cancelled."""


class MissingPart(SesqError):
    """An optional part of sesq is not installed; the text names the extra that brings it."""


class InvalidTemplate(InputError):
    """A template that cannot be used; the text names the file and the line."""


class InvalidRows(InputError):
    """A file of recipients that cannot be read; the text names the line."""


class UnknownBatch(SesqError):
    """No batch has that id: it was never begun here, or its record has expired."""


class UnknownWebhook(InputError):
    """No webhook of that name is configured, and Redis knows none; the text names those that there are."""


class TakenBefore(SesqError):
    """The same rows were sent with the same template before; the text names the batch."""
