"""What a transport is: one verb, which answers with a MessageId or with a verdict."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import Protocol

from sesq.config.envelope import Envelope, SimpleContent
from sesq.config.errors import SesqError
from sesq.worker.verdicts import Verdict


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One message on its way out.

    `id` is the message's id and leaves with it as the SES tag `sesq-id`, by which feedback finds it.
    `content` is what SES shall compose, or a finished RFC 5322 message as bytes. After `leave_by` (monotonic) it may
    not leave any more.
    """

    id: str
    envelope: Envelope
    content: SimpleContent | bytes
    leave_by: float = math.inf


class TooLate(SesqError):
    """The message has not left, and must not leave any more."""


def check_time(leave_by: float) -> None:
    """For a transport that is ready to hand a message over. Raises TooLate."""
    if time.monotonic() >= leave_by:
        raise TooLate("its time ran out while it was prepared")


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
        """Hand over one message and return SES's MessageId. Raises SendFailed, and TooLate where it was not in time."""
        ...

    def warm_up(self) -> None:
        """Find the credentials and open a connection, without sending, so that a claim is used at once.

        Raises SendFailed, as `send` would.
        """
        ...

    def close(self) -> None:
        """Close the connections. A `send` after it opens new ones."""
        ...
