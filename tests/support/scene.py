"""A stage that tells what each step leaves in Redis."""

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
    """A time by the stage's clock, as a message takes it."""
    return datetime.fromtimestamp(seconds, timezone.utc)


class Scene(BatchStage):
    """`scene.expect(…)`: what has changed in Redis since the last look."""

    def __init__(self, redis: Redis, **policy: Any) -> None:
        self.state_of_redis = RedisState(redis, lambda: self.now)
        super().__init__(redis, **policy)
        self.expect, self.close = self.state_of_redis.expect, self.state_of_redis.close
        self.see()

    def see(self) -> None:
        """What Redis has now is known."""
        self.state_of_redis.changes()

    def queue(self, *args: Any, **options: Any) -> str:
        """Messages are <1>, <2>, … in the order in which they were queued."""
        id = super().queue(*args, **options)
        self.name(id)
        return id

    def name(self, *ids: object) -> None:
        """The next numbers are those of these messages."""
        names = self.state_of_redis.names
        for id in ids:
            names.setdefault(str(id), f"<{len(names) + 1}>")

    def take(self, *args: Any, **options: Any) -> BatchIntake:
        """The batch is <b>."""
        intake = super().take(*args, **options)
        self.state_of_redis.names.setdefault(intake.id, "<b>")
        return intake

    def granted(self, *args: Any, **options: Any) -> Grant:
        """A message that was queued, granted and started; what it left is seen."""
        self.queue(*args, **options)
        return self.started()

    def started(self, want: int = 1) -> Grant:
        """The first of what is granted and started now; what that left is seen."""
        _, started = self.claim(want)
        self.see()
        return started[0].grant

    def settle(self, grant: Grant, state: State, reason: str = "Because.", **told: Any) -> State | None:
        """The state that it came to."""
        return self.gate.settle([SendResult(grant, state, reason, **told)])[0]

    def event(self, id: str, kind: str, message_id: str = "m-1", to: str = "ada@example.org") -> None:
        """SES tells something of a mail to that address."""
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
