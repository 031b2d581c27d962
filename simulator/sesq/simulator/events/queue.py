"""A queue that does what SQS promises: each message is read at least once, and is invisible for a while after that."""

from __future__ import annotations

import functools
import heapq
import uuid
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(eq=False)
class QueuedMessage:
    """`make` writes its body when it is first read."""

    make: Callable[[], str]
    sent_at: float
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    received: int = 0
    receipt: str | None = None
    deleted: bool = False

    @functools.cached_property
    def body(self) -> str:
        return self.make()


class EventQueue:
    """The messages of one queue. Times are epoch seconds of the simulator's clock."""

    def __init__(self) -> None:
        self._ready: deque[QueuedMessage] = deque()
        self._in_flight: dict[str, QueuedMessage] = {}
        self._returns: list[tuple[float, str]] = []

    def put(self, make: Callable[[], str], now: float) -> None:
        self._ready.append(QueuedMessage(make, now))

    def receive(self, most: int, visibility: float, now: float) -> list[QueuedMessage]:
        """Reads up to `most` messages, each with a new receipt. They come back after `visibility` seconds."""
        self._take_back(now)
        found: list[QueuedMessage] = []
        while self._ready and len(found) < most:
            message = self._ready.popleft()
            if not message.deleted:
                self._hand_out(message, now + visibility)
                found.append(message)
        return found

    def delete(self, receipt: str) -> bool:
        """Deletes a message by its last receipt, also if it is visible again. Returns whether there was one."""
        message = self._in_flight.pop(receipt, None)
        if message is not None:
            message.deleted = True
        return message is not None

    def change_visibility(self, receipt: str, visibility: float, now: float) -> bool:
        self._take_back(now)
        others = [(at, each) for at, each in self._returns if each != receipt]
        if len(others) == len(self._returns):
            return False
        self._returns = others
        heapq.heapify(self._returns)
        heapq.heappush(self._returns, (now + visibility, receipt))
        return True

    def clear(self) -> None:
        self._ready.clear()
        self._in_flight.clear()
        self._returns.clear()

    def counts(self, now: float) -> tuple[int, int]:
        """Counts messages that can be read, and messages in flight."""
        self._take_back(now)
        return sum(1 for message in self._ready if not message.deleted), len(self._returns)

    def _hand_out(self, message: QueuedMessage, until: float) -> None:
        if message.receipt is not None:
            self._in_flight.pop(message.receipt, None)
        message.receipt = str(uuid.uuid4())
        message.received += 1
        self._in_flight[message.receipt] = message
        heapq.heappush(self._returns, (until, message.receipt))

    def _take_back(self, now: float) -> None:
        while self._returns and self._returns[0][0] <= now:
            message = self._in_flight.get(heapq.heappop(self._returns)[1])
            if message is not None:
                self._ready.append(message)
