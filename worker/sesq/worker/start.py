"""Starts workers: one in this process, or several processes under a parent that keeps them running."""

from __future__ import annotations

import gc
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from types import FrameType

from redis import Redis

from sesq.config.settings import Settings
from sesq.queue.states import Lane
from sesq.worker.opening import open_accounts, when_redis_serves
from sesq.worker.worker import SesqWorker

log = logging.getLogger("sesq.worker")

RESTART_SECONDS = (1.0, 2.0, 5.0, 10.0)
"""The pauses before a child is started again. They become longer if its predecessors ended soon."""
HOPELESS_SECONDS = 10.0
"""If a child fails before any child has lived so long, the settings are wrong, and no child is started again."""
WATCH_SECONDS = 0.2
PROGRAM = (sys.executable, "-m", "sesq.console")


class ParentPipe:
    """Watches the read end of a pipe whose other end the parent process keeps open and never writes to.

    The pipe ends when the parent process does, for whatever reason. Then `on_end` is called. Until a worker
    sets `on_end`, nothing has been claimed, and the process ends at once.
    """

    def __init__(self, descriptor: int) -> None:
        self.on_end: Callable[[], None] = lambda: os._exit(1)
        threading.Thread(target=self._watch, args=(descriptor,), name="parent", daemon=True).start()

    def _watch(self, descriptor: int) -> None:
        while os.read(descriptor, 1024):
            pass
        log.warning("the process that started this worker is gone: the worker stops")
        self.on_end()


def run_worker(
    redis: Redis,
    settings: Settings,
    *,
    accounts: Sequence[str] = (),
    lanes: Sequence[Lane] = tuple(Lane),
    burst: bool = False,
    name: str | None = None,
    parent: ParentPipe | None = None,
) -> bool:
    """Serves the accounts (all that are configured, unless named) until stopped; True if mail was sent.

    Waits while Redis cannot be used, and stops when its `parent` ends. It names an account with wrong settings in the
    log, and does not serve it. Before it claims anything, it raises CannotStart or SettingsError if it can serve no
    account, and SettingsError for an account that is not configured.
    """
    wanted = dict.fromkeys(accounts or sorted(settings.accounts), lanes)
    opened = when_redis_serves(lambda: open_accounts(redis, settings, wanted))
    worker = when_redis_serves(lambda: SesqWorker.for_accounts(opened, redis, settings, name=name))
    if parent is not None:
        parent.on_end = worker.stop
    gc.freeze()  # what is loaded by now stays, so the collector need not look at it again and again
    return worker.work(burst=burst)


class Processes:
    """Keeps several worker processes: starts them again when they die, and stops them together."""

    def __init__(self, command: Sequence[str], count: int) -> None:
        self.command = list(command)
        self.count = count
        self.children: list[subprocess.Popen[bytes]] = []
        self.signals = 0
        self.passed_on = 0
        self.proven = False
        """Whether a child has lived long enough to show that the settings are right."""
        self.hopeless = False
        self._started = [0.0] * count
        self._early_ends = [0] * count
        self._next_start: dict[int, float] = {}
        self._told: set[int] = set()
        self._pipe = -1, -1
        """A pipe. Its read end is the standard input of each child, and ends when this process does."""

    def run(self) -> int:
        """Runs until a signal, or (with `--burst` in the command) until all have ended. Returns the exit status."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._count)
        self._pipe = os.pipe()
        try:
            return self._run()
        finally:
            for end in self._pipe:
                os.close(end)

    def _run(self) -> int:
        self.children = [self._start(place) for place in range(self.count)]
        while self._goes_on() or any(child.poll() is None for child in self.children):
            time.sleep(WATCH_SECONDS)
            self._pass_on()
            if self._goes_on():
                self._replace_the_dead()
        return self._status()

    def _goes_on(self) -> bool:
        return not self.signals and not self.hopeless and "--burst" not in self.command

    def _status(self) -> int:
        """Returns the worst status; after a signal, only of the children that were told to end."""
        ended = [child for child in self.children if child.pid in self._told or not self.signals]
        return max(map(self._status_of, ended), default=0)

    def _status_of(self, child: subprocess.Popen[bytes]) -> int:
        """Returns 0 also if the signal reached a child that had not begun yet."""
        status = child.wait()
        return 0 if self.signals == 1 and status == -signal.SIGTERM else abs(status)

    def _start(self, place: int) -> subprocess.Popen[bytes]:
        self._started[place] = time.monotonic()
        # in a session of its own, so that Ctrl-C at the terminal reaches it only once, through the parent
        return subprocess.Popen([*PROGRAM, *self.command], stdin=self._pipe[0], start_new_session=True)

    def _age(self, place: int) -> float:
        return time.monotonic() - self._started[place]

    def _replace_the_dead(self) -> None:
        for place, child in enumerate(self.children):
            if child.poll() is None:
                self.proven = self.proven or self._age(place) >= HOPELESS_SECONDS
            elif place not in self._next_start:
                self._note_end(place, child)
            elif time.monotonic() >= self._next_start[place]:
                del self._next_start[place]
                self.children[place] = self._start(place)

    def _note_end(self, place: int, child: subprocess.Popen[bytes]) -> None:
        early = self._age(place) < HOPELESS_SECONDS
        self.proven = self.proven or not early
        if early and child.returncode > 0 and not self.proven:
            self.hopeless = True
            self._end_all()
            return
        early_ends = self._early_ends[place] if early else 0
        self._early_ends[place] = early_ends + 1
        pause = RESTART_SECONDS[min(early_ends, len(RESTART_SECONDS) - 1)]
        self._next_start[place] = time.monotonic() + pause
        log.error(
            "worker process %d ended with status %s; starting another in %g s",
            child.pid,
            child.returncode,
            pause,
        )

    def _count(self, _signum: int, _: FrameType | None) -> None:
        self.signals += 1

    def _pass_on(self) -> None:
        """Passes each signal on once, outside its handler, which may run before a new child is known."""
        while self.passed_on < self.signals:
            # a child that has not handled a signal yet would take a second one of the same kind as one
            self._end_all(signal.SIGINT if self.passed_on % 2 else signal.SIGTERM)
            self.passed_on += 1

    def _end_all(self, number: signal.Signals = signal.SIGTERM) -> None:
        for child in self.children:
            if child.poll() is None:
                self._told.add(child.pid)
                child.send_signal(number)
