"""A transport that sends nothing, and records every message."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

from sesq.worker.transports import Outgoing, SendFailed
from sesq.worker.verdicts import Verdict, judge

Outcome = str | Verdict | Exception | Callable[[Outgoing], str]


class RecordingTransport:
    """Accepts every message, unless a test has given the next answers.

        transport = RecordingTransport()
        transport.answer(verdict)            # the next send raises SendFailed(verdict)
        transport.answer("id-1")             # the one after that gets this MessageId
        transport.sent                       # the accepted ones, in order

    An exception is handled like one of the AWS client. A function is called with the message, in place of SES.
    """

    def __init__(self, *, region: str = "eu-west-1") -> None:
        self.region = region
        self.sent: list[Outgoing] = []
        self.tried: list[Outgoing] = []
        self._answers: deque[Outcome] = deque()
        self._lock = threading.Lock()

    def answer(self, *outcomes: Outcome) -> None:
        """Gives the answers to the next sends, in this order."""
        with self._lock:
            self._answers.extend(outcomes)

    def send(self, outgoing: Outgoing) -> str:
        """Records the message. Returns a MessageId: `recorded-1`, `recorded-2`, … Raises NotCleared, SendFailed."""
        outgoing.clear()
        with self._lock:
            self.tried.append(outgoing)
            default = f"recorded-{len(self.tried)}"
            outcome = self._answers.popleft() if self._answers else default
        message_id = self._play(outcome, outgoing)
        with self._lock:
            self.sent.append(outgoing)
        return message_id

    def _play(self, outcome: Outcome, outgoing: Outgoing) -> str:
        if isinstance(outcome, Verdict):
            raise SendFailed(outcome)
        if isinstance(outcome, Exception):
            raise SendFailed(judge(outcome, envelope=outgoing.envelope, region=self.region)) from outcome
        return outcome(outgoing) if callable(outcome) else outcome

    def check(self) -> None:
        """Does nothing: it needs nothing."""

    def warm_up(self) -> None:
        """Does nothing: it has no connections."""

    def close(self) -> None:
        """Does nothing: it has nothing to close."""
