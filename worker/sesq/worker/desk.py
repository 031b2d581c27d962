"""One account's side of a worker: its gate, its sender, and when to ask the gate again."""

from __future__ import annotations

import itertools
import logging
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from redis import Redis

from sesq.config.settings import AccountSettings, Settings
from sesq.queue.batch_upkeep import tend_batches
from sesq.queue.gate import Gate
from sesq.queue.grants import Claim
from sesq.queue.policy import KNOBS
from sesq.queue.states import Lane
from sesq.worker.distance import UNUSED_SECONDS, WINDOW_SECONDS, Distance
from sesq.worker.doors import open_doors
from sesq.worker.pace import Pace
from sesq.worker.retry import RetryPolicy
from sesq.worker.rules import Rules
from sesq.worker.sending import Sender, SendingPolicy
from sesq.worker.sync import AccountSync
from sesq.worker.transports.client import AwsClients

log = logging.getLogger("sesq.worker")

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
    """One account, served. Not for several threads, except the sender."""

    name: str
    gate: Gate
    sender: Sender
    rules: Rules
    sync: AccountSync
    lanes: Sequence[Lane] = tuple(Lane)
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
        self.distance = Distance(self.name)

    def claim(self, worker: str, want: int, lease: float) -> Claim:
        """Asks the gate for up to `want` messages."""
        asked_at = time.monotonic()
        if self.answer == "rate" and self.ask_at:
            self.distance.count_late(asked_at - self.ask_at)
        claim = self.gate.claim(worker, self._new_claim_id(), want=want, lease=lease, lanes=self.lanes)
        self.answer, self.waits_for_bulk = claim.reason, claim.for_bulk
        answered_at = time.monotonic()
        self.ask_at = answered_at + self._pause(claim)
        if claim.grants and not self.rules.snapshot.known:
            self.rules.refresh()
        if claim.grants:
            self.rules.suppressed = claim.suppressed
        self.distance.count(len(claim.grants))
        use_by = self.distance.granted_at(asked_at, answered_at) + UNUSED_SECONDS
        return replace(claim, grants=tuple(replace(grant, use_by=use_by) for grant in claim.grants))

    def _new_claim_id(self) -> str:
        return f"{self._prefix}-{next(self._serial)}"

    def upkeep(self, worker: str, *, reaps: bool) -> None:
        """What is to be done for batches; and, with `reaps`, what dead workers left behind, told in the log."""
        tend_batches(self.gate.redis, self.name)
        if not reaps:
            return
        policy = self.sender.policy
        reaped = self.gate.reap(
            worker,
            self._new_claim_id(),
            lease=self.sender.lease,
            on_unknown=policy.on_unknown,
            max_attempts=policy.retry.max_attempts,
        )
        for id, state in reaped:
            told = {"id": id, "account": self.name, "state": state.value}
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
    sender = Sender(
        gate, transport, rules, sending_policy(settings, name), lease=settings.lease_seconds, sleep=sleep
    )
    sync = AccountSync(redis, name, ses, region, settings.sync_seconds, settings.on_restore)
    return Desk(name, gate, sender, rules, sync, lanes)


def sending_policy(settings: Settings, name: str = "default") -> SendingPolicy:
    """What the settings say about mail that cannot simply go."""
    return SendingPolicy(
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
