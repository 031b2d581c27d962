"""Starts workers: one in this process, or several processes under a parent that keeps them running."""

from __future__ import annotations

import logging
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from types import FrameType

from redis import Redis

from sesq.config.errors import SesqError
from sesq.config.policy import Policy
from sesq.config.settings import Settings
from sesq.config.states import Lane
from sesq.worker.desk import open_desk, starting_limits
from sesq.worker.transports import SendFailed
from sesq.worker.verdicts import Kind
from sesq.worker.worker import SesqWorker

log = logging.getLogger("sesq.worker")

RESTART_SECONDS = 1.0
HOPELESS_SECONDS = 10.0
"""A child that gives up by itself so soon cannot start as it is set up; another one could not either."""
WATCH_SECONDS = 0.2
HOPELESS = frozenset({Kind.CREDENTIALS, Kind.CONFIGURATION})


class CannotStart(SesqError):
    """The worker cannot send anything as it is set up: no region, no credentials. The text names the cure."""


def run_worker(
    redis: Redis,
    settings: Settings,
    *,
    accounts: Sequence[str] = (),
    lanes: Sequence[Lane] = tuple(Lane),
    burst: bool = False,
    name: str | None = None,
) -> bool:
    """Serves the accounts (all that are configured, unless named) until stopped; True where mail was sent.

    Raises CannotStart before anything is claimed, and SettingsError for an account that is not configured.
    """
    desks = []
    for account in accounts or sorted(settings.accounts):
        desk = open_desk(redis, account, settings, lanes=lanes)
        _warm_up(desk.courier.transport.warm_up, account)
        Policy(redis, account).configure(starting_limits(settings.account(account)))
        desks.append(desk)
    return SesqWorker(desks, redis, settings, name=name).work(burst=burst)


def _warm_up(connect: Callable[[], None], account: str) -> None:
    """An open connection before the first claim, so that the first mail leaves in its turn."""
    try:
        connect()
    except SendFailed as failure:
        if failure.verdict.kind in HOPELESS:
            raise CannotStart(f"account {account}: {failure.verdict.reason}") from failure
        log.warning("account %s: SES cannot be reached yet: %s", account, failure.verdict.reason)


class Processes:
    """Several worker processes under one parent: started again when they die, stopped together."""

    def __init__(self, command: Sequence[str], count: int) -> None:
        self.command = list(command)
        self.count = count
        self.children: list[subprocess.Popen[bytes]] = []
        self.signals = 0
        self.passed_on = 0
        self.hopeless = False
        self._started: dict[int, float] = {}

    def run(self) -> int:
        """Until a signal, or (with `--burst` in the command) until all have ended. Returns the exit status."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._count)
        self.children = [self._start() for _ in range(self.count)]
        while any(child.poll() is None for child in self.children):
            time.sleep(WATCH_SECONDS)
            self._pass_on()
            if not self.signals and not self.hopeless and "--burst" not in self.command:
                self._replace_the_dead()
        return max(self._status_of(child) for child in self.children)

    def _status_of(self, child: subprocess.Popen[bytes]) -> int:
        """0 also where the signal that was passed on met a child that had not begun yet."""
        status = child.wait()
        return 0 if self.signals == 1 and status == -signal.SIGTERM else abs(status)

    def _start(self) -> subprocess.Popen[bytes]:
        # a session of its own: Ctrl-C at the terminal reaches it once, through the parent
        child = subprocess.Popen(
            [sys.executable, "-m", "sesq.console", *self.command], start_new_session=True
        )
        self._started[child.pid] = time.monotonic()
        return child

    def _replace_the_dead(self) -> None:
        for i, child in enumerate(self.children):
            if child.poll() is None:
                continue
            if child.returncode > 0 and time.monotonic() - self._started[child.pid] < HOPELESS_SECONDS:
                self.hopeless = True
                self._end_all()
                return
            log.error("worker process %d ended with status %s; starting another", child.pid, child.returncode)
            time.sleep(RESTART_SECONDS)
            self.children[i] = self._start()

    def _count(self, _signum: int, _: FrameType | None) -> None:
        self.signals += 1

    def _pass_on(self) -> None:
        """Each signal once, to all: not in its handler, which may run before a child that was just started is known."""
        while self.passed_on < self.signals:
            self.passed_on += 1
            self._end_all()

    def _end_all(self) -> None:
        for child in self.children:
            if child.poll() is None:
                child.terminate()
