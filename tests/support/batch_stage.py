"""A stage on which a batch is sent."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from redis import Redis

from batch import template
from sesq.producer.batch.order import batch_order
from sesq.producer.batch.taker import Intake, numbered, take
from sesq.queue.batches import Batch, Batches
from sesq.queue.gate import Begun, Claim
from sesq.worker.courier import Outcome
from sesq.worker.slices import Slices
from stage import LEASE, Stage

QUEUE = "rq:queue:sesq.default.bulk"


class BatchStage(Stage):
    """A stage on which a batch is sent."""

    def __init__(self, redis: Redis, **orders: Any) -> None:
        super().__init__(redis, **orders)
        self.slices = Slices(self.gate, self.courier.press)
        self.batches = Batches(redis)
        self.ticks = 0.0
        """Seconds on the press's clock."""
        self.courier.press.clock = lambda: self.ticks

    def take(
        self, count: int, *, rows: Iterable[dict[str, Any]] | None = None, key: str = "k", **options: Any
    ) -> Intake:
        made = ({"email": f"p{i}@example.org", "name": f"P{i}"} for i in range(count))
        again = options.pop("again", False)
        order = batch_order(template(), "shop@example.com", key, **options)
        return take(self.redis, order, numbered(made if rows is None else rows), again=again)

    def grant(self, want: int) -> tuple[Claim, list[Begun]]:
        self.claims += 1
        claim = self.gate.claim("w", f"x-{self.claims}", want=want, lease=LEASE)
        rows = self.slices.read(claim.execution, claim.slices)
        return claim, self.slices.begin(claim.execution, [row.id for row in rows])

    def send(self, want: int) -> list[Outcome]:
        _, begun = self.grant(want)
        outcomes = [self.courier.carry(each) for each in begun]
        self.slices.settle(outcomes)
        return outcomes

    def send_all(self) -> None:
        while self.send(50):
            self.pass_time(1)

    def counts(self, id: str) -> dict[str, int]:
        return {state.value: count for state, count in self.batches.get(id).counts.items() if count}

    def fates(self, id: str) -> Counter[str]:
        return Counter(each.state.value for each in self.batches.recipients(id))

    def waiting(self) -> list[str]:
        return [id.decode() for id in self.redis.lrange(QUEUE, 0, -1)]

    def batch(self, intake: Intake) -> Batch:
        return self.batches.get(intake.id)
