"""Does one account's share of a worker's loop: asks the gate, starts messages, and writes down their results.

A message is granted. It is started when a thread is free for it, or will be in a moment. Then its result is written to
Redis. A started message may have left. So if a worker is killed, hardly more messages become unknown than those that
were on their way to SES.
"""

from __future__ import annotations

import itertools
import logging
import os
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from itertools import islice, takewhile
from typing import Any

from sesq.queue.batch_progress import note_progress
from sesq.queue.batch_upkeep import tend_batches
from sesq.queue.depth_history import DepthHistory
from sesq.queue.grants import Claim, Grant
from sesq.queue.results import SendResult, put_back
from sesq.queue.states import Lane, State
from sesq.worker.opening import OpenAccount
from sesq.worker.pace import Pace
from sesq.worker.result_log import log_results
from sesq.worker.round_trip import UNUSED_SECONDS, WINDOW_SECONDS, RoundTrip
from sesq.worker.send_pool import SendPool
from sesq.worker.sending import NOT_IN_TURN
from sesq.worker.threads import Task, Threads

log = logging.getLogger("sesq.worker")

TICK_SECONDS = 1.0
POLL_SECONDS = 1.0
"""Mail wakes an account at rest. This interval is for mail that comes without a signal, such as by `rq requeue`."""
LONGEST_SLEEP_SECONDS = 30.0
PAUSES_SECONDS = {"full": 0.04, "more": 0.0, "unsynced": 0.25}
"""How long after these answers to claim again. After `full` it is sooner, as soon as half the places are free."""
SOONEST_SECONDS = 0.02

NOTHING_NOW = frozenset({"empty", "day", "tenant_day", "paused", "ses_paused"})
"""Answers that mean that no more mail can go now, so that `--burst` ends."""

AHEAD_SECONDS = 0.1
"""A worker holds the mail of so much time beyond its threads, so that these need not wait for the next claim."""

STARTED_AHEAD_SECONDS = 0.016
"""Mail that leaves within this time is started already. If SES answers fast, threads would wait for each start."""


class AccountWorker:
    """Claims, starts and settles the mail of one account. One account's wait does not delay another account.

    Only the loop's thread calls it, except for `look_after`, `sync` and `on_wake_signal`. Other threads hand their
    results in with `in_loop`, as a step for the loop.
    """

    def __init__(
        self, account: OpenAccount, worker: str, size: int, threads: Threads, in_loop: Callable[[Task], None]
    ) -> None:
        self.name, self.gate, self.lanes = account.name, account.gate, account.lanes
        self.account = account
        self.pool = SendPool(
            size, worker, account.sender, lambda result: in_loop(partial(self.take_in, result)), threads
        )
        self.granted: deque[Grant] = deque()
        self.unsettled: list[SendResult] = []
        self.in_flight: set[Grant] = set()
        """All grants that are not settled."""
        self.answer = ""
        """The reason in the gate's last answer."""
        self.ask_at = 0.0
        """When to claim again (monotonic)."""
        self.look_at = 0.0
        """When to do the upkeep that no signal starts: schedule, dead workers, sync (monotonic)."""
        self.rest_seconds = POLL_SECONDS
        """How often to do the upkeep, and to claim, while it is at rest."""
        self.pace = Pace()
        self.round_trip = RoundTrip(self.name)
        self._worker = worker
        self._in_loop = in_loop
        self._wakes = 0
        """How many wake signals have come."""
        self._waits_for_bulk = False
        """Whether it waits for tokens for bulk mail only."""
        self._measure_at = 0.0
        self._claim_ids = map(f"{os.urandom(4).hex()}-{{}}".format, itertools.count())

    @property
    def is_idle(self) -> bool:
        """Whether it holds no grant and no result."""
        return not self.in_flight and not self.unsettled

    @property
    def can_send_nothing_now(self) -> bool:
        """Whether no more mail can go now by the gate's answer, or SES does not describe the account."""
        return self.answer in NOTHING_NOW or (self.answer == "unsynced" and self.account.sync.failures > 0)

    @property
    def has_work(self) -> bool:
        """Whether results are to be settled, or messages to be started now."""
        return bool(self.unsettled or self._due())

    @property
    def may_gather(self) -> bool:
        """Whether results may wait a moment for more results, because the threads still have started mail."""
        return bool(self.unsettled and self.pool.backlog)

    # claiming ---------------------------------------------------------------------------------------------------

    @property
    def places(self) -> int:
        """The number of messages that it may hold: one for each thread, and those that leave before the next claim."""
        return self.pool.size + self.pace.in_seconds(AHEAD_SECONDS)

    @property
    def asks_at(self) -> float:
        """The time of the next claim, if nothing happens before (monotonic).

        After `full` it claims when half the places are free, or the pause is over.
        """
        wanted = self.places - len(self.in_flight)
        if wanted <= 0:
            return float("inf")
        return 0.0 if self.answer == "full" and wanted >= self.places / 2 else self.ask_at

    def claim(self, lease: float) -> tuple[str, ...]:
        """Claims as many messages as it may hold more. Returns the jobs in the lanes that are not sesq's."""
        asked_at, want = time.monotonic(), self.places - len(self.in_flight)
        if self.answer == "rate" and self.ask_at:
            self.round_trip.count_late(asked_at - self.ask_at)
        claim = self.gate.claim(self._worker, next(self._claim_ids), want=want, lease=lease, lanes=self.lanes)
        answered_at = time.monotonic()
        self.answer, self._waits_for_bulk = claim.reason, claim.for_bulk
        self.ask_at = answered_at + self._pause(claim)
        self._take(claim, self.round_trip.granted_at(asked_at, answered_at) + UNUSED_SECONDS)
        return claim.unknown_jobs

    def _take(self, claim: Claim, use_by: float) -> None:
        if claim.grants:
            rules = self.account.rules
            if not rules.snapshot.known:
                rules.refresh()
            rules.suppressed = claim.suppressed
        grants = [replace(grant, use_by=use_by) for grant in claim.grants]
        self.round_trip.count(len(grants))
        self.in_flight.update(grants)
        self.granted += grants

    def _pause(self, claim: Claim) -> float:
        if claim.reason == "empty":
            return self.rest_seconds
        return PAUSES_SECONDS.get(claim.reason, min(claim.wait, LONGEST_SLEEP_SECONDS))

    def on_wake_signal(self, signal: dict[str, Any]) -> None:
        """Makes the loop claim again. `wake.lua` lists the kinds of signals."""
        self._in_loop(partial(self._heed, signal["data"]))

    def _heed(self, kind: bytes) -> None:
        look_at = 0.0 if kind == b"policy" else time.monotonic() + TICK_SECONDS
        self.look_at = min(self.look_at, look_at)
        self._wakes += 1
        self.wake(urgent=kind == b"urgent", limits_changed=kind == b"policy")

    def wake(self, *, urgent: bool = False, limits_changed: bool = False) -> None:
        """Lets the loop claim again, because mail may be able to go now.

        A worker that waits for a token goes on waiting, because the gate told it the time. But if it waits for tokens
        for bulk mail, and urgent mail has come, it claims again: urgent mail may need fewer tokens.
        """
        if (
            self.answer != "rate"
            or limits_changed
            or (urgent and self._waits_for_bulk and Lane.TRANSACTIONAL in self.lanes)
        ):
            self.ask_at = 0.0

    # starting and settling --------------------------------------------------------------------------------------

    def take_in(self, result: SendResult) -> None:
        """Takes the result of a message from the thread that had it."""
        self.pool.heard()
        if result.reason == NOT_IN_TURN:
            self.round_trip.count_unused(1)
        self.unsettled.append(result)

    def exchange(self) -> int:
        """Settles results and starts the messages that are due. Returns how many were sent.

        If Redis fails, results and grants are kept for the next call.
        """
        self._return_unused()
        results, due = self.unsettled, self._due()
        if not results and not due:
            return 0
        settled, started = self.gate.exchange(results, due)
        self.unsettled = []
        if any(result.refund_rate for result in results):
            self.wake(limits_changed=True)  # tokens have come back before their time
        for _ in due:
            self.granted.popleft()
        for each in started:
            self.pool.send(each)
        self.in_flight.difference_update(set(due) - {each.grant for each in started})
        return self._settled(settled)

    def _due(self) -> list[Grant]:
        """Returns the grants for which a thread is free, or will be in a moment."""
        room = self.pool.free + self.pace.in_seconds(STARTED_AHEAD_SECONDS)
        return list(islice(self.granted, max(0, room)))

    def _settled(self, results: list[SendResult]) -> int:
        for result in results:
            self.in_flight.discard(result.grant)
        log_results(self.name, results)
        if results:
            self.pace.count(len(results), time.monotonic())
        return sum(result.state is State.SENT for result in results)

    def _return_unused(self) -> None:
        """Puts back grants that waited too long for a thread, so that other workers may send them."""
        now = time.monotonic()
        unused = list(takewhile(lambda grant: now > grant.use_by, self.granted))
        for _ in unused:
            self.granted.popleft()
        self._give_back([*(each.grant for each in self.pool.take_back_stale()), *unused], NOT_IN_TURN)

    def put_back(self, reason: str) -> None:
        """Puts back all messages that no thread has begun with."""
        waiting = [*(each.grant for each in self.pool.take_back()), *self.granted]
        self.granted.clear()
        self._give_back(waiting, reason)

    def _give_back(self, grants: Sequence[Grant], reason: str) -> None:
        """Puts back unused grants. Each goes to the head of its lane, so the last one goes first."""
        if reason == NOT_IN_TURN:
            self.round_trip.count_unused(len(grants))
        self.unsettled += [put_back(grant, reason) for grant in reversed(grants)]

    def renew(self, until: float) -> None:
        """Renews the leases of all its grants until a time by Redis's clock (s)."""
        self.gate.renew(self.in_flight, until)

    # once a second, or more rarely at rest; in other threads ------------------------------------------------------

    def look_after(self, *, reaps: bool) -> None:
        """Does the upkeep: the schedule, batches and, with `reaps`, the mail of dead workers."""
        wakes = self._wakes
        self.account.rules.refresh()
        moved, due = self.gate.promote(self.lanes)
        self._in_loop(partial(self._looked, wakes, moved, due))
        tend_batches(self.gate.redis, self.name)
        if reaps:
            self._reap_expired()
        self._measure_bucket()

    def _looked(self, wakes: int, moved: int, due: float | None) -> None:
        """Decides when to do the upkeep again. `due`: seconds until the next scheduled message is due."""
        if moved:
            self.wake()
        at_rest = self.is_idle and self.answer in NOTHING_NOW
        if at_rest and self._wakes == wakes:
            self.look_at += self.rest_seconds - TICK_SECONDS
        if due is not None:
            self.look_at = min(self.look_at, time.monotonic() + max(SOONEST_SECONDS, due))

    def _reap_expired(self) -> None:
        sender = self.account.sender
        reaped = self.gate.reap(
            self._worker,
            next(self._claim_ids),
            lease=sender.lease,
            on_unknown=sender.policy.on_unknown,
            max_attempts=sender.policy.retry.max_attempts,
        )
        for id, state in reaped:
            told = {"id": id, "account": self.name, "state": state.value}
            log.warning("message %s: %s: its worker died", id, state, extra=told)

    def _measure_bucket(self) -> None:
        """Reads now and then how long the bucket gathers tokens, to know what a late claim would lose."""
        if time.monotonic() < self._measure_at:
            return
        usage = self.gate.usage()
        if usage.closed is None and usage.pace:
            self._measure_at = time.monotonic() + WINDOW_SECONDS
            self.round_trip.room_seconds = max(0.0, usage.burst - 1) / usage.pace

    def sync(self) -> None:
        """Syncs the account if that is due, and then notes how many wait and how far batches are."""
        if self.account.sync.run_if_due():
            DepthHistory(self.gate.redis, self.name).note()
            note_progress(self.gate.redis, self.name)
