"""One account at a worker: its desk, its crew, and the mail in their hands. What one waits for, no other does.

A message is granted, begun (from then on it may have left) when a thread is free for it or will be in a moment, and its
outcome told to Redis. So of a worker that is killed little more is in doubt than what was on its way.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from itertools import islice, takewhile
from operator import attrgetter

from sesq.queue.gate import Name
from sesq.queue.states import State
from sesq.worker.courier import NOT_IN_TURN, Outcome
from sesq.worker.crew import Crew, Order
from sesq.worker.desk import Desk
from sesq.worker.telling import tell_outcome
from sesq.worker.threads import Threads

AHEAD_SECONDS = 0.05
"""A worker holds so much more than its threads can send at once, so that they need not wait for the next claim."""

BEGUN_AHEAD_SECONDS = 0.008
"""What leaves within this time is begun already: where SES answers at once, a thread would wait for each single one."""


class Station:
    """For one thread, which talks to Redis. `tell` is called in others, with what is to be heard."""

    def __init__(
        self, desk: Desk, size: int, worker: str, tell: Callable[[Station, Outcome], None], threads: Threads
    ) -> None:
        self.desk = desk
        self.crew = Crew(size, worker, desk.courier, lambda outcome: tell(self, outcome), threads)
        self.granted: deque[Order] = deque()
        self.unsettled: list[Outcome] = []
        self.in_flight: set[Name] = set()
        """What was granted and is not settled, wherever it is."""
        self._worker = worker

    @property
    def is_idle(self) -> bool:
        """Whether there is nothing in its hands."""
        return not self.in_flight and not self.unsettled

    @property
    def has_work(self) -> bool:
        """Whether there is something to exchange with Redis now."""
        return bool(self.unsettled or self._due())

    @property
    def places(self) -> int:
        """One a thread, and what the threads will take before the next question."""
        return self.crew.size + self.desk.pace.in_seconds(AHEAD_SECONDS)

    @property
    def asks_at(self) -> float:
        """When to ask the gate for more, if nothing happens before (monotonic).

        After a full answer a question is worth it when half the places are free, or the quantum is over.
        """
        wanted = self.places - len(self.in_flight)
        if wanted <= 0:
            return float("inf")
        return 0.0 if self.desk.answer == "full" and wanted >= self.places / 2 else self.desk.ask_at

    def claim(self, lease: float) -> tuple[str, ...]:
        """Asks the gate for as much as fits. Returns the jobs in the lanes that are not sesq's."""
        claim, granted_at = self.desk.claim(self._worker, self.places - len(self.in_flight), lease)
        self._note(claim.ids, claim.execution, granted_at)
        rows = self.desk.slices.read(claim.execution, claim.slices)
        self._note([row.id for row in rows], claim.execution, granted_at)
        return claim.strangers

    def _note(self, ids: Sequence[str], execution: str, granted_at: float) -> None:
        orders = [Order(id, execution, granted_at) for id in ids]
        self.in_flight.update(order.name for order in orders)
        self.granted += orders

    def hear(self, outcome: Outcome) -> None:
        """What became of an order, from the thread that had it."""
        self.crew.heard()
        if outcome.get("reason") == NOT_IN_TURN:
            self.desk.distance.count_unused(1)
        self.unsettled.append(outcome)

    def exchange(self) -> int:
        """Writes down what became of messages, and begins those that are due: how many were sent.

        What Redis did not take stays to be told, and to be begun.
        """
        self._return_unused()
        outcomes, orders = self.unsettled, self._due()
        if not outcomes and not orders:
            return 0
        became, may_leave = self.desk.exchange(outcomes, [order.name for order in orders])
        self.unsettled = []
        if any(outcome.get("refund_rate") for outcome in outcomes):
            self.desk.wake(limits_changed=True)  # tokens have come back before their time
        begun = {(message.id, message.execution): message for message in may_leave}
        for order in orders:
            self.granted.popleft()
            if message := begun.get(order.name):
                self.crew.send(order, message)
            else:
                self.in_flight.discard(order.name)
        return self._settled(became)

    def _due(self) -> list[Order]:
        """As many as threads are free for, or will be in a moment."""
        room = self.crew.free + self.desk.pace.in_seconds(BEGUN_AHEAD_SECONDS)
        return list(islice(self.granted, max(0, room)))

    def _settled(self, outcomes: list[Outcome]) -> int:
        for outcome in outcomes:
            self.in_flight.discard((outcome["id"], outcome["execution"]))
            tell_outcome(self.desk.name, outcome)
        if outcomes:
            self.desk.pace.count(len(outcomes), time.monotonic())
        return sum(outcome["to"] == State.SENT for outcome in outcomes)

    def _return_unused(self) -> None:
        """While SES keeps all threads waiting, others may send what was granted."""
        stale = self.crew.take_back_stale()
        unused = list(takewhile(attrgetter("is_stale"), self.granted))
        for _ in unused:
            self.granted.popleft()
        self._give_back(stale + unused, NOT_IN_TURN)

    def put_back(self, reason: str) -> None:
        """Gives back all that no thread has looked at."""
        waiting = [*self.crew.take_back(), *self.granted]
        self.granted.clear()
        self._give_back(waiting, reason)

    def _give_back(self, orders: Sequence[Order], reason: str) -> None:
        """Each goes to the head of its lane, so the last one first."""
        if reason == NOT_IN_TURN:
            self.desk.distance.count_unused(len(orders))
        self.unsettled += [order.put_back(reason) for order in reversed(orders)]

    def renew(self, until: float) -> None:
        """Keeps the leases of what is in its hands, until a time by Redis's clock."""
        self.desk.renew(list(self.in_flight), until)
