"""A worker without a process: the real gate on a real Redis, a clock that the test moves, and no SES."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from redis import Redis

from recording import RecordingTransport
from sesq.producer import Message, Outbox
from sesq.queue.gate import SYNC, Gate
from sesq.queue.grants import Claim, Grant, Started
from sesq.queue.keys import CLOCK_OFFSET, Keys
from sesq.queue.messages import Messages
from sesq.queue.policy import Policy
from sesq.queue.record import Record
from sesq.queue.results import SendResult
from sesq.queue.states import Lane, State
from sesq.worker.retry import RetryPolicy
from sesq.worker.rules import Rules
from sesq.worker.sending import Sender, SendingPolicy
from sesq.worker.verdicts import Kind, Verdict

START = 1_700_000_000.0
LEASE = 30.0


class Stage:
    """The worker. Its clock stands still until the test moves it, or something sleeps or syncs."""

    def __init__(self, redis: Redis, **policy: Any) -> None:
        self.redis = redis
        self.now = START
        self.set_clock()
        self.keys = Keys("default")
        self.outbox, self.messages, self.policy = Outbox(redis), Messages(redis), Policy(redis)
        self.gate = Gate(redis)
        self.transport = RecordingTransport()
        self.rules = Rules(redis, "default", "eu-west-1")
        self.slept: list[float] = []
        self.sender = self.new_sender(**policy)
        self.claims = 0
        self.sync()
        self.pass_time(1)

    def new_sender(self, **policy: Any) -> Sender:
        """Makes a sender with this policy."""
        return Sender(
            self.gate,
            self.transport,
            self.rules,
            SendingPolicy(**{"retry": RetryPolicy(max_attempts=8), **policy}),
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

    # SES

    def sync(self, *, identities: dict[str, bool] | None = None, **told: Any) -> None:
        """Syncs an account: in production at 100 a second, unless `told` says otherwise.

        `identities`: name -> verified; None: SES judges each mail.
        """
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
        """Queues a message. `expires_at` is by the stage's clock: `Message` would compare it with the host's."""
        mail = {"sender": "Shop <shop@example.com>", "to": to, "subject": "Hi", "text": "Hello.", **options}
        message = Message(**mail)
        object.__setattr__(message, "expires_at", expires_at)
        return self.outbox.send(message)

    def ask(self, want: int = 10, worker: str = "w", lanes: Sequence[Lane] = tuple(Lane)) -> Claim:
        """Claims messages, and starts none of them."""
        self.claims += 1
        return self.gate.claim(worker, f"x-{self.claims}", want=want, lease=LEASE, lanes=lanes)

    def claim(self, want: int = 10, worker: str = "w") -> tuple[Claim, list[Started]]:
        claim = self.ask(want, worker)
        return claim, self.gate.start(claim.grants)

    def work(self, want: int = 10) -> list[SendResult]:
        """Claims messages, sends one after the other, and settles each."""
        _, started = self.claim(want)
        results = []
        for message in started:
            results.append(self.sender.send_message(message))
            self.gate.settle([results[-1]])
        return results

    def reap(
        self, on_unknown: str = "hold", max_attempts: int = 8, worker: str = "judge"
    ) -> dict[str, State]:
        """Reaps the messages of dead workers, and returns what became of them."""
        self.claims += 1
        claim_id = f"x-{self.claims}"
        return dict(
            self.gate.reap(worker, claim_id, lease=LEASE, on_unknown=on_unknown, max_attempts=max_attempts)
        )

    def status(self, id: str) -> Record:
        return self.messages.get(id)

    def state(self, id: str) -> State:
        return self.messages.get(id).state


def used_by(started: Started, use_by: float) -> Started:
    """Returns the same message with tokens that are valid until `use_by` (monotonic, s)."""
    return replace(started, grant=replace(started.grant, use_by=use_by))


def sent(grant: Grant, message_id: str = "m") -> SendResult:
    """Returns the result of a message that SES has taken."""
    return SendResult(grant, State.SENT, message_id, message_id=message_id)


def says(kind: Kind, hold: str | None = None, reason: str = "Because.") -> Verdict:
    """Makes the verdict on an answer of SES."""
    return Verdict(kind, "Code", "text", reason, hold)
