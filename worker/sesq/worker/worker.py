"""The worker: claims, takes and sends many messages at once from one process.

One thread talks to Redis: it claims, begins and settles in pipelines. The threads of its crew talk to SES, and what
became of the mail comes back through `_inbox`, as does what wakes the worker. A message is begun when a thread is free
for it, or will be in a moment, so that of a worker that is killed little more is in doubt than what was on its way.
"""

from __future__ import annotations

import logging
import queue
import signal
import threading
import time
from collections import deque
from collections.abc import Sequence
from itertools import chain, islice, takewhile
from operator import attrgetter
from types import FrameType
from typing import Any

from redis import Redis

from sesq.config.chronicle import Chronicle
from sesq.config.errors import QueueUnavailable
from sesq.config.settings import Settings
from sesq.config.snapshot import redis_now
from sesq.config.states import State
from sesq.worker.courier import NOT_IN_TURN, Outcome
from sesq.worker.crew import Crew, Order
from sesq.worker.desk import NOTHING_NOW, Desk
from sesq.worker.gate import Claim, Name
from sesq.worker.registered import RegisteredWorker
from sesq.worker.telling import tell_outcome

log = logging.getLogger("sesq.worker")

TICK_SECONDS = 1.0
SHUTDOWN_SECONDS = 30.0
SYNC_END_SECONDS = 5.0
BACKOFF_SECONDS = (0.1, 0.5, 1.0, 2.0)

AHEAD_SECONDS = 0.05
"""A worker holds so much more than its threads can send at once, so that they need not wait for the next claim."""

BEGUN_AHEAD_SECONDS = 0.008
"""What leaves within this time is begun already: where SES answers at once, a thread would wait for each single one."""
GATHER_SECONDS = 0.003
"""While the threads have begun mail before them, answers are gathered so long: one round trip tells of all of them."""

WAKE, URGENT, NEW_LIMITS, STOP = object(), object(), object(), object()
BELLS = {b"urgent": URGENT, b"policy": NEW_LIMITS}


class SesqWorker(RegisteredWorker):
    """Sends the mail of one or more accounts."""

    def __init__(
        self, desks: Sequence[Desk], redis: Redis, settings: Settings, *, name: str | None = None
    ) -> None:
        self.desks = list(desks)
        self.settings = settings
        self.concurrency = settings.concurrency
        names = [desk.gate.keys.queue(lane) for desk in desks for lane in desk.lanes]
        bells = {desk.gate.keys.wake: self._on_bell for desk in desks}
        super().__init__(redis, names, bells, name=name)
        self._inbox: queue.SimpleQueue[tuple[Desk, Outcome] | object] = queue.SimpleQueue()
        self._crew = Crew(settings.concurrency, self.name, self._inbox.put)
        self._granted: dict[str, deque[Order]] = {desk.name: deque() for desk in desks}
        self._in_flight: dict[Name, Desk] = {}
        self._unsettled: list[tuple[Desk, Outcome]] = []
        self._next_tick = self._next_renewal = self._judge_from = 0.0
        self._first = 0
        self._troubles = 0
        self._syncing: dict[str, threading.Thread] = {}

    # the loop ---------------------------------------------------------------------------------------------------

    def work(self, burst: bool = False, *_: Any, **__: Any) -> bool:
        """Works until told to stop; with `burst` until nothing is left that could go now. True where mail was sent."""
        self.register()
        self._install_signal_handlers()  # type: ignore[no-untyped-call]
        self._crew.start()
        log.info("worker %s: started for %s", self.name, ", ".join(self.queue_names()))
        try:
            while not self._stop_requested and not (burst and self._nothing_left()):
                self._turn()
            self._wind_up()
        finally:
            self.take_leave(redis_is_away=bool(self._troubles))
        return self.successful_job_count > 0

    def _turn(self) -> None:
        try:
            self._exchange()
            self._renew_leases()
            self._tick()
            if not self.suspended:
                self._claim()
                self._exchange()
            self._troubles = 0
        except QueueUnavailable as error:
            self._wait_for_redis(error)
        self._receive(self._until_next())

    def _nothing_left(self) -> bool:
        idle = not self._in_flight and not self._unsettled
        return idle and (
            self.suspended
            or all(
                desk.answer in NOTHING_NOW or (desk.answer == "unsynced" and desk.sync.failed)
                for desk in self.desks
            )
        )

    def _until_next(self) -> float:
        """Seconds until something is to be done without being woken."""
        if self._unsettled or any(self._due(desk) for desk in self.desks):
            return 0.0
        now = time.monotonic()
        times = [self._next_tick]
        if not self.suspended:
            wanted = ((desk, self._wanted(desk)) for desk in self.desks)
            times += [now if self._may_ask(desk, n) else desk.ask_at for desk, n in wanted if n > 0]
        return max(0.0, min(times) - now)

    def _receive(self, timeout: float) -> None:
        """Waits for an outcome or a wake-up, and takes in all that is there."""
        try:
            item = self._inbox.get(timeout=timeout) if timeout > 0 else self._inbox.get_nowait()
            if isinstance(item, tuple) and self._crew.backlog:
                time.sleep(GATHER_SECONDS)
            while True:
                self._take_in(item)
                item = self._inbox.get_nowait()
        except queue.Empty:
            return

    def _take_in(self, item: tuple[Desk, Outcome] | object) -> None:
        if isinstance(item, tuple):
            self._crew.heard(item[0])
            self._unsettled.append(item)
        elif item is not STOP:
            if item is NEW_LIMITS:
                self._next_tick = 0.0
            for desk in self.desks:
                desk.wake(urgent=item is URGENT, limits_changed=item is NEW_LIMITS)

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

    # claiming ---------------------------------------------------------------------------------------------------

    def _places(self) -> int:
        """One a thread, and what the threads will take before the next question."""
        return self.concurrency + sum(desk.pace.in_seconds(AHEAD_SECONDS) for desk in self.desks)

    def _most(self, desk: Desk) -> int:
        """How many of this account the worker may hold: what is the others' is not for it, whose SES may be slower."""
        others = [each for each in self.desks if each is not desk]
        return max(1, self._places() - sum(1 + each.pace.in_seconds(AHEAD_SECONDS) for each in others))

    def _wanted(self, desk: Desk) -> int:
        """How many more of this account fit."""
        own = list(self._in_flight.values()).count(desk)
        return min(self._places() - len(self._in_flight), self._most(desk) - own)

    def _in_turn(self) -> list[Desk]:
        """The accounts, each time another one first: where places are short, none takes them all."""
        self._first = (self._first + 1) % len(self.desks)
        return self.desks[self._first :] + self.desks[: self._first]

    def _may_ask(self, desk: Desk, wanted: int) -> bool:
        """After a full answer a question is worth it when half the places are free, or the quantum is over."""
        if wanted <= 0:
            return False
        return time.monotonic() >= desk.ask_at or (desk.answer == "full" and wanted >= self._most(desk) / 2)

    def _claim(self) -> None:
        for desk in self._in_turn():
            wanted = self._wanted(desk)
            if not self._may_ask(desk, wanted):
                continue
            claim, granted_at = desk.claim(self.name, wanted, self.settings.lease_seconds)
            self._note(desk, claim, granted_at, claim.ids)
            rows = desk.slices.read(claim.execution, claim.slices)
            self._note(desk, claim, granted_at, [row.id for row in rows])
            for id in claim.strangers:
                self.turn_away(id)

    def _note(self, desk: Desk, claim: Claim, granted_at: float, ids: Sequence[str]) -> None:
        orders = [Order(desk, id, claim.execution, granted_at) for id in ids]
        self._in_flight.update((order.name, desk) for order in orders)
        self._granted[desk.name] += orders

    # what goes, and what became of it ---------------------------------------------------------------------------

    def _exchange(self) -> None:
        """Writes down what became of messages, and begins those that are due.

        What Redis did not take stays to be told, and to be begun.
        """
        self._return_unused()
        for desk in self.desks:
            outcomes = [outcome for at, outcome in self._unsettled if at is desk]
            orders = self._due(desk)
            if outcomes or orders:
                self._exchange_at(desk, outcomes, orders)

    def _due(self, desk: Desk) -> list[Order]:
        """As many as threads are free for, or will be in a moment. One thread is left to each other account."""
        room, others = self._crew.free, len(self.desks) - 1
        if others:
            room = min(room, max(1, self.concurrency - others) - self._crew.busy_with(desk))
        else:
            room += desk.pace.in_seconds(BEGUN_AHEAD_SECONDS)
        return list(islice(self._granted[desk.name], max(0, room)))

    def _exchange_at(self, desk: Desk, outcomes: list[Outcome], orders: list[Order]) -> None:
        became, may_leave = desk.exchange(outcomes, [order.name for order in orders])
        self._unsettled = [told for told in self._unsettled if told[0] is not desk]
        self._settled(desk, became)
        if any(outcome.get("refund_rate") for outcome in outcomes):
            desk.wake(limits_changed=True)  # tokens have come back before their time
        begun = {(message.id, message.execution): message for message in may_leave}
        for order in orders:
            self._granted[desk.name].popleft()
            if message := begun.get(order.name):
                self._crew.send(order, message)
            else:
                self._in_flight.pop(order.name, None)

    def _settled(self, desk: Desk, outcomes: list[Outcome]) -> None:
        sent = 0
        for outcome in outcomes:
            self._in_flight.pop((outcome["id"], outcome["execution"]), None)
            sent += outcome["to"] == State.SENT
            tell_outcome(desk.name, outcome)
        self.successful_job_count += sent
        if outcomes:
            desk.pace.count(len(outcomes), time.monotonic())

    def _return_unused(self) -> None:
        """While SES keeps all threads waiting, others may send what was granted."""
        stale = self._crew.take_back_stale()
        for granted in self._granted.values():
            unused = list(takewhile(attrgetter("is_stale"), granted))
            for _ in unused:
                granted.popleft()
            stale += unused
        self._give_back(stale)

    def _give_back(self, orders: Sequence[Order], reason: str = NOT_IN_TURN) -> None:
        """Each goes to the head of its lane, so the last one first."""
        self._unsettled += [(order.desk, order.put_back(reason)) for order in reversed(orders)]

    # once a second ----------------------------------------------------------------------------------------------

    def _tick(self) -> None:
        now = time.monotonic()
        if now < self._next_tick:
            return
        self._next_tick = now + TICK_SECONDS
        self.tell_rq(busy=bool(self._in_flight))
        for desk in self.desks:
            desk.rules.refresh()
            moved, due = desk.gate.promote(desk.lanes)
            if moved:
                desk.wake()
            if due is not None:
                self._next_tick = min(self._next_tick, now + max(0.02, due))
            desk.slices.pack()
            if now >= self._judge_from:
                desk.judge(self.name)
        self._sync()

    def _renew_leases(self) -> None:
        if time.monotonic() < self._next_renewal:
            return
        self._next_renewal = time.monotonic() + self.settings.lease_seconds / 3
        until = redis_now(self.connection) + self.settings.lease_seconds
        for desk in self.desks:
            desk.renew([name for name, at in self._in_flight.items() if at is desk], until)

    def _sync(self) -> None:
        """Account sync waits for SES, so each account's has a thread of its own."""
        for desk in self.desks:
            syncing = self._syncing.get(desk.name)
            if syncing is None or not syncing.is_alive():
                syncing = threading.Thread(target=self._sync_one, args=(desk,), name="sync", daemon=True)
                self._syncing[desk.name] = syncing
                syncing.start()

    def _sync_one(self, desk: Desk) -> None:
        try:
            if desk.sync.run_if_due():
                Chronicle(self.connection, desk.name).note()
        except QueueUnavailable as error:
            log.debug("worker %s: sync of account %s: %s", self.name, desk.name, error)

    # what others tell it to do ----------------------------------------------------------------------------------

    def _on_bell(self, message: dict[str, Any]) -> None:
        self._inbox.put(BELLS.get(message["data"], WAKE))

    def request_stop(self, _signum: int, _frame: FrameType | None) -> None:
        """The first SIGTERM or SIGINT: what is in flight ends, the rest stays in its place."""
        signal.signal(signal.SIGINT, self.request_force_stop)
        signal.signal(signal.SIGTERM, self.request_force_stop)
        self._stop_requested = True
        self._inbox.put(STOP)

    def request_force_stop(self, _signum: int, _frame: FrameType | None) -> None:
        """The second one: stop at once; what was in flight is judged as after a crash."""
        raise SystemExit(1)

    def _wind_up(self) -> None:
        """Gives back what no thread has begun, waits for what is on its way, and writes both down."""
        log.info("worker %s: stopping; %d on their way", self.name, len(self._in_flight))
        self._put_back_unbegun()
        deadline = time.monotonic() + SHUTDOWN_SECONDS
        while self._in_flight and time.monotonic() < deadline:
            try:
                self._exchange()
                self._renew_leases()
                self._troubles = 0
            except QueueUnavailable as error:
                self._wait_for_redis(error)
            self._receive(min(0.1, max(0.0, deadline - time.monotonic())))
        self._crew.dismiss()
        deadline = time.monotonic() + SYNC_END_SECONDS
        for syncing in self._syncing.values():
            syncing.join(max(0.0, deadline - time.monotonic()))

    def _put_back_unbegun(self) -> None:
        waiting = [*self._crew.take_back(), *chain.from_iterable(self._granted.values())]
        for granted in self._granted.values():
            granted.clear()
        self._give_back(waiting, "its worker stopped")
