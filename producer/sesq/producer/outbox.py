"""The outbox: where an application puts its mail, and asks what became of it.

    from sesq.producer import Message, Outbox

    outbox = Outbox("redis://localhost:6379/0")
    id = outbox.send(Message(sender="Shop <shop@example.com>", to=["ada@example.org"], subject="Hi", text="…"))
    outbox.status(id).state

A message is an RQ job of one dotted name, so that a producer installs and imports no AWS library.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Iterable
from datetime import datetime, timezone
from functools import lru_cache
from typing import Any

from redis import Redis
from rq.job import Job
from rq.serializers import JSONSerializer
from rq.utils import utcformat

from sesq.config.connection import connect, mapped
from sesq.config.errors import InvalidMessage
from sesq.config.keys import queue_name
from sesq.config.messages import Messages, Record
from sesq.config.scripts import LIFECYCLE, compose, run_many
from sesq.producer.message import Message

ENQUEUE = compose("sesq.producer", "enqueue.lua", base=[LIFECYCLE])

DELIVER = "sesq.worker.deliver.deliver"
"""The one function that sesq's jobs name. The producer never imports it."""

KEEP_DAYS = 14
KEY_HOURS = 24
JOB_TIMEOUT_SECONDS = 300
SECONDS_A_DAY = 86_400
CHUNK = 500


class Outbox:
    """Queues messages. Safe to share between threads; make one per process.

    `redis`: a URL, a `redis.Redis`, or nothing for the settings (`SESQ_REDIS_URL`, sesq.toml, else the embedded
    Redis). `keep_days`: how long the record of a finished message stays. Every method raises QueueUnavailable when
    Redis cannot be reached within its timeout.
    """

    def __init__(self, redis: str | Redis | None = None, *, keep_days: float = KEEP_DAYS) -> None:
        self.redis = redis if isinstance(redis, Redis) else connect(redis)
        self.keep_seconds = round(keep_days * SECONDS_A_DAY)

    def send(self, message: Message) -> str:
        """Queues one message and returns its id. With an idempotency key already used for the same content: that id."""
        return self.send_many([message])[0]

    def send_many(self, messages: Iterable[Message]) -> list[str]:
        """Queues messages, each atomically, in few round trips; their ids in the same order.

        Raises InvalidMessage where an idempotency key was already used for other content; messages before and
        after that one are queued.
        """
        answers = self.offer(messages)
        for answer in answers:
            if isinstance(answer, InvalidMessage):
                raise answer
        return [str(answer) for answer in answers]

    def offer(self, messages: Iterable[Message]) -> list[str | InvalidMessage]:
        """As `send_many`; but where an idempotency key was used for other content, the answer is that error."""
        answers: list[str | InvalidMessage] = []
        chunk: list[Message] = []
        for message in messages:
            chunk.append(message)
            if len(chunk) == CHUNK:
                answers += self._enqueue(chunk)
                chunk = []
        return answers + self._enqueue(chunk)

    def status(self, id: str, account: str = "default") -> Record:
        """The message as it stands: state, reason, MessageId, history. Raises UnknownMessage."""
        return Messages(self.redis, account).get(id)

    def cancel(self, id: str, account: str = "default") -> None:
        """Takes a message back. Raises WrongState for one that is being, or was, sent."""
        Messages(self.redis, account).cancel(id, "its sender")

    def _enqueue(self, messages: list[Message]) -> list[str | InvalidMessage]:
        calls: dict[str, list[tuple[int, list[Any]]]] = {}
        for i, message in enumerate(messages):
            calls.setdefault(message.account, []).append((i, self._arguments(message)))
        outcomes: list[str | InvalidMessage] = [""] * len(messages)
        with mapped():
            for account, batch in calls.items():
                answers = run_many(self.redis, account, [(ENQUEUE, arguments) for _, arguments in batch])
                for (i, _), answer in zip(batch, answers, strict=True):
                    outcomes[i] = _outcome(answer)
        return outcomes

    def _arguments(self, message: Message) -> list[Any]:
        """The ARGV of `enqueue.lua` for one message."""
        id = uuid.uuid4().hex
        envelope, content = message.envelope(), message.content()
        queue = queue_name(message.account, message.lane)
        described = envelope.to_json()
        record = {
            "v": 1,
            "envelope": described,
            "rate": envelope.rate_cost,
            "day": envelope.day_cost,
            "on_unknown": envelope.on_unknown or "",
            "send_at": _seconds(message.send_at),
            "expires_at": _seconds(message.expires_at),
            "keep": self.keep_seconds,
        }
        key, digest = "", ""
        if message.idempotency_key:
            key = hashlib.sha256(message.idempotency_key.encode()).hexdigest()
            digest = message.fingerprint()
        job = _job_fields(message.account, id, queue, self.keep_seconds)
        fields = [part for pair in record.items() for part in pair]
        due = _seconds(message.send_at)
        return [id, queue, due, content, key, digest, KEY_HOURS * 3600, len(fields), *fields, *job]


def _seconds(moment: datetime | None) -> str:
    return "" if moment is None else f"{moment.timestamp():.3f}"


def _outcome(answer: bytes | list[bytes]) -> str | InvalidMessage:
    if isinstance(answer, list):
        return InvalidMessage(
            "idempotency_key", f"was already used for message {answer[1].decode()}, whose content is another"
        )
    return answer.decode()


@lru_cache(maxsize=64)
def _job_template(account: str, queue: str, keep_seconds: int) -> dict[str, Any]:
    """RQ's own fields of a job, made by RQ once; a message changes its id and times only."""
    job = Job.create(
        DELIVER,
        args=(account, "id"),
        id="template",
        connection=Redis(),
        origin=queue,
        description="",
        timeout=JOB_TIMEOUT_SECONDS,
        result_ttl=keep_seconds,
        failure_ttl=keep_seconds,
        serializer=JSONSerializer,
    )
    fields = job.to_dict()
    return {name: value for name, value in fields.items() if value not in (None, "") and name != "status"}


def _job_fields(account: str, id: str, queue: str, keep_seconds: int) -> list[Any]:
    now = utcformat(datetime.now(timezone.utc))
    fields = dict(_job_template(account, queue, keep_seconds))
    fields["data"] = json.dumps([DELIVER, None, [account, id], {}])
    fields["description"] = f"sesq message {id}"
    fields["created_at"] = fields["enqueued_at"] = now
    return [part for pair in fields.items() for part in pair]
