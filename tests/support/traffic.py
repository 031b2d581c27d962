"""A simulation of workers, a network and the strictest SES, with the real gate. Its clock jumps from event to event."""

from __future__ import annotations

import heapq
import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count

from redis import Redis

from gate_model import StrictSes
from sesq.producer import Message, Outbox
from sesq.queue.gate import SYNC, Gate
from sesq.queue.grants import Grant
from sesq.queue.keys import CLOCK_OFFSET
from sesq.queue.policy import Policy
from sesq.queue.results import SendResult
from sesq.queue.states import Lane, State

START = 1_700_000_000.0
LEASE = 30.0
BOTH = tuple(Lane)


@dataclass
class Worker:
    """A worker. It asks the gate at `next_at`, and if `wakes`, whenever mail is queued in one of its lanes."""

    name: str
    lanes: tuple[Lane, ...] = BOTH
    next_at: float = 0.0
    wakes: bool = True


@dataclass
class Gone:
    """A mail that SES has taken."""

    id: str
    n: int
    lane: Lane
    queued: float
    at: float
    trip: float
    """The time from the grant to SES's answer (s)."""


@dataclass
class Traffic:
    redis: Redis
    rate: float
    round_trip: tuple[float, float] = (0.04, 0.04)
    """The shortest and the longest time from a grant to SES's answer (s)."""
    workers: list[Worker] = field(default_factory=lambda: [Worker("a"), Worker("b")])
    seed: int = 0
    policy: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.redis.flushall()
        self.dice = random.Random(self.seed)
        self.now = START
        self.gate, self.outbox = Gate(self.redis), Outbox(self.redis)
        self.ses = StrictSes(self.rate, -1, START)
        self.gone: list[Gone] = []
        self.throttled = 0
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._number = count()
        self._mail: dict[str, tuple[int, Lane, float]] = {}
        self._set_clock()
        account = {"rate": self.rate, "daily": -1, "sent": 0, "production": 1, "sending": 1, "readable": 1}
        SYNC.run(self.redis, "default", json.dumps({**account, "paused_because": "", "enforcement": ""}))
        if self.policy:
            Policy(self.redis).set(self.policy, by="test")
        for worker in self.workers:
            self._ask_at(START, worker)

    def queue(self, n: int, lane: Lane, tenant: str | None = None) -> str:
        to = [f"success+{i}@simulator.amazonses.com" for i in range(n)]
        id = self.outbox.send(
            Message(sender="a@example.com", to=to, subject="s", text="t", lane=lane, tenant=tenant)
        )
        self._mail[id] = (n, lane, self.now)
        for worker in self.workers:
            if worker.wakes and lane in worker.lanes:
                self._ask_at(self.now, worker)
        return id

    def queue_at(self, seconds: float, n: int, lane: Lane, tenant: str | None = None) -> None:
        """Queues a mail that many seconds after the start."""
        self._at(START + seconds, lambda: self.queue(n, lane, tenant) and None)

    def run(self, seconds: float) -> None:
        """Runs until that many seconds after the start."""
        while self._events and self._events[0][0] <= START + seconds:
            at, _, event = heapq.heappop(self._events)
            if at > self.now:
                self.now = at
                self._set_clock()
            event()
        self.now = START + seconds
        self._set_clock()

    def share_used(self, since: float = 0.0) -> float:
        """Returns the used share of the rate, from the first to the last of the largest mails after `since` (s)."""
        some = self._between_two_of_the_largest(since)
        return sum(gone.n for gone in some[:-1]) / (some[-1].at - some[0].at) / self.rate

    def share_usable(self, since: float = 0.0) -> float:
        """Returns that share of the best gate: it loses only time while mail is on its way and SES's bucket is full."""
        burst = self.ses.burst
        some = self._between_two_of_the_largest(since)[:-1]
        lost = sum(max(0.0, gone.trip - (burst - min(gone.n, burst)) / self.rate) for gone in some)
        sent = sum(gone.n for gone in some)
        return sent / (sent + lost * self.rate)

    def _between_two_of_the_largest(self, since: float) -> list[Gone]:
        late = [gone for gone in self.gone if gone.at >= START + since]
        largest = max(gone.n for gone in late)
        those = [i for i, gone in enumerate(late) if gone.n == largest]
        return late[those[0] : those[-1] + 1]

    def _ask_at(self, at: float, worker: Worker) -> None:
        worker.next_at = at
        self._at(at, lambda: self._ask(worker) if worker.next_at == at else None)

    def _ask(self, worker: Worker) -> None:
        claim_id = f"{worker.name}-{next(self._number)}"
        claim = self.gate.claim(worker.name, claim_id, want=20, lease=LEASE, lanes=worker.lanes)
        for grant in claim.grants:
            trip = self.dice.uniform(*self.round_trip)
            there = self.dice.uniform(0, trip)
            self._at(self.now + there, lambda id=grant.id, trip=trip: self._arrive(id, trip))  # type: ignore[misc]
            self._at(self.now + trip, lambda grant=grant: self._answer(grant))  # type: ignore[misc]
        worker.wakes = claim.reason == "empty" or claim.for_bulk
        worker.next_at = 0.0
        if claim.reason == "full":
            self._ask_at(self.now, worker)
        elif claim.reason != "empty":
            self._ask_at(self.now + max(claim.wait, 1e-4), worker)

    def _arrive(self, id: str, trip: float) -> None:
        n, lane, queued = self._mail[id]
        if self.ses.offer(n, 0, self.now) != "ok":
            self.throttled += 1
        self.gone.append(Gone(id, n, lane, queued, self.now, trip))

    def _answer(self, grant: Grant) -> None:
        self.gate.settle([SendResult(grant, State.SENT, message_id="m")])

    def _at(self, at: float, event: Callable[[], None]) -> None:
        heapq.heappush(self._events, (round(at, 4), next(self._number), event))

    def _set_clock(self) -> None:
        self.redis.set(CLOCK_OFFSET, f"={self.now:.6f}")
