"""Queues together what comes in together: one thread and one round trip to Redis for many connections."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from sesq.config.errors import InvalidMessage, SesqError
from sesq.producer.message import Message
from sesq.producer.outbox import Outbox

MOST_MAILS = 200
MOST_BYTES = 64 * 1024 * 1024

Read = Callable[[], list[Message]]
Outcome = list[str] | Exception


@dataclass
class Waiting:
    """One mail whose sender waits for an answer; `read` makes messages of it."""

    read: Read
    size: int
    answer: asyncio.Future[list[str]]


class Bundle:
    """Queues mail for an event loop, without blocking it. Mail that comes in during a round trip goes with the next."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox
        self._waiting: deque[Waiting] = deque()
        self._task: asyncio.Task[None] | None = None

    async def queue(self, read: Read, size: int) -> list[str]:
        """Queues the messages that `read` makes. Returns their ids once they are safely in Redis.

        Raises what `read` raises, InvalidMessage for a conflicting idempotency key, and QueueUnavailable.
        """
        waiting = Waiting(read, size, asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        if self._task is None:
            self._task = asyncio.create_task(self._run())
        return await waiting.answer

    async def drain(self) -> None:
        """Returns when nobody waits for an answer any more."""
        while self._task is not None:
            await asyncio.wait([self._task])

    async def _run(self) -> None:
        try:
            while self._waiting:
                bundle = self._next()
                outcomes = await asyncio.to_thread(queue_all, self._outbox, [one.read for one in bundle])
                for one, outcome in zip(bundle, outcomes, strict=True):
                    _settle(one.answer, outcome)
        finally:
            self._task = None

    def _next(self) -> list[Waiting]:
        bundle = [self._waiting.popleft()]
        room = MOST_BYTES - bundle[0].size
        while self._waiting and len(bundle) < MOST_MAILS and self._waiting[0].size <= room:
            bundle.append(self._waiting.popleft())
            room -= bundle[-1].size
        return bundle


def queue_all(outbox: Outbox, reads: list[Read]) -> list[Outcome]:
    """Queues mails. Returns for each the ids of its messages, or an error. Never raises: each sender is answered."""
    mails = [_attempt(read) for read in reads]
    messages = [message for mail in mails if isinstance(mail, list) for message in mail]
    try:
        answers = iter(outbox.try_send_many(messages))
    except Exception as error:  # noqa: BLE001  (each sender that waits gets it, and the session logs what is not sesq's)
        return [mail if isinstance(mail, Exception) else error for mail in mails]
    return [
        mail if isinstance(mail, Exception) else _of_parts([next(answers) for _ in mail]) for mail in mails
    ]


def _attempt(read: Read) -> list[Message] | Exception:
    try:
        return read()
    except Exception as error:  # noqa: BLE001  (as above)
        return error


def _of_parts(answers: list[str | InvalidMessage]) -> Outcome:
    refused = next((answer for answer in answers if isinstance(answer, SesqError)), None)
    return refused or [str(answer) for answer in answers]


def _settle(answer: asyncio.Future[list[str]], outcome: Outcome) -> None:
    if answer.done():  # its connection is gone
        return
    if isinstance(outcome, Exception):
        answer.set_exception(outcome)
    else:
        answer.set_result(outcome)
