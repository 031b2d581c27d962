"""One account at a worker: its desk, its pool of threads, and the mail in hand. What one waits for, no other does.

A message is granted, started (from then on it may have left) when a thread is free for it or will be in a moment, and
its result written to Redis. So of a worker that is killed little more is in doubt than what was on its way.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from itertools import islice, takewhile

from sesq.queue.grants import Grant
from sesq.queue.results import SendResult, put_back
from sesq.queue.states import State
from sesq.worker.desk import Desk
from sesq.worker.result_log import log_result
from sesq.worker.send_pool import SendPool
from sesq.worker.sending import NOT_IN_TURN
from sesq.worker.threads import Threads

AHEAD_SECONDS = 0.05
"""A worker holds so much more than its threads can send at once, so that they need not wait for the next claim."""

STARTED_AHEAD_SECONDS = 0.008
"""What leaves within this time is started already: where SES answers at once, a thread would wait for each one."""


class Station:
    """For one thread, which talks to Redis. `report` is called in others, with what is to be heard."""

    def __init__(
        self,
        desk: Desk,
        size: int,
        worker: str,
        report: Callable[[Station, SendResult], None],
        threads: Threads,
    ) -> None:
        self.desk = desk
        self.pool = SendPool(size, worker, desk.sender, lambda result: report(self, result), threads)
        self.granted: deque[Grant] = deque()
        self.unsettled: list[SendResult] = []
        self.in_flight: set[Grant] = set()
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
        return self.pool.size + self.desk.pace.in_seconds(AHEAD_SECONDS)

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
        claim = self.desk.claim(self._worker, self.places - len(self.in_flight), lease)
        self.in_flight.update(claim.grants)
        self.granted += claim.grants
        return claim.unknown_jobs

    def hear(self, result: SendResult) -> None:
        """What became of a message, from the thread that had it."""
        self.pool.heard()
        if result.reason == NOT_IN_TURN:
            self.desk.distance.count_unused(1)
        self.unsettled.append(result)

    def exchange(self) -> int:
        """Writes down what became of messages, and starts those that are due: how many were sent.

        What Redis did not take stays to be settled, and to be started.
        """
        self._return_unused()
        results, due = self.unsettled, self._due()
        if not results and not due:
            return 0
        settled, started = self.desk.gate.exchange(results, due)
        self.unsettled = []
        if any(result.refund_rate for result in results):
            self.desk.wake(limits_changed=True)  # tokens have come back before their time
        for _ in due:
            self.granted.popleft()
        for each in started:
            self.pool.send(each)
        self.in_flight.difference_update(set(due) - {each.grant for each in started})
        return self._settled(settled)

    def _due(self) -> list[Grant]:
        """As many as threads are free for, or will be in a moment."""
        room = self.pool.free + self.desk.pace.in_seconds(STARTED_AHEAD_SECONDS)
        return list(islice(self.granted, max(0, room)))

    def _settled(self, results: list[SendResult]) -> int:
        for result in results:
            self.in_flight.discard(result.grant)
            log_result(self.desk.name, result)
        if results:
            self.desk.pace.count(len(results), time.monotonic())
        return sum(result.state is State.SENT for result in results)

    def _return_unused(self) -> None:
        """While SES keeps all threads waiting, others may send what was granted."""
        now = time.monotonic()
        unused = list(takewhile(lambda grant: now > grant.use_by, self.granted))
        for _ in unused:
            self.granted.popleft()
        self._give_back([*(each.grant for each in self.pool.take_back_stale()), *unused], NOT_IN_TURN)

    def put_back(self, reason: str) -> None:
        """Gives back all that no thread has looked at."""
        waiting = [*(each.grant for each in self.pool.take_back()), *self.granted]
        self.granted.clear()
        self._give_back(waiting, reason)

    def _give_back(self, grants: Sequence[Grant], reason: str) -> None:
        """Each goes to the head of its lane, so the last one first."""
        if reason == NOT_IN_TURN:
            self.desk.distance.count_unused(len(grants))
        self.unsettled += [put_back(grant, reason) for grant in reversed(grants)]

    def renew(self, until: float) -> None:
        """Keeps the leases of what is in its hands, until a time by Redis's clock."""
        self.desk.gate.renew(self.in_flight, until)
