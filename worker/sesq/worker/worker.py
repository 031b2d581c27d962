"""The worker: claims and sends many messages at once from one process.

One thread talks to Redis: it claims, starts and settles in pipelines. Other threads, which the accounts share, talk to
SES, and what became of the mail comes back through `_inbox`, as does what wakes the worker.
"""

from __future__ import annotations

import logging
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass
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
from sesq.queue.chronicle import Chronicle
from sesq.queue.results import SendResult
from sesq.queue.snapshot import redis_now
from sesq.queue.usage import SUSPENDED
from sesq.worker.desk import NOTHING_NOW, POLL_SECONDS, Desk
from sesq.worker.opening import open_desks
from sesq.worker.rq_registration import Queues, RegisteredWorker, refuse_options
from sesq.worker.start import BACKOFF_SECONDS, when_redis_serves
from sesq.worker.station import Station
from sesq.worker.threads import Task, Threads

log = logging.getLogger("sesq.worker")

TICK_SECONDS = 1.0
LOOKS_A_SECOND = 10
MOST_REST_SECONDS = 10.0
"""Accounts at rest are looked after in turn: so many in a second, as long as each has its turn often enough."""
SHUTDOWN_SECONDS = 30.0
SYNC_END_SECONDS, SYNC_LOOK_SECONDS = 5.0, 0.01

GATHER_SECONDS = 0.003
"""While the threads have started mail before them, results are gathered so long: one round trip tells of all."""

WAITS_ON = {
    "day": "the day has no room for the next one",
    "paused": "the account is paused",
    "ses_paused": "SES sends nothing for the account",
    "unsynced": "SES did not describe the account",
}
"""Why nothing more of an account can go now, by the gate's answer."""

STOP = object()


@dataclass(frozen=True, slots=True)
class Bell:
    """Something may be able to go at a desk; see `wake` in lifecycle.lua for what the kinds are."""

    desk: Desk
    kind: bytes


@dataclass(frozen=True, slots=True)
class Looked:
    """What a look after an account found: how many messages came from the schedule, and in how long the next will."""

    station: Station
    wakes: int
    moved: int
    due: float | None


class SesqWorker(RegisteredWorker):
    """Sends the mail of one or more accounts. RQ gives it queues, from which it opens their accounts when it works."""

    def __init__(self, queues: Queues, name: str | None = None, **options: Any) -> None:
        super().__init__(queues, name, **options)
        self.desks: list[Desk] = []
        self.stations: list[Station] = []
        self._inbox: SimpleQueue[tuple[Station, SendResult] | object] = SimpleQueue()
        self._threads = Threads()
        self._next_tick = self._next_renewal = self._judge_from = 0.0
        self._troubles = 0
        self._going_on: set[str] = set()

    @classmethod
    def for_desks(
        cls, desks: Sequence[Desk], redis: Redis, settings: Settings, *, name: str | None = None
    ) -> SesqWorker:
        """A worker for accounts that are open already."""
        worker = cls(_queues_of(desks), name, connection=redis)
        worker._serve(desks, settings)
        return worker

    def _serve(self, desks: Sequence[Desk], settings: Settings) -> None:
        self.desks, self.settings = list(desks), settings
        served = _queues_of(desks)
        self.queues = [queue for queue in self.queues if queue.name in served]
        self.bells = {desk.gate.keys.wake: partial(self._on_bell, desk) for desk in desks}
        self.stations = [
            Station(desk, settings.concurrency, self.name, self._hand_in, self._threads) for desk in desks
        ]
        for desk in desks:
            desk.rest_seconds = min(max(POLL_SECONDS, len(desks) / LOOKS_A_SECOND), MOST_REST_SECONDS)

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
        """Works until told to stop; with `burst` until nothing is left that could go now. True where mail was sent.

        The arguments are RQ's. Its worker pool asks for a scheduler whatever it is told, and names no strategy.
        """
        refuse_options(
            max_jobs=max_jobs,
            max_idle_time=max_idle_time,
            strategy=dequeue_strategy or DequeueStrategy.DEFAULT,
            scheduler=with_scheduler and dequeue_strategy is not None,
        )
        if logging_level is not None:
            setup_loghandlers(logging_level, date_format, log_format, name="sesq")
        if not self.desks:
            self._open_accounts()
        self._install_signal_handlers()  # type: ignore[no-untyped-call]
        self._start()
        try:
            while not self._stop_requested and not (burst and self._nothing_left()):
                self._turn()
            if burst and not self._stop_requested:
                self._say_what_waits_on()
            self._wind_up()
        finally:
            self.take_leave(redis_is_away=bool(self._troubles))
        return self.successful_job_count > 0

    def _open_accounts(self) -> None:
        settings = Settings.load()
        self._serve(when_redis_serves(lambda: open_desks(self.connection, settings, self.lanes)), settings)

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

    def _turn(self) -> None:
        try:
            self._exchange()
            self._renew_leases()
            self._tick()
            if not self.suspended:
                self._claim()
            self._troubles = 0
        except QueueUnavailable as error:
            self._wait_for_redis(error)
        self._receive(self._until_next())

    @property
    def _in_flight(self) -> int:
        return sum(len(station.in_flight) for station in self.stations)

    def _nothing_left(self) -> bool:
        return all(station.is_idle for station in self.stations) and (
            self.suspended
            or all(
                desk.answer in NOTHING_NOW or (desk.answer == "unsynced" and desk.sync.failed)
                for desk in self.desks
            )
        )

    def _say_what_waits_on(self) -> None:
        """Why a burst ends before all is sent, where it does."""
        for desk in self.desks:
            why = SUSPENDED if self.suspended else WAITS_ON.get(desk.answer)
            if why:
                log.warning("worker %s: account %s: what is queued waits: %s", self.name, desk.name, why)

    def _until_next(self) -> float:
        """Seconds until something is to be done without being woken."""
        if any(station.has_work for station in self.stations):
            return 0.0
        times = [self._next_tick, *(desk.look_at for desk in self.desks)]
        if not self.suspended:
            times += [station.asks_at for station in self.stations]
        return max(0.0, min(times) - time.monotonic())

    def _hand_in(self, station: Station, result: SendResult) -> None:
        self._inbox.put((station, result))

    def _receive(self, timeout: float) -> None:
        """Waits for an outcome or a wake-up, and takes in all that is there."""
        try:
            item = self._inbox.get(timeout=timeout) if timeout > 0 else self._inbox.get_nowait()
            if isinstance(item, tuple) and item[0].pool.backlog:
                time.sleep(GATHER_SECONDS)
            while True:
                self._take_in(item)
                item = self._inbox.get_nowait()
        except Empty:
            return

    def _take_in(self, item: tuple[Station, SendResult] | object) -> None:
        if isinstance(item, tuple):
            station, result = item
            station.hear(result)
        elif isinstance(item, Bell):
            look_at = 0.0 if item.kind == b"policy" else time.monotonic() + TICK_SECONDS
            item.desk.look_at = min(item.desk.look_at, look_at)
            item.desk.wakes += 1
            item.desk.wake(urgent=item.kind == b"urgent", limits_changed=item.kind == b"policy")

        elif isinstance(item, Looked):
            self._take_in_look(item)

    def _take_in_look(self, look: Looked) -> None:
        """When to look again: at rest, where nothing has come or rung since."""
        station, desk = look.station, look.station.desk
        if look.moved:
            desk.wake()
        at_rest = station.is_idle and not look.moved and desk.answer in NOTHING_NOW
        if at_rest and desk.wakes == look.wakes:
            desk.look_at += desk.rest_seconds - TICK_SECONDS
        if look.due is not None:
            desk.look_at = min(desk.look_at, time.monotonic() + max(0.02, look.due))

    def _wait_for_redis(self, error: QueueUnavailable) -> None:
        wait = BACKOFF_SECONDS[min(self._troubles, len(BACKOFF_SECONDS) - 1)]
        self._troubles += 1
        # leases ran out meanwhile whose workers are alive: they get the time to say so
        self._judge_from = time.monotonic() + self.settings.lease_seconds
        log.warning("worker %s: %s; trying again in %.1f s", self.name, error, wait)
        deadline, stopping = time.monotonic() + wait, self._stop_requested
        while self._stop_requested == stopping and (left := deadline - time.monotonic()) > 0:
            self._receive(left)
        for desk in self.desks:
            desk.ask_at = 0.0

    def _exchange(self) -> None:
        for station in self.stations:
            self.successful_job_count += station.exchange()

    def _claim(self) -> None:
        for station in self.stations:
            if time.monotonic() >= station.asks_at:
                for id in station.claim(self.settings.lease_seconds):
                    self.turn_away(id)
                # at once: to ask for all accounts first would take longer than a grant is good for
                self.successful_job_count += station.exchange()

    # once a second, or more rarely for accounts at rest ---------------------------------------------------------

    def _tick(self) -> None:
        now = time.monotonic()
        if now >= self._next_tick:
            self._next_tick = now + TICK_SECONDS
            self.tell_rq(busy=self._in_flight > 0)
        due = [station for station in self.stations if now >= station.desk.look_at]
        for station in due:
            station.desk.look_at = now + TICK_SECONDS
        if due:
            self._start_once("look", partial(self._look_after, due, now >= self._judge_from))

    def _start_once(self, name: str, task: Task) -> None:
        """In another thread, unless it goes on from last time: it waits for Redis many times, or for SES."""
        if name not in self._going_on:
            self._going_on.add(name)
            self._threads.run(partial(self._go_on, name, task))

    def _go_on(self, name: str, task: Task) -> None:
        try:
            task()
        except QueueUnavailable as error:
            log.debug("worker %s: %s: %s", self.name, name, error)
        finally:
            self._going_on.discard(name)

    def _look_after(self, due: Sequence[Station], judges: bool) -> None:
        for station in due:
            self._look_after_one(station, judges)
            self._start_once(f"sync {station.desk.name}", partial(self._sync, station.desk))

    def _look_after_one(self, station: Station, judges: bool) -> None:
        desk, wakes = station.desk, station.desk.wakes
        desk.rules.refresh()
        moved, due = desk.gate.promote(desk.lanes)
        self._inbox.put(Looked(station, wakes, moved, due))
        desk.upkeep(self.name, reaps=judges)
        desk.measure_bucket()

    def _sync(self, desk: Desk) -> None:
        if desk.sync.run_if_due():
            Chronicle(self.connection, desk.name).note()

    def _renew_leases(self) -> None:
        if time.monotonic() < self._next_renewal:
            return
        self._next_renewal = time.monotonic() + self.settings.lease_seconds / 3
        until = redis_now(self.connection) + self.settings.lease_seconds
        for station in self.stations:
            station.renew(until)

    # what others tell it to do ----------------------------------------------------------------------------------

    def _on_bell(self, desk: Desk, message: dict[str, Any]) -> None:
        self._inbox.put(Bell(desk, message["data"]))

    def request_stop(self, _signum: int, _frame: FrameType | None) -> None:
        """The first SIGTERM or SIGINT: what is in flight ends, the rest stays in its place."""
        signal.signal(signal.SIGINT, self.request_force_stop)
        signal.signal(signal.SIGTERM, self.request_force_stop)
        self.stop()

    def stop(self) -> None:
        """What is in flight ends, the rest stays in its place. From any thread, and as often as you like."""
        self._stop_requested = True
        self._inbox.put(STOP)

    def request_force_stop(self, _signum: int, _frame: FrameType | None) -> None:
        """The second one: stop at once; what was in flight is judged as after a crash."""
        raise SystemExit(1)

    def _wind_up(self) -> None:
        """Gives back what no thread has begun, waits for what is on its way, and writes both down."""
        log.info("worker %s: stopping; %d on their way", self.name, self._in_flight)
        for station in self.stations:
            station.put_back("its worker stopped")
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
        while self._going_on and time.monotonic() < deadline:
            time.sleep(SYNC_LOOK_SECONDS)


def _queues_of(desks: Sequence[Desk]) -> list[str]:
    return [desk.gate.keys.queue(lane) for desk in desks for lane in desk.lanes]
