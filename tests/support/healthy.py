"""A queue without any fault: messages in all states, batches in all stages, and a second account."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone

from redis import Redis

from batch_stage import BatchStage
from sesq.producer import Message, Outbox
from sesq.queue.states import State
from sesq.worker.events import Feedback
from sesq.worker.sending import BLIP_TRIES
from sesq.worker.verdicts import Kind
from stage import says

LATER = timedelta(hours=1)


class Healthy:
    """The queue. `ids`: one message in each state. `batches`: one in each stage."""

    def __init__(self, redis: Redis) -> None:
        self.redis = redis
        self.stage = BatchStage(redis)
        self.keys = self.stage.keys
        self.ids: dict[State, str] = {}
        self.batches: dict[str, str] = {}
        self._end()
        self._begin_batches()
        self._wait()
        other = Message(sender="shop@example.com", to="eve@example.org", text="Hello.", account="other")
        Outbox(redis).send(other)

    def saved(self) -> list[tuple[bytes, int, bytes]]:
        """Returns all of Redis: key, time to its expiry (ms), value."""
        keys = list(self.redis.scan_iter(count=1000))
        return [(key, max(0, self.redis.pttl(key)), self.redis.dump(key)) for key in keys]

    def restore(self, saved: list[tuple[bytes, int, bytes]]) -> None:
        """Puts back what was saved. Redis must be empty."""
        pipeline = self.redis.pipeline(transaction=False)
        for key, expiry, value in saved:
            pipeline.restore(key, expiry, value)
        pipeline.execute()

    def _sent(self, to: str, *told: tuple[str, dict[str, object]]) -> str:
        id = self.stage.queue(to)
        self.stage.work()
        for kind, detail in told:
            mail = {
                "messageId": self.stage.status(id).message_id,
                "destination": [to],
                "tags": {"sesq-id": [id]},
            }
            Feedback(self.redis, "default").handle(
                json.dumps({"eventType": kind, "mail": mail, kind.lower(): detail})
            )
        return id

    def _answered(self, kind: Kind, hold: str | None = None, times: int = 1) -> str:
        self.stage.transport.answer(*[says(kind, hold)] * times)
        id = self.stage.queue(f"{kind.value}@example.org")
        self.stage.work()
        return id

    def _end(self) -> None:
        bounce = {
            "bounceType": "Permanent",
            "bounceSubType": "General",
            "feedbackId": "f",
            "bouncedRecipients": [{"emailAddress": "gone@example.org"}],
        }
        complaint = {"feedbackId": "c", "complainedRecipients": [{"emailAddress": "angry@example.org"}]}
        arrived = {"timestamp": "t", "smtpResponse": "250 ok", "recipients": ["ada@example.org"]}
        stage, ids = self.stage, self.ids
        ids[State.SENT] = self._sent("ada@example.org")
        ids[State.DELIVERED] = self._sent("ada@example.org", ("Delivery", arrived))
        ids[State.BOUNCED] = self._sent("gone@example.org", ("Bounce", bounce))
        ids[State.COMPLAINED] = self._sent("angry@example.org", ("Complaint", complaint))
        stage.rules.refresh()
        ids[State.SUPPRESSED] = self._sent("gone@example.org")
        ids[State.REFUSED] = self._answered(Kind.REFUSED)
        ids[State.FAILED] = self._answered(Kind.UNKNOWN)
        stage.messages.resolve(ids[State.FAILED], "failed", "a person")
        ids[State.UNKNOWN] = self._answered(Kind.UNKNOWN)
        ids[State.HELD] = self._answered(Kind.UNVERIFIED_RECIPIENT, "recipient:bob@example.org")
        ids[State.CANCELLED] = stage.queue()
        stage.messages.cancel(ids[State.CANCELLED], "a person")
        end = datetime.fromtimestamp(stage.now + 1, timezone.utc)
        ids[State.EXPIRED] = stage.queue("late@example.org", expires_at=end)
        stage.pass_time(2)
        stage.work()
        ids[State.RETRYING] = self._answered(Kind.TRANSIENT, times=BLIP_TRIES)

    def _begin_batches(self) -> None:
        stage, batches = self.stage, self.batches
        batches["done"] = stage.take(30, key="done").id
        stage.transport.answer("m-1", says(Kind.REFUSED))
        stage.send_all()
        batches["cancelled"] = stage.take(600, key="cancelled").id
        stage.pass_time(1)
        stage.send(5)
        stage.batches.cancel(batches["cancelled"], "a wrong link")
        batches["paused"] = stage.take(600, key="paused").id
        stage.pass_time(1)
        stage.send(5)
        stage.batches.pause(batches["paused"], "a look at it")
        batches["running"] = stage.take(600, key="running").id
        stage.pass_time(1)
        stage.transport.answer("m-2", says(Kind.UNVERIFIED_RECIPIENT, "recipient:p1@example.org"))
        stage.send(5)
        stage.grant(4)

    def _wait(self) -> None:
        stage, ids = self.stage, self.ids
        ids[State.SENDING] = stage.queue("on@example.org")
        stage.pass_time(1)
        stage.claim(1)
        due = datetime.now(timezone.utc) + LATER
        ids[State.SCHEDULED] = stage.queue("then@example.org", send_at=due)
        late = datetime.fromtimestamp(stage.now, timezone.utc) + LATER
        ids[State.QUEUED] = stage.queue("next@example.org", expires_at=late)
        stage.queue("next@example.org", lane="bulk")
        cancelled = stage.queue("middle@example.org")
        stage.queue("last@example.org")
        stage.messages.cancel(cancelled, "a person")  # it stands in the middle of its lane: stale
