"""What a transport is: one verb, which answers with a MessageId or with a verdict."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from sesq.config.errors import SesqError
from sesq.queue.envelope import Envelope, SimpleContent
from sesq.queue.identities import BorrowedIdentities
from sesq.worker.verdicts import Verdict


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One message on its way out.

    `id` is the message's id and leaves with it as the SES tag `sesq-id`, by which feedback finds it.
    `content` is what SES shall compose, or a finished RFC 5322 message as bytes. `clear` is to be called when all is
    ready for it to leave: to connect, to sign in and to sign take their time. It raises NotCleared, after `leave_by`
    (monotonic) at the latest.
    """

    id: str
    envelope: Envelope
    content: SimpleContent | bytes
    leave_by: float = math.inf
    clear: Callable[[], None] = field(default=lambda: None, compare=False)


@dataclass(frozen=True, slots=True)
class OfAccount:
    """What the settings of an account add to each message: the identities that it borrows, and SES's endpoint."""

    borrowed: BorrowedIdentities = field(default_factory=BorrowedIdentities)
    endpoint_id: str | None = None


class NotCleared(SesqError):
    """The message may not leave now, and has not left."""


class SendFailed(SesqError):
    """SES did not take the message, or did not say. `verdict` tells what that means; the cause is the foreign error."""

    def __init__(self, verdict: Verdict) -> None:
        super().__init__(verdict.reason)
        self.verdict = verdict


class Transport(Protocol):
    """A way to hand messages to SES. `send` may be called from several threads at once.

    A transport tries once. Whether and when to try again is for the retry policy, which knows the limits.
    """

    def send(self, outgoing: Outgoing) -> str:
        """Hand over one message and return SES's MessageId. Raises SendFailed, and NotCleared."""
        ...

    def check(self) -> None:
        """Look whether it has what it needs to send. Raises SendFailed, as `send` would."""
        ...

    def warm_up(self) -> None:
        """Find the credentials and open a connection, without sending, so that a claim is used at once.

        Raises SendFailed, as `send` would.
        """
        ...

    def close(self) -> None:
        """Close the connections. A `send` after it opens new ones."""
        ...
