"""A worker's side without its process: the real gate on a real Redis, a clock that the test moves, and no SES."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from redis import Redis

from sesq.producer import Message, Outbox
from sesq.queue.gate import SYNC, Begun, Claim, Gate
from sesq.queue.keys import CLOCK_OFFSET, Keys
from sesq.queue.messages import Messages, Record
from sesq.queue.policy import Policy
from sesq.queue.states import State
from sesq.worker.courier import Courier, Orders, Outcome
from sesq.worker.retry import RetryPolicy
from sesq.worker.rules import Rules
from sesq.worker.transports import RecordingTransport
from sesq.worker.verdicts import Kind, Verdict

START = 1_700_000_000.0
LEASE = 30.0


class Stage:
    """Time stands still until `pass_time`; whatever sleeps lets it pass."""

    def __init__(self, redis: Redis, **orders: Any) -> None:
        self.redis = redis
        self.now = START
        self.set_clock()
        self.keys = Keys("default")
        self.outbox, self.messages, self.policy = Outbox(redis), Messages(redis), Policy(redis)
        self.gate = Gate(redis)
        self.transport = RecordingTransport()
        self.rules = Rules(redis, "default", "eu-west-1")
        self.slept: list[float] = []
        self.courier = self.hire(**orders)
        self.claims = 0
        self.sync()
        self.pass_time(1)

    def hire(self, **orders: Any) -> Courier:
        """A courier under these orders."""
        return Courier(
            self.gate,
            self.transport,
            self.rules,
            Orders(**{"retry": RetryPolicy(max_attempts=8), **orders}),
            lease=LEASE,
            sleep=self.sleep,
            jitter=lambda: 0.0,
        )

    # time

    def set_clock(self) -> None:
        self.redis.set(CLOCK_OFFSET, f"={self.now:.6f}")

    def pass_time(self, seconds: float) -> None:
        self.now += seconds
        self.set_clock()

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.pass_time(seconds)

    # what SES says

    def sync(self, *, identities: dict[str, bool] | None = None, **told: Any) -> None:
        """An account in production at 100 a second, unless told otherwise; without identities SES judges them."""
        account = {
            "rate": 100.0,
            "daily": 50_000.0,
            "sent": 0.0,
            "production": 1,
            "sending": 1,
            "readable": 1,
            "paused_because": "",
            "enforcement": "",
            **told,
        }
        if identities is not None:
            account["identities"] = {name: int(verified) for name, verified in identities.items()}
        self.pass_time(1)  # a sync is known by its time
        SYNC.run(self.redis, "default", json.dumps(account))
        self.rules.refresh()

    # messages

    def queue(
        self, to: str | Sequence[str] = "ada@example.org", expires_at: datetime | None = None, **options: Any
    ) -> str:
        """`expires_at` is by the stage's clock, not by the host's, by which a Message would refuse it."""
        mail = {"sender": "Shop <shop@example.com>", "to": to, "subject": "Hi", "text": "Hello.", **options}
        message = Message(**mail)
        object.__setattr__(message, "expires_at", expires_at)
        return self.outbox.send(message)

    def claim(self, want: int = 10, worker: str = "w") -> tuple[Claim, list[Begun]]:
        self.claims += 1
        execution = f"x-{self.claims}"
        claim = self.gate.claim(worker, execution, want=want, lease=LEASE)
        return claim, self.gate.begin(execution, claim.ids)

    def work(self, want: int = 10) -> list[Outcome]:
        """One round: claim, carry one after the other, settle each."""
        _, begun = self.claim(want)
        outcomes = []
        for message in begun:
            outcomes.append(self.courier.carry(message))
            self.gate.settle([outcomes[-1]])
        return outcomes

    def status(self, id: str) -> Record:
        return self.messages.get(id)

    def state(self, id: str) -> State:
        return self.messages.get(id).state


def says(kind: Kind, hold: str | None = None, reason: str = "Because.") -> Verdict:
    """An answer of SES."""
    return Verdict(kind, "Code", "text", reason, hold)
