"""Yields what becomes of messages, one event after the other, for `Outbox.events` and `AsyncOutbox.events`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator

from sesq.queue.events import EventReader, MessageEvent

BLOCK_SECONDS = 1.0


def consume(
    reader: EventReader, idle: float | None, clock: Callable[[], float] = time.monotonic
) -> Iterator[MessageEvent]:
    """Yields events; acknowledges each when the next one is asked for. Ends `idle` seconds after the last one.

    If the handling of an event took so long that another process is the consumer now, that process gets the rest.
    """
    last = clock()
    try:
        while idle is None or clock() - last < idle:
            for event in reader.read(block=_block(idle)):
                if not reader.is_reader():
                    break
                yield event
                reader.acknowledge(event.id)
                last = clock()
    finally:
        reader.close()


async def consume_async(
    reader: EventReader, idle: float | None, clock: Callable[[], float] = time.monotonic
) -> AsyncIterator[MessageEvent]:
    """As `consume`, in threads."""
    last = clock()
    try:
        while idle is None or clock() - last < idle:
            for event in await asyncio.to_thread(reader.read, block=_block(idle)):
                if not await asyncio.to_thread(reader.is_reader):
                    break
                yield event
                await asyncio.to_thread(reader.acknowledge, event.id)
                last = clock()
    finally:
        reader.close()


def _block(idle: float | None) -> float:
    return BLOCK_SECONDS if idle is None else min(BLOCK_SECONDS, max(0.001, idle / 4))
