"""One account's side of a worker: its gate, its courier, and when to ask the gate again."""

from __future__ import annotations

import itertools
import logging
import os
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any, TypeVar

from redis import Redis

from sesq.config.settings import AccountSettings, Settings
from sesq.queue.gate import Begun, Claim, Gate, Name
from sesq.queue.policy import KNOBS
from sesq.queue.states import Lane
from sesq.worker.courier import Courier, Orders, Outcome
from sesq.worker.distance import WINDOW_SECONDS, Distance
from sesq.worker.doors import open_doors
from sesq.worker.pace import Pace
from sesq.worker.retry import RetryPolicy
from sesq.worker.rules import Rules
from sesq.worker.slices import Slices
from sesq.worker.sync import AccountSync
from sesq.worker.transports.client import AwsClients

log = logging.getLogger("sesq.worker")

Thing = TypeVar("Thing")

POLL_SECONDS = 1.0
"""An account at rest is woken when mail comes; this is for what comes by other ways, such as `rq requeue`."""
LONGEST_SLEEP_SECONDS = 30.0
UNSYNCED_SECONDS = 0.25
QUANTUM_SECONDS = 0.04
"""A worker that got all it wanted asks again when half its places are free, or after this long."""

NOTHING_NOW = frozenset({"empty", "day", "paused", "ses_paused"})
"""Answers after which nothing more could go now: `--burst` ends."""


@dataclass(slots=True, eq=False)
class Desk:
    """One account, served. Not for several threads, except the courier."""

    name: str
    gate: Gate
    courier: Courier
    rules: Rules
    sync: AccountSync
    lanes: Sequence[Lane] = tuple(Lane)
    slices: Slices = field(init=False)
    ask_at: float = 0.0
    """When to ask the gate again, on `time.monotonic`."""
    answer: str = ""
    look_at: float = 0.0
    """When to look after what its mail does not wake anybody for: the schedule, dead workers, the sync (monotonic)."""
    rest_seconds: float = POLL_SECONDS
    """How often to do all that, and to ask the gate, while it is at rest."""
    wakes: int = 0
    """How often a bell has rung for it."""
    waits_for_bulk: bool = False
    """The tokens that it waits for are for bulk mail."""
    pace: Pace = field(default_factory=Pace)
    distance: Distance = field(init=False)
    _measure_at: float = 0.0
    _serial: itertools.count[int] = field(default_factory=itertools.count)
    _prefix: str = field(default_factory=lambda: os.urandom(4).hex())

    def __post_init__(self) -> None:
        self.slices = Slices(self.gate, self.courier.press)
        self.distance = Distance(self.name)

    def claim(self, worker: str, want: int, lease: float) -> tuple[Claim, float]:
        """Asks the gate for up to `want` messages: its answer, and from when its grants' time counts (monotonic)."""
        execution = f"{self._prefix}-{next(self._serial)}"
        asked_at = time.monotonic()
        if self.answer == "rate" and self.ask_at:
            self.distance.count_late(asked_at - self.ask_at)
        claim = self.gate.claim(worker, execution, want=want, lease=lease, lanes=self.lanes)
        self.answer, self.waits_for_bulk = claim.reason, claim.for_bulk
        answered_at = time.monotonic()
        self.ask_at = answered_at + self._pause(claim)
        if (claim.ids or claim.slices) and not self.rules.snapshot.known:
            self.rules.refresh()
        if claim.ids or claim.slices:
            self.rules.suppressed = claim.suppressed
        granted = len(claim.ids) + sum(piece.end - piece.start for piece in claim.slices)
        self.distance.count(granted)
        return claim, self.distance.granted_at(asked_at, answered_at)

    def exchange(
        self, outcomes: Sequence[Outcome], granted: Sequence[Name]
    ) -> tuple[list[Outcome], list[Begun]]:
        """Writes down what became of messages and rows, and takes the last look before others go.

        As a rule that is one round trip. Returns what really became of the former, and which of the latter may leave.
        """
        own, own_rows = self._rows_apart(outcomes, itemgetter("id", "execution"))
        messages, rows = self._rows_apart(granted, itemgetter(0, 1))
        reached, _, begun, begun_rows = self.gate.converse(
            self.gate.settling(own),
            self.slices.settling(own_rows),
            self.gate.beginning(messages),
            self.slices.beginning(rows),
        )
        came = [
            {**outcome, "to": state.value} if state else outcome
            for outcome, state in zip(own, reached, strict=True)
        ]
        return came + own_rows, begun + begun_rows

    def _rows_apart(
        self, things: Iterable[Thing], name: Callable[[Thing], Name]
    ) -> tuple[list[Thing], list[Thing]]:
        """Messages, and rows of slices here."""
        messages: list[Thing] = []
        rows: list[Thing] = []
        for thing in things:
            (rows if self.slices.owns(name(thing)) else messages).append(thing)
        return messages, rows

    def renew(self, names: Iterable[Name], until: float) -> None:
        """Keeps the leases of what is on its way, until a time by Redis's clock."""
        self.gate.renew([name[0] for name in names if not self.slices.owns(name)], until)
        self.slices.renew(until)

    def judge(self, worker: str) -> None:
        """Judges what dead workers left behind, and says so in the log."""
        orders = self.courier.orders
        policy: dict[str, Any] = {
            "on_unknown": orders.on_unknown,
            "max_attempts": orders.retry.max_attempts,
        }
        judged = self.gate.reap(**policy)
        judged += self.slices.judge(worker, lease=self.courier.lease, **policy)
        for id, state in judged:
            told = {"id": id, "account": self.name, "state": state}
            log.warning("message %s: %s: its worker died", id, state, extra=told)

    def _pause(self, claim: Claim) -> float:
        if claim.reason == "full":
            return QUANTUM_SECONDS
        if claim.reason == "more":
            return 0.0
        if claim.reason == "empty":
            return self.rest_seconds
        if claim.reason == "unsynced":
            return UNSYNCED_SECONDS
        return min(claim.wait, LONGEST_SLEEP_SECONDS)

    def measure_bucket(self) -> None:
        """How long the account's bucket gathers tokens, now and then: for what is lost when the gate is asked late."""
        if time.monotonic() < self._measure_at:
            return
        usage = self.gate.usage()
        if usage.closed is None and usage.pace:
            self._measure_at = time.monotonic() + WINDOW_SECONDS
            self.distance.room_seconds = max(0.0, usage.burst - 1) / usage.pace

    def wake(self, *, urgent: bool = False, limits_changed: bool = False) -> None:
        """Something may be able to go now. A worker that waits for its own token waits on: others have theirs.

        But not for the tokens of bulk mail, where urgent mail has come, which may need fewer.
        """
        if (
            self.answer != "rate"
            or limits_changed
            or (urgent and self.waits_for_bulk and Lane.TRANSACTIONAL in self.lanes)
        ):
            self.ask_at = 0.0


def open_desk(
    redis: Redis,
    name: str,
    settings: Settings,
    *,
    lanes: Sequence[Lane] = tuple(Lane),
    concurrency: int | None = None,
    sleep: Callable[[float], None] = time.sleep,
    clients: AwsClients | None = None,
) -> Desk:
    """A desk for a configured account. Raises SettingsError for one that is not, or that has no region."""
    transport, ses = open_doors(redis, name, settings, concurrency or settings.concurrency, sleep, clients)
    gate, region = Gate(redis, name), transport.region
    rules = Rules(redis, name, region)
    courier = Courier(
        gate, transport, rules, orders(settings, name), lease=settings.lease_seconds, sleep=sleep
    )
    sync = AccountSync(redis, name, ses, region, settings.sync_seconds, settings.on_restore)
    return Desk(name, gate, courier, rules, sync, lanes)


def orders(settings: Settings, name: str = "default") -> Orders:
    """What the settings say about mail that cannot simply go."""
    return Orders(
        on_unverified=settings.on_unverified,
        redirect_to=settings.redirect_to,
        on_unknown=settings.on_unknown,
        keep_content=settings.keep_content,
        configuration_set=settings.account(name).events.configuration_set,
        retry=RetryPolicy(max_attempts=settings.retry.max_attempts),
    )


def starting_limits(account: AccountSettings) -> dict[str, str]:
    """The limits of `sesq.toml` in the words of the live policy."""
    limits = {name: getattr(account, name) for name in KNOBS}
    return {name: str(value) for name, value in limits.items() if value is not None}
