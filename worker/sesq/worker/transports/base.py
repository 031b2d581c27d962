"""Defines a transport: it sends a message, and returns a MessageId or raises a verdict."""

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
    """Holds one message for a transport.

    `id`: the message's id, which the mail carries as the SES tag `sesq-id`, so that events can be matched. `content`:
    parts for SES to compose, or a finished RFC 5322 message as bytes. `clear`: the transport calls it when all is ready
    to leave: connecting, signing in and signing take time. It raises NotCleared, at the latest after `leave_by`
    (monotonic).
    """

    id: str
    envelope: Envelope
    content: SimpleContent | bytes
    leave_by: float = math.inf
    clear: Callable[[], None] = field(default=lambda: None, compare=False)


@dataclass(frozen=True, slots=True)
class OfAccount:
    """Holds what an account's settings add to each message: borrowed identities, and a Global endpoint."""

    borrowed: BorrowedIdentities = field(default_factory=BorrowedIdentities)
    endpoint_id: str | None = None


class NotCleared(SesqError):
    """The message may not leave now, and has not left."""


class SendFailed(SesqError):
    """SES did not take the message, or gave no answer. `verdict`: what that means. The cause is the library's error."""

    def __init__(self, verdict: Verdict) -> None:
        super().__init__(verdict.reason)
        self.verdict = verdict


class Transport(Protocol):
    """Sends messages to SES. `send` may be called from several threads at once.

    A transport tries once. The retry policy decides whether and when to try again.
    """

    def send(self, outgoing: Outgoing) -> str:
        """Sends one message, and returns SES's MessageId. Raises SendFailed and NotCleared."""
        ...

    def check(self) -> None:
        """Checks that it has what it needs to send. Raises SendFailed, as `send` would."""
        ...

    def warm_up(self) -> None:
        """Finds the credentials and opens a connection, without sending, so that the next message goes at once.

        Raises SendFailed, as `send` would.
        """
        ...

    def close(self) -> None:
        """Closes the connections. A later `send` opens new ones."""
        ...
