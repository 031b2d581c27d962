"""A stage that shows what each step changes in Redis."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from typing import Any

from redis import Redis

from batch_stage import BatchStage
from redis_state import RedisState
from sesq.producer.batch.batch_intake import BatchIntake
from sesq.queue.grants import Grant
from sesq.queue.results import SendResult
from sesq.queue.states import State
from sesq.worker.events import Feedback


def at(seconds: float) -> datetime:
    """Returns a time by the stage's clock, as `Message` takes it."""
    return datetime.fromtimestamp(seconds, timezone.utc)


class Scene(BatchStage):
    """The stage. `scene.expect(…)` asserts what has changed in Redis since the last look."""

    def __init__(self, redis: Redis, **policy: Any) -> None:
        self.state_of_redis = RedisState(redis, lambda: self.now)
        super().__init__(redis, **policy)
        self.expect, self.close = self.state_of_redis.expect, self.state_of_redis.close
        self.see()

    def see(self) -> None:
        """Forgets all changes until now: the next look compares with this state."""
        self.state_of_redis.changes()

    def queue(self, *args: Any, **options: Any) -> str:
        """Queues a message. Messages are named <1>, <2>, … in their order."""
        id = super().queue(*args, **options)
        self.name(id)
        return id

    def name(self, *ids: object) -> None:
        """Gives these messages the next numbers as names."""
        names = self.state_of_redis.names
        for id in ids:
            names.setdefault(str(id), f"<{len(names) + 1}>")

    def take(self, *args: Any, **options: Any) -> BatchIntake:
        """Takes a batch, and names it <b>."""
        intake = super().take(*args, **options)
        self.state_of_redis.names.setdefault(intake.id, "<b>")
        return intake

    def granted(self, *args: Any, **options: Any) -> Grant:
        """Queues, claims and starts a message. Its changes in Redis are not shown."""
        self.queue(*args, **options)
        return self.started()

    def started(self, want: int = 1) -> Grant:
        """Claims and starts messages, and returns the first grant. Their changes in Redis are not shown."""
        _, started = self.claim(want)
        self.see()
        return started[0].grant

    def settle(self, grant: Grant, state: State, reason: str = "Because.", **told: Any) -> State | None:
        """Settles a grant, and returns the state that its message came into."""
        return self.gate.settle([SendResult(grant, state, reason, **told)])[0]

    def event(self, id: str, kind: str, message_id: str = "m-1", to: str = "ada@example.org") -> None:
        """Gives the queue an event of SES about a mail to that address."""
        mail = {"messageId": message_id, "destination": [to], "tags": {"sesq-id": [id]}}
        details: dict[str, dict[str, Any]] = {
            "Delivery": {"timestamp": "t", "smtpResponse": "250 ok", "recipients": [to]},
            "DeliveryDelay": {"delayType": "MailboxFull", "delayedRecipients": [{"emailAddress": to}]},
            "Complaint": {"feedbackId": "c", "complainedRecipients": [{"emailAddress": to}]},
            "Bounce": {
                "bounceType": "Permanent",
                "bounceSubType": "General",
                "feedbackId": "f",
                "bouncedRecipients": [{"emailAddress": to}],
            },
        }
        told = {"eventType": kind, "mail": mail, kind[0].lower() + kind[1:]: details.get(kind, {})}
        Feedback(self.redis, "default").handle(json.dumps(told))
