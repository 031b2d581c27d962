"""The outbox for asyncio: the same calls, run in threads, so that they do not block the event loop."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterable
from datetime import datetime

from redis import Redis

from sesq.producer.consuming import consume_async
from sesq.producer.message import Message
from sesq.producer.outbox import LOOK_SECONDS, WAITED_FOR, Outbox
from sesq.queue.events import MessageEvent
from sesq.queue.messages import Messages
from sesq.queue.record import Record
from sesq.queue.states import State


class AsyncOutbox:
    """`Outbox` whose methods are awaited. Takes what an Outbox takes, or an Outbox.

    >>> import asyncio
    >>> from sesq.producer import AsyncOutbox, Message
    >>> outbox = AsyncOutbox(redis)
    >>> id = asyncio.run(outbox.send(Message(sender="shop@example.com", to="ada@example.org", text="Hello.")))
    >>> asyncio.run(outbox.status(id)).state.value
    'queued'
    """

    def __init__(self, outbox: Outbox | str | Redis | None = None) -> None:
        self._outbox = outbox if isinstance(outbox, Outbox) else Outbox(outbox)

    async def send(self, message: Message, *, check: bool = False) -> str:
        """As Outbox.send."""
        return await asyncio.to_thread(self._outbox.send, message, check=check)

    async def send_many(self, messages: Iterable[Message], *, check: bool = False) -> list[str]:
        """As Outbox.send_many."""
        return await asyncio.to_thread(self._outbox.send_many, messages, check=check)

    async def check(self, message: Message) -> list[str]:
        """As Outbox.check."""
        return await asyncio.to_thread(self._outbox.check, message)

    async def status(self, id: str, account: str = "default") -> Record:
        """As Outbox.status."""
        return await asyncio.to_thread(self._outbox.status, id, account)

    async def cancel(self, id: str, account: str = "default") -> State:
        """As Outbox.cancel."""
        return await asyncio.to_thread(self._outbox.cancel, id, account)

    async def reschedule(self, id: str, send_at: datetime, account: str = "default") -> None:
        """As Outbox.reschedule."""
        await asyncio.to_thread(self._outbox.reschedule, id, send_at, account)

    async def events(
        self, *, consumer: str, account: str = "default", recipients: bool = False, idle: float | None = None
    ) -> AsyncIterator[MessageEvent]:
        """As Outbox.events, but begins to listen when the loop begins."""
        reader = await asyncio.to_thread(self._outbox.event_reader, consumer, account, recipients=recipients)
        async for event in consume_async(reader, idle):
            yield event

    async def forget(self, consumer: str, account: str = "default") -> bool:
        """As Outbox.forget."""
        return await asyncio.to_thread(self._outbox.forget, consumer, account)

    async def wait(self, id: str, timeout: float = 30.0, account: str = "default") -> Record:
        """As Outbox.wait, but keeps no thread waiting."""
        messages, deadline = Messages(self._outbox.redis, account), time.monotonic() + timeout
        while (await asyncio.to_thread(messages.get, id)).state not in WAITED_FOR:
            if time.monotonic() >= deadline:
                break
            await asyncio.sleep(LOOK_SECONDS)
        return await self.status(id, account)
