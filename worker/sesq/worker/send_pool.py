"""Sends the started messages of one account, with some of the threads that all accounts of a worker share."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections import deque
from collections.abc import Callable

from sesq.queue.grants import Started
from sesq.queue.results import SendResult, put_back
from sesq.queue.states import State
from sesq.worker.sending import NOT_IN_TURN, Sender
from sesq.worker.threads import Threads

log = logging.getLogger("sesq.worker")

NEAR_SECONDS = 0.005
"""Only a server on this machine or beside it answers so fast: a relay, a simulator. SES itself takes longer."""
FEW_THREADS = 6
"""So many threads keep a near server busy. More threads would only wait for each other, because of Python's lock."""
SLOWER_EACH = 1.05
"""The fastest answer counts as so much slower after each answer, so that it is one of the last few dozen."""


class SendPool:
    """Sends the started messages of one account, with up to `size` of the worker's threads.

    It calls `report` in these threads with the result of each message. One thread calls everything else.
    """

    def __init__(
        self,
        size: int,
        worker: str,
        sender: Sender,
        report: Callable[[SendResult], None],
        threads: Threads,
    ) -> None:
        self.size = size
        self._worker = worker
        self._sender = sender
        self._report = report
        self._threads = threads
        self._lock = threading.Lock()
        self._waiting: deque[Started] = deque()
        self._at_work = 0
        """Threads that send them."""
        self._busy = 0
        self._fastest = math.inf
        """The time of the fastest of the last answers (s)."""
        self._stale_from = 0.0
        """No waiting message is too late before this time (monotonic)."""

    @property
    def free(self) -> int:
        """Counts the messages that it could take now; below zero while some wait for a thread."""
        return self.size - self._busy

    @property
    def backlog(self) -> int:
        """Counts the started messages that no thread has taken yet."""
        return len(self._waiting)

    def send(self, started: Started) -> None:
        """Lets a message be sent as soon as one of the threads is free."""
        if not self.backlog:
            self._stale_from = started.grant.use_by
        self._busy += 1
        with self._lock:
            self._waiting.append(started)
            needs_thread = self._at_work < self._most_threads
            self._at_work += needs_thread
        if needs_thread:
            self._threads.run(self._work)

    def heard(self) -> None:
        """Notes that the result of a message has been taken in, so that its thread is free."""
        self._busy -= 1

    def take_back(self) -> list[Started]:
        """Returns the messages that no thread has taken yet, in order, and forgets them."""
        with self._lock:
            found = list(self._waiting)
            self._waiting.clear()
        self._busy -= len(found)
        return found

    def take_back_stale(self) -> list[Started]:
        """Returns the messages that are too late to be sent, because all threads wait for SES."""
        now = time.monotonic()
        if now <= self._stale_from:
            return []
        stale: list[Started] = []
        for started in self.take_back():
            if now > started.grant.use_by:
                stale.append(started)
            else:
                self.send(started)
        if stale:
            self._fastest = math.inf  # the server may hang, so all threads are needed
        return stale

    @property
    def _most_threads(self) -> int:
        return min(self.size, FEW_THREADS) if self._fastest < NEAR_SECONDS else self.size

    def _work(self) -> None:
        while (started := self._next()) is not None:
            began = time.monotonic()
            result = self.send_one(started)
            if result.message_id:
                self._fastest = min(time.monotonic() - began, self._fastest * SLOWER_EACH)
            self._report(result)

    def _next(self) -> Started | None:
        """Takes the next message; None if there is none, or if there are enough threads: then this one is free."""
        with self._lock:
            if self._waiting and self._at_work <= self._most_threads:
                return self._waiting.popleft()
            self._at_work -= 1
            return None

    def send_one(self, started: Started) -> SendResult:
        """Sends a message, unless it is too late. Never raises."""
        if time.monotonic() > started.grant.use_by:
            return put_back(started.grant, NOT_IN_TURN)
        try:
            return self._sender.send_message(started)
        except Exception as error:
            # the text of another library's error may have an address, and its trace the content
            told = {"id": started.id, "account": self._sender.gate.account, "error": type(error).__name__}
            log.error(
                "worker %s: message %s: unexpected %s", self._worker, started.id, told["error"], extra=told
            )
            log.debug("message %s", started.id, exc_info=True)
            reason = f"an unexpected error, maybe after it had left: {type(error).__name__}"
            return SendResult(started.grant, State.UNKNOWN, reason)
