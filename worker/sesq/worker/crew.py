"""What a worker sends for one account at once: orders, and those of its threads that talk to SES for them."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from sesq.queue.gate import Begun, Name
from sesq.queue.states import State
from sesq.worker.courier import NOT_IN_TURN, Courier, Outcome, put_back
from sesq.worker.distance import UNUSED_SECONDS
from sesq.worker.threads import Threads

log = logging.getLogger("sesq.worker")


class Order(NamedTuple):
    """What was granted, and when (monotonic)."""

    id: str
    execution: str
    granted_at: float

    @property
    def name(self) -> Name:
        return self.id, self.execution

    @property
    def use_by(self) -> float:
        return self.granted_at + UNUSED_SECONDS

    @property
    def is_stale(self) -> bool:
        return time.monotonic() > self.use_by

    def put_back(self, reason: str) -> Outcome:
        return put_back(self.id, self.execution, reason)


class Crew:
    """What one account has to send, and up to `size` of the worker's threads for it.

    `tell` is called in them with what became of each order. The rest is for one thread.
    """

    def __init__(
        self, size: int, worker: str, courier: Courier, tell: Callable[[Outcome], None], threads: Threads
    ) -> None:
        self.size = size
        self._worker = worker
        self._courier = courier
        self._tell = tell
        self._threads = threads
        self._lock = threading.Lock()
        self._orders: deque[tuple[Order, Begun]] = deque()
        self._at_work = 0
        """Threads that look after the orders."""
        self._busy = 0
        self._stale_from = 0.0
        """Before it nothing in the backlog is stale (monotonic)."""

    @property
    def free(self) -> int:
        """Orders that it could take at once; below zero while orders wait for a thread."""
        return self.size - self._busy

    @property
    def backlog(self) -> int:
        """What is begun, and no thread has taken yet."""
        return len(self._orders)

    def send(self, order: Order, begun: Begun) -> None:
        """As soon as one of its threads is free."""
        if not self.backlog:
            self._stale_from = order.use_by
        self._busy += 1
        with self._lock:
            self._orders.append((order, begun))
            needs_thread = self._at_work < self.size
            self._at_work += needs_thread
        if needs_thread:
            self._threads.run(self._work)

    def heard(self) -> None:
        """What became of an order has been taken in: its thread is free."""
        self._busy -= 1

    def take_back(self) -> list[Order]:
        """What no thread has looked at yet, in its order."""
        return [order for order, _ in self._drain()]

    def take_back_stale(self) -> list[Order]:
        """Of that, what no thread will send any more: all of them wait for SES."""
        now = time.monotonic()
        if now <= self._stale_from:
            return []
        stale: list[Order] = []
        for order, begun in self._drain():
            if now > order.use_by:
                stale.append(order)
            else:
                self.send(order, begun)
        return stale

    def _drain(self) -> list[tuple[Order, Begun]]:
        with self._lock:
            found = list(self._orders)
            self._orders.clear()
        self._busy -= len(found)
        return found

    def _work(self) -> None:
        while (given := self._next()) is not None:
            self._tell(self.carry(*given))

    def _next(self) -> tuple[Order, Begun] | None:
        """None where the thread is of use to another account now."""
        with self._lock:
            if self._orders:
                return self._orders.popleft()
            self._at_work -= 1
            return None

    def carry(self, order: Order, begun: Begun) -> Outcome:
        """Sends it, unless it comes too late for its turn."""
        if order.is_stale:
            return order.put_back(NOT_IN_TURN)
        try:
            return self._courier.carry(begun, order.use_by)
        except Exception as error:
            # the text of a foreign error may quote an address, and its trace the content
            told = {"id": order.id, "account": self._courier.gate.account, "error": type(error).__name__}
            log.error(
                "worker %s: message %s: unexpected %s", self._worker, order.id, told["error"], extra=told
            )
            log.debug("message %s", order.id, exc_info=True)
            reason = f"an unexpected error, maybe after it had left: {type(error).__name__}"
            return {
                "id": order.id,
                "execution": order.execution,
                "to": State.UNKNOWN.value,
                "reason": reason,
            }
