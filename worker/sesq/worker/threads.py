"""Provides threads that all accounts of a worker share, so that an account at rest needs none."""

from __future__ import annotations

import logging
import queue
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from sesq.config.errors import QueueUnavailable

log = logging.getLogger("sesq.worker")

IDLE_SECONDS = 10.0

Task = Callable[[], None]


class Threads:
    """Runs each task at once, in a free thread or a new one. A thread that is idle for long ends.

    A waiting task does not delay other tasks: each caller limits the number of its own tasks. The threads are daemons,
    so a process that is told twice to stop does not wait for them.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._alive = 0
        self._idle: list[queue.SimpleQueue[Task]] = []
        """A queue for each free thread. The last thread gets the next task, so that the others can end."""
        self._left: deque[Task] = deque()
        """Tasks that wait because the system allows no more threads."""
        self.going_on: set[str] = set()
        """The names of the tasks of `run_once` that are not done."""

    def run(self, task: Task) -> None:
        """Starts a task, and returns at once. Raises RuntimeError if the system allows no thread at all."""
        with self._lock:
            if self._idle:
                self._idle.pop().put(task)
            else:
                self._start(task)

    def run_once(self, name: str, task: Task) -> None:
        """Starts a long task, unless the last one with that name still runs."""
        if name not in self.going_on:
            self.going_on.add(name)
            self.run(partial(self._go_on, name, task))

    def _go_on(self, name: str, task: Task) -> None:
        try:
            task()
        except QueueUnavailable as error:
            log.debug("%s: %s", name, error)
        finally:
            self.going_on.discard(name)

    def _start(self, task: Task) -> None:
        try:
            threading.Thread(target=self._work, args=(task,), name="shared", daemon=True).start()
            self._alive += 1
        except RuntimeError:  # the system allows no more threads; the existing ones do the task
            if not self._alive:
                raise
            self._left.append(task)

    def _work(self, task: Task | None) -> None:
        try:
            while task is not None:
                task()
                task = self._next()
        finally:
            with self._lock:
                self._alive -= 1

    def _next(self) -> Task | None:
        """Waits for the next task; None if the thread is to end."""
        mine: queue.SimpleQueue[Task] = queue.SimpleQueue()
        with self._lock:
            if self._left:
                return self._left.popleft()
            self._idle.append(mine)
        with suppress(queue.Empty):
            return mine.get(timeout=IDLE_SECONDS)
        with self._lock:
            if mine in self._idle:
                self._idle.remove(mine)
                return None
        return mine.get()  # a task came in the last moment
