"""The outbox: where an application puts its mail, and asks what became of it.

    from sesq.producer import Message, Outbox

    outbox = Outbox("redis://localhost:6379/0")
    id = outbox.send(Message(sender="Shop <shop@example.com>", to=["ada@example.org"], subject="Hi", text="…"))
    outbox.status(id).state

A message is an RQ job of one dotted name, so that a producer installs and imports no AWS library.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from redis import Redis
from redis.client import Pipeline

from sesq.config.connection import mapped, reading_bytes
from sesq.config.errors import InputError, InvalidMessage, WouldBeRefused
from sesq.producer.consuming import consume
from sesq.producer.enqueue_arguments import enqueue_arguments, outcome_of, refuse_key
from sesq.producer.message import Message
from sesq.producer.moments import instant
from sesq.producer.precheck import problems
from sesq.queue.careful_redis import connect
from sesq.queue.events import OF_WEBHOOK, EventReader, MessageEvent, forget, listen
from sesq.queue.explain import explain
from sesq.queue.ids import new_id
from sesq.queue.job import KEEP_DAYS
from sesq.queue.keys import queue_name
from sesq.queue.layout import require_layout
from sesq.queue.messages import Messages
from sesq.queue.record import Record
from sesq.queue.replicas import Replicas
from sesq.queue.scripts import STREAM, Script, library, run_many
from sesq.queue.states import FINAL_STATES, State
from sesq.queue.transport import sends_by_smtp, smtp_problem

if TYPE_CHECKING:
    from sesq.producer.batch import Template
    from sesq.producer.batch.batch_intake import BatchIntake

ENQUEUE = Script.of(library("enqueue.lua", base=STREAM))

KEY_HOURS = 24
SECONDS_AN_HOUR, SECONDS_A_DAY = 3600, 86_400
CHUNK = 500
"""Messages a round trip."""
A_CALL = 100
"""Messages a call of the script. It takes 2 ms, so that other clients of Redis do not wait long for it."""
MOST_CONTENT = 1024 * 1024
"""A round trip holds no more messages once their contents have so many bytes or characters."""
LOOK_SECONDS = 0.05
WAITED_FOR = FINAL_STATES | {State.HELD, State.UNKNOWN}


class Outbox:
    """Queues messages. Safe to share between threads; make one per process.

    `redis`: a URL, a `redis.Redis`, or nothing for the settings (`SESQ_REDIS_URL`, sesq.toml, else the embedded
    Redis). `keep_days`: how long the record of a finished message stays; None: as the settings say, else 14.
    `key_hours`: how long an idempotency key is remembered. Every method raises QueueUnavailable when Redis cannot be
    reached within its timeout. `smtp_accounts`: accounts that are known to send by SMTP even before a worker says so.
    """

    def __init__(
        self,
        redis: str | Redis | None = None,
        *,
        keep_days: float | None = None,
        key_hours: float = KEY_HOURS,
        smtp_accounts: Collection[str] = (),
    ) -> None:
        if redis is None:
            redis, kept, smtp_accounts = _from_settings()
            keep_days = keep_days or kept
        self.smtp_accounts = smtp_accounts
        self.redis = reading_bytes(redis) if isinstance(redis, Redis) else connect(redis)
        self._may_use = False
        self.replicas = Replicas(self.redis)
        self.keep_seconds = round((keep_days or KEEP_DAYS) * SECONDS_A_DAY)
        self.key_seconds = round(key_hours * SECONDS_AN_HOUR)
        if self.key_seconds < 1:
            raise InputError(f"key_hours: {key_hours} is too short a time to remember a key: give more")

    def send(self, message: Message, *, check: bool = False, pipeline: Pipeline | None = None) -> str:
        """Queues one message and returns its id. If its idempotency key was used for the same content: that one's id.

        `check`: raises WouldBeRefused for what SES would refuse, as far as the account is known; see `check`.
        `pipeline`: queues it in the caller's transaction, so that it is sent only if that is executed; an idempotency
        key is refused there, since a conflict would be known too late.

        >>> from sesq.producer import Message, Outbox
        >>> outbox = Outbox(redis)
        >>> id = outbox.send(Message(sender="shop@example.com", to="ada@example.org", text="It is on its way."))
        >>> outbox.status(id).state.value
        'queued'
        """
        if check:
            refuse(self.check(message))
        if pipeline is not None:
            return self._enqueue_in(pipeline, message)
        return self.send_many([message])[0]

    def send_many(self, messages: Iterable[Message], *, check: bool = False) -> list[str]:
        """Queues messages, each atomically, in few round trips. Returns their ids in the same order.

        Raises InvalidMessage if an idempotency key was already used for other content, or if a message has `track` and
        its account sends by SMTP; messages before and after that one are queued. With `check` it raises
        WouldBeRefused, and then none is queued.
        """
        if check:
            messages = list(messages)
            refuse(self._problems(messages))
        answers = self.try_send_many(messages)
        for answer in answers:
            if isinstance(answer, InvalidMessage):
                raise answer
        return [str(answer) for answer in answers]

    def try_send_many(self, messages: Iterable[Message]) -> list[str | InvalidMessage]:
        """Queues messages as `send_many` does. For a message that is refused, the answer is the InvalidMessage."""
        answers: list[str | InvalidMessage] = []
        chunk, content = list[Message](), 0
        for message in messages:
            chunk.append(message)
            content += len(message.raw or b"") + len(message.text or "") + len(message.html or "")
            if len(chunk) == CHUNK or content > MOST_CONTENT:
                answers += self._enqueue(chunk)
                chunk, content = [], 0
        return answers + self._enqueue(chunk)

    def check(self, message: Message) -> list[str]:
        """Finds what SES would refuse in this message, in words; empty if nothing is known.

        It judges by the account as the workers last read it: it asks Redis, never SES.
        """
        return self._problems([message])

    def _problems(self, messages: list[Message]) -> list[str]:
        return problems(self._ready(), messages)

    def status(self, id: str, account: str = "default") -> Record:
        """Reads the message's record: state, reason, why it waits and when it goes, MessageId, history.

        Raises UnknownMessage.

        >>> from sesq.producer import Message, Outbox
        >>> outbox = Outbox(redis)
        >>> id = outbox.send(Message(sender="shop@example.com", to="ada@example.org", text="It is on its way."))
        >>> outbox.status(id).waits_because
        'no worker is running: `sesq worker` starts one'
        """
        return explain(self._ready(), Messages(self._ready(), account).get(id))

    def cancel(self, id: str, account: str = "default") -> State:
        """Cancels a message. Raises WrongState if it is being sent or was sent.

        Returns its new state. It is `unknown` if it was to be sent again, and SES may have taken an earlier try.
        """
        return Messages(self._ready(), account).cancel(id, "its sender")

    def reschedule(self, id: str, send_at: datetime, account: str = "default") -> None:
        """Sets another `send_at` for a message that waits. Raises WrongState if it is being sent or was sent, and
        InvalidMessage for a time at which it has expired.
        """
        instant(send_at, "send_at")
        Messages(self._ready(), account).reschedule(id, round(send_at.timestamp(), 3), "its sender")

    def wait(self, id: str, timeout: float = 30.0, account: str = "default") -> Record:
        """Waits until the message is final, held or unknown, for `timeout` seconds at most. Returns its record."""
        messages, deadline = Messages(self._ready(), account), time.monotonic() + timeout
        while True:
            record = messages.get(id)
            left = deadline - time.monotonic()
            if record.state in WAITED_FOR or left <= 0:
                return explain(self._ready(), record)
            time.sleep(min(LOOK_SECONDS, left))

    def events(
        self, *, consumer: str, account: str = "default", recipients: bool = False, idle: float | None = None
    ) -> Iterator[MessageEvent]:
        """Yields what becomes of messages, in order, from the first call with this consumer's name on.

        An event is acknowledged when the loop asks for the next one. So each comes at least once: one whose handling
        was interrupted comes again, with the same `id`. Only one process at a time is a consumer; another with the same
        name waits for it. A consumer that fell far behind gets an event of type "gap". `recipients`: the events name
        them. `idle`: the loop ends so many seconds after the last event; None: never. `forget` ends the listening.

        >>> from sesq.producer import Message, Outbox
        >>> outbox = Outbox(redis)
        >>> told = outbox.events(consumer="crm", idle=0.1)
        >>> id = outbox.send(Message(sender="shop@example.com", to="ada@example.org", text="It is on its way."))
        >>> [(event.message == id, event.state) for event in told]
        [(True, 'queued')]
        """
        return consume(self.event_reader(consumer, account, recipients=recipients), idle)

    def event_reader(
        self, consumer: str, account: str = "default", *, recipients: bool = False
    ) -> EventReader:
        """Begins to listen. Returns what reads and acknowledges events, for a loop of your own."""
        if consumer.startswith(OF_WEBHOOK):
            raise InputError(
                f"consumer: {consumer!r:.80} is the name of a webhook: give your program another"
            )
        listen(self._ready(), account, consumer)
        return EventReader(self._ready(), account, consumer, recipients=recipients)

    def forget(self, consumer: str, account: str = "default") -> bool:
        """Ends the listening of a consumer. Returns whether it listened. Without consumers, Redis keeps no events."""
        return forget(self._ready(), account, consumer)

    def send_batch(
        self,
        template: Template | str | Path,
        rows: Iterable[Mapping[str, Any]],
        *,
        sender: str,
        key: str | None = None,
        again: bool = False,
        **options: Any,
    ) -> BatchIntake:
        """Queues one mail for each row, in the bulk lane.

        `template` is a folder; a row has `email` and the template's variables. `rows` is read once, and never held
        whole. `key` identifies the rows: the same template, sender and key are the same batch. So a call that died
        half-way can be made again, and goes on; a batch that was complete raises TakenBefore, unless `again`. Rows that
        cannot be sent are left out, and named in what is returned. Raises InvalidTemplate and InvalidMessage.

        `options` are `account`, `tags`, `configuration_set`, `tenant`, `feedback_to`, `contact_list`, `topic` and
        `track` as of a message; `starts_at` (before that none of it goes); `stop_bounces` and `stop_complaints` (shares
        in % above which the batch pauses itself); `window` (it goes only in these hours: "Mon-Fri 09:00-17:00
        Europe/Berlin"); and `zone_column` (the variable with a row's own time zone, which replaces the window's).
        """
        from sesq.producer.batch.batch_intake import numbered, take
        from sesq.producer.batch.request import batch_request

        request = batch_request(template, sender, key or new_id(), keep_seconds=self.keep_seconds, **options)
        self.check_transport(request.account, request.envelope.track)
        return take(self._ready(), request, numbered(rows), again=again)

    def check_transport(self, account: str, track: object) -> None:
        """Raises InvalidMessage for what the account cannot send, because it sends by SMTP."""
        problem = self._transport_problem(account, track)
        if problem:
            raise problem

    def _transport_problem(self, account: str, track: object) -> InvalidMessage | None:
        problem = smtp_problem(track)
        by_smtp = problem and (account in self.smtp_accounts or sends_by_smtp(self._ready(), account))
        return problem if by_smtp else None

    def _ready(self) -> Redis:
        """Returns Redis. The first call checks that this version of sesq may use it."""
        if not self._may_use:
            require_layout(self.redis)
            self._may_use = True
        return self.redis

    def _enqueue_in(self, pipeline: Pipeline, message: Message) -> str:
        refuse_key(message)
        self._ready()
        self.check_transport(message.account, message.track)
        id = message.id or new_id()
        arguments = self._arguments_of(_queue_of(message), [(id, message)])
        pipeline.eval(ENQUEUE.text, 0, *ENQUEUE.arguments(message.account, arguments))
        return id

    def _enqueue(self, messages: list[Message]) -> list[str | InvalidMessage]:
        accounts: dict[str, dict[_Queue, list[int]]] = {}
        outcomes: list[str | InvalidMessage] = [""] * len(messages)
        for place, message in enumerate(messages):
            if message.track is not None and (
                problem := self._transport_problem(message.account, message.track)
            ):
                outcomes[place] = problem
            else:
                accounts.setdefault(message.account, {}).setdefault(_queue_of(message), []).append(place)
        with mapped():
            for account, queues in accounts.items():
                answers = self._enqueue_in_queues(account, queues, messages)
                places = [place for places in queues.values() for place in places]
                for place, answer in zip(places, answers, strict=True):
                    outcomes[place] = outcome_of(answer)
        return outcomes

    def _enqueue_in_queues(
        self, account: str, queues: Mapping[_Queue, list[int]], messages: list[Message]
    ) -> list[Any]:
        """Returns enqueue.lua's answer for each message, queue by queue."""
        calls = []
        for queue, places in queues.items():
            new = [(messages[place].id or new_id(), messages[place]) for place in places]
            parts = (new[start : start + A_CALL] for start in range(0, len(new), A_CALL))
            calls += [(ENQUEUE, self._arguments_of(queue, part)) for part in parts]
        return [
            answer for answers in run_many(self._ready(), account, calls, self.replicas) for answer in answers
        ]

    def _arguments_of(self, queue: _Queue, new: list[tuple[str, Message]]) -> list[Any]:
        arguments: list[Any] = [queue.name, self.key_seconds]
        for id, message in new:
            arguments += enqueue_arguments(message, id, queue.lane, self.keep_seconds)
        return arguments


class _Queue(NamedTuple):
    """The RQ queue in which a message waits, its lane's or its tenant's. `lane`: the lane's queue, as in RQ's job."""

    name: str
    lane: str


def _queue_of(message: Message) -> _Queue:
    lane = queue_name(message.account, message.lane)
    return _Queue(queue_name(message.account, message.lane, message.tenant or ""), lane)


def refuse(found: list[str]) -> None:
    """Raises WouldBeRefused if there are any problems."""
    if found:
        raise WouldBeRefused("; ".join(found))


def _from_settings() -> tuple[Redis, float, Collection[str]]:
    from sesq.config.settings import (
        Settings,
    )  # here, so that a producer with a URL of its own does not load pydantic

    settings = Settings.load()
    return connect(settings=settings), settings.keep_days, settings.smtp_accounts
