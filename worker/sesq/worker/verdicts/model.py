"""Defines a verdict: through which channel an answer came, and what it means for the message."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Kind(str, Enum):
    """Says what an answer means. Redis, JSON and the command line show the values."""

    RATE = "rate"  # the sending rate, per second
    DAY_SPENT = "day_spent"  # the rolling 24 h quota
    THROTTLED = "throttled"  # slowed down, but not by rate or quota
    TRANSIENT = "transient"  # nothing was sent: may be tried again
    UNKNOWN = "unknown"  # may have been accepted: must not be tried again by itself
    REFUSED = "refused"  # SES will never take this message
    UNVERIFIED_RECIPIENT = "unverified_recipient"  # the sandbox: waits for a verification, or for production
    UNVERIFIED_SENDER = (
        "unverified_sender"  # waits for a verification of an address that the mail is from, or of its domain
    )
    CONFIGURATION = "configuration"  # no message of this sender or set can go: permission, set, MAIL FROM
    CREDENTIALS = "credentials"  # no message can go: the keys are missing, wrong or expired
    PAUSED = "paused"  # sending is off for the account: GetAccount says when it is on again
    SUSPENDED = "suspended"  # as paused, but only AWS can lift it, and a person resumes the queue
    UNRECOGNIZED = "unrecognized"  # refused with a text that no row has: nothing was sent, a person decides

    def __str__(self) -> str:
        return self.value


class Channel(str, Enum):
    """Says where an answer came from. Its code depends on that."""

    API = "api"  # an HTTP answer of SES, v1 or v2: its error code, or its status where it has none
    SMTP = "smtp"  # a reply: its three digits
    SIGN_IN = "sign_in"  # an HTTP answer of the service that hands out credentials: its error code
    UNSENT = "unsent"  # no answer, and the message had not left: the names of the exception's classes
    LOST = "lost"  # no answer, and the message may have left: the names of the exception's classes

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True, slots=True)
class Answer:
    """Holds an answer as it was read, before it is weighed.

    `codes` begins with the one to show; the others are more general (the HTTP status, a parent class).
    """

    channel: Channel
    codes: tuple[str, ...]
    text: str = ""

    @property
    def code(self) -> str:
        """The most exact code."""
        return self.codes[0]


@dataclass(frozen=True, slots=True)
class Verdict:
    """Says what an answer means for one message.

    `code` and `text` are SES's own, or an exception's name and the system's words when SES did not answer. `reason`
    is for people: the cause and the cure. `hold` names *whose* mail must wait: `recipient:bob@x.org`,
    `sender:shop@x.org`, `configuration_set:news`, `tenant:acme`, `tenant:acme/shop@x.org` (the tenant's mail from that
    sender), `account`, `credentials`, or `person` (this message, until somebody decides); None: no mail has to wait.
    `kind` says what it waits *for*. `identities` are the addresses or domains that SES named, bare, in its order.
    """

    kind: Kind
    code: str
    text: str
    reason: str
    hold: str | None = None
    identities: tuple[str, ...] = ()
