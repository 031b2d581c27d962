"""Has the worker, which claims and sends many messages at once from one process.

The thread of the loop claims, starts, settles and renews leases in Redis. Other threads, which the accounts share,
talk to SES. Results and wake signals come to the loop through `_inbox`.
"""

from __future__ import annotations

import logging
import signal
import time
from collections.abc import Sequence
from functools import partial
from queue import Empty, SimpleQueue
from types import FrameType
from typing import Any

from redis import Redis
from rq.defaults import DEFAULT_LOGGING_DATE_FORMAT, DEFAULT_LOGGING_FORMAT
from rq.logutils import setup_loghandlers
from rq.worker import DequeueStrategy

from sesq.config.connection import may_pass
from sesq.config.errors import QueueUnavailable
from sesq.config.settings import Settings
from sesq.queue.snapshot import redis_now
from sesq.queue.usage import SUSPENDED
from sesq.worker.account_worker import POLL_SECONDS, TICK_SECONDS, AccountWorker
from sesq.worker.opening import BACKOFF_SECONDS, OpenAccount, open_accounts, when_redis_serves
from sesq.worker.rq_registration import Queues, RegisteredWorker, refuse_options
from sesq.worker.threads import Task, Threads

log = logging.getLogger("sesq.worker")

LOOKS_A_SECOND = 10
MOST_REST_SECONDS = 10.0
"""How many accounts at rest get their upkeep in a second, and the longest time between two upkeeps of one."""
SHUTDOWN_SECONDS = 30.0
SYNC_END_SECONDS, SYNC_LOOK_SECONDS = 5.0, 0.01

GATHER_SECONDS = 0.006
"""How long results are gathered while the threads still have started mail, to settle them in one round trip."""

WAITS_ON = {
    "day": "the day has no room for the next one",
    "tenant_day": "its tenants have reached their own daily limits",
    "paused": "the account is paused",
    "ses_paused": "SES sends nothing for the account",
    "unsynced": "SES did not describe the account",
}
"""The gate's answer -> why no more mail of an account can go now."""


class SesqWorker(RegisteredWorker):
    """Sends the mail of one or more accounts. If RQ starts it, it opens the accounts of RQ's queues in `work`."""

    def __init__(self, queues: Queues, name: str | None = None, **options: Any) -> None:
        super().__init__(queues, name, **options)
        self.accounts: list[AccountWorker] = []
        self._inbox: SimpleQueue[Task] = SimpleQueue()
        """Steps for the loop from other threads."""
        self._threads = Threads()
        self._next_tick = self._next_renewal = self._reap_from = 0.0
        self._troubles = 0

    @classmethod
    def for_accounts(
        cls, opened: Sequence[OpenAccount], redis: Redis, settings: Settings, *, name: str | None = None
    ) -> SesqWorker:
        """Makes a worker for accounts that are open already."""
        worker = cls(_queues_of(opened), name, connection=redis)
        worker._serve(opened, settings)
        return worker

    def _serve(self, opened: Sequence[OpenAccount], settings: Settings) -> None:
        self.settings, served = settings, _queues_of(opened)
        self.queues = [queue for queue in self.queues if queue.name in served]
        self.accounts = [
            AccountWorker(each, self.name, settings.concurrency, self._threads, self._inbox.put)
            for each in opened
        ]
        for account in self.accounts:
            account.rest_seconds = min(max(POLL_SECONDS, len(opened) / LOOKS_A_SECOND), MOST_REST_SECONDS)
            self.wake_channels[account.gate.keys.wake] = account.on_wake_signal

    # the loop ---------------------------------------------------------------------------------------------------

    def work(
        self,
        burst: bool = False,
        logging_level: str | None = None,
        date_format: str = DEFAULT_LOGGING_DATE_FORMAT,
        log_format: str = DEFAULT_LOGGING_FORMAT,
        max_jobs: int | None = None,
        max_idle_time: int | None = None,
        with_scheduler: bool = False,
        dequeue_strategy: str | None = None,
    ) -> bool:
        """Works until it is told to stop; with `burst`, until no more mail can go now. Returns whether mail was sent.

        The arguments are RQ's. RQ's worker pool always asks for a scheduler, and names no strategy.
        """
        refuse_options(
            max_jobs=max_jobs,
            max_idle_time=max_idle_time,
            strategy=dequeue_strategy or DequeueStrategy.DEFAULT,
            scheduler=with_scheduler and dequeue_strategy is not None,
        )
        if logging_level is not None:
            setup_loghandlers(logging_level, date_format, log_format, name="sesq")
        if not self.accounts:
            self._open_accounts()
        self._install_signal_handlers()  # type: ignore[no-untyped-call]
        self._start()
        try:
            while not self._stop_requested and not (burst and self._nothing_left()):
                self._work_once()
            if burst and not self._stop_requested:
                self._say_what_waits_on()
            self._wind_up()
        finally:
            self.take_leave(redis_is_away=bool(self._troubles))
        return self.successful_job_count > 0

    def _open_accounts(self) -> None:
        settings = Settings.load()
        opened = when_redis_serves(lambda: open_accounts(self.connection, settings, self.lanes))
        self._serve(opened, settings)

    def _start(self) -> None:
        while not (self._stop_requested or self._is_registered()):
            pass

    def _is_registered(self) -> bool:
        try:
            self.register()
        except QueueUnavailable as error:
            if not may_pass(error):
                raise
            self._wait_for_redis(error)
            return False
        self._troubles = 0
        log.info("worker %s: started for %s", self.name, ", ".join(self.queue_names()))
        return True

    def _work_once(self) -> None:
        try:
            self._renew_leases()
            self._exchange()
            self._tick()
            if not self.suspended:
                self._claim()
            self._troubles = 0
        except QueueUnavailable as error:
            self._wait_for_redis(error)
        self._receive(self._until_next())

    @property
    def _in_flight(self) -> int:
        return sum(len(account.in_flight) for account in self.accounts)

    def _nothing_left(self) -> bool:
        return all(account.is_idle for account in self.accounts) and (
            self.suspended or all(account.can_send_nothing_now for account in self.accounts)
        )

    def _say_what_waits_on(self) -> None:
        """Logs why mail is left at the end of a burst."""
        for account in self.accounts:
            why = SUSPENDED if self.suspended else WAITS_ON.get(account.answer)
            if why:
                log.warning("worker %s: account %s: what is queued waits: %s", self.name, account.name, why)

    def _until_next(self) -> float:
        """Returns the seconds until the next thing to do, if no signal comes before."""
        if any(account.has_work for account in self.accounts):
            return 0.0
        times = [self._next_tick, *(account.look_at for account in self.accounts)]
        if not self.suspended:
            times += [account.asks_at for account in self.accounts]
        return max(0.0, min(times) - time.monotonic())

    def _receive(self, timeout: float) -> None:
        """Waits for a step from another thread, and takes all steps that are there."""
        try:
            self._inbox.get(block=timeout > 0, timeout=timeout)()
            if any(account.may_gather for account in self.accounts):
                time.sleep(GATHER_SECONDS)
            while True:
                self._inbox.get_nowait()()
        except Empty:
            return

    def _wait_for_redis(self, error: QueueUnavailable) -> None:
        wait = BACKOFF_SECONDS[min(self._troubles, len(BACKOFF_SECONDS) - 1)]
        self._troubles += 1
        # leases of living workers may end meanwhile: it reaps nothing until they have had time to renew them
        self._reap_from = time.monotonic() + self.settings.lease_seconds
        log.warning("worker %s: %s; trying again in %.1f s", self.name, error, wait)
        deadline, stopping = time.monotonic() + wait, self._stop_requested
        while self._stop_requested == stopping and (left := deadline - time.monotonic()) > 0:
            self._receive(left)
        for account in self.accounts:
            account.ask_at = 0.0

    def _exchange(self) -> None:
        for account in self.accounts:
            self.successful_job_count += account.exchange()

    def _claim(self) -> None:
        for account in self.accounts:
            if time.monotonic() >= account.asks_at:
                for id in account.claim(self.settings.lease_seconds):
                    self.turn_away(id)
                # at once: to claim for all accounts first would take longer than a grant is valid
                self.successful_job_count += account.exchange()

    # once a second, or more rarely for accounts at rest ---------------------------------------------------------

    def _tick(self) -> None:
        now = time.monotonic()
        if now >= self._next_tick:
            self._next_tick = now + TICK_SECONDS
            self.tell_rq(busy=self._in_flight > 0)
        due = [account for account in self.accounts if now >= account.look_at]
        for account in due:
            account.look_at = now + TICK_SECONDS
        if due:
            self._threads.run_once("look", partial(self._look_after, due, now >= self._reap_from))

    def _look_after(self, due: Sequence[AccountWorker], reaps: bool) -> None:
        for account in due:
            account.look_after(reaps=reaps)
            self._threads.run_once(f"sync {account.name}", account.sync)

    def _renew_leases(self) -> None:
        if time.monotonic() < self._next_renewal:
            return
        self._next_renewal = time.monotonic() + self.settings.lease_seconds / 3
        until = redis_now(self.connection) + self.settings.lease_seconds
        for account in self.accounts:
            account.renew(until)

    # what others tell it to do ----------------------------------------------------------------------------------

    def request_stop(self, _signum: int, _frame: FrameType | None) -> None:
        """Stops at the first SIGTERM or SIGINT, as `stop` does."""
        signal.signal(signal.SIGINT, self.request_force_stop)
        signal.signal(signal.SIGTERM, self.request_force_stop)
        self.stop()

    def stop(self) -> None:
        """Stops the loop: messages on their way are finished, the others stay in their queues. Safe in any thread."""
        self._stop_requested = True
        self._inbox.put(lambda: None)

    def request_force_stop(self, _signum: int, _frame: FrameType | None) -> None:
        """Ends the process at the second signal. Messages on their way are reaped, as after a crash."""
        raise SystemExit(1)

    def _wind_up(self) -> None:
        """Puts back messages that no thread has begun, waits for those on their way, and settles both."""
        log.info("worker %s: stopping; %d on their way", self.name, self._in_flight)
        for account in self.accounts:
            account.put_back("its worker stopped")
        deadline = time.monotonic() + SHUTDOWN_SECONDS
        while self._in_flight and time.monotonic() < deadline:
            try:
                self._exchange()
                self._renew_leases()
                self._troubles = 0
            except QueueUnavailable as error:
                self._wait_for_redis(error)
            self._receive(min(0.1, max(0.0, deadline - time.monotonic())))
        deadline = time.monotonic() + SYNC_END_SECONDS
        while self._threads.going_on and time.monotonic() < deadline:
            time.sleep(SYNC_LOOK_SECONDS)


def _queues_of(opened: Sequence[OpenAccount]) -> list[str]:
    return [account.gate.keys.queue(lane) for account in opened for lane in account.lanes]
