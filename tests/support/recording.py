"""A transport that sends nothing and remembers everything."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

from sesq.worker.transports import Outgoing, SendFailed
from sesq.worker.verdicts import Verdict, judge

Outcome = str | Verdict | Exception | Callable[[Outgoing], str]


class RecordingTransport:
    """Accepts every message, unless told what to answer next.

        transport = RecordingTransport()
        transport.answer(verdict)            # the next send raises SendFailed(verdict)
        transport.answer("id-1")             # the one after that gets this MessageId
        transport.sent                       # the accepted ones, in order

    An exception is judged as one of the AWS client; a function is called with the message in place of SES.
    """

    def __init__(self, *, region: str = "eu-west-1") -> None:
        self.region = region
        self.sent: list[Outgoing] = []
        self.tried: list[Outgoing] = []
        self._answers: deque[Outcome] = deque()
        self._lock = threading.Lock()

    def answer(self, *outcomes: Outcome) -> None:
        """What the next sends get, in this order."""
        with self._lock:
            self._answers.extend(outcomes)

    def send(self, outgoing: Outgoing) -> str:
        """Record it; the MessageId is `recorded-1`, `recorded-2`, … Raises NotCleared, and SendFailed when told to."""
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
        """It needs nothing."""

    def warm_up(self) -> None:
        """Nothing to connect to."""

    def close(self) -> None:
        """Nothing to close."""
