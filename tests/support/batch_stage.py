"""A stage for tests that send batches."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from redis import Redis

from batch import template
from sesq.producer.batch.batch_intake import BatchIntake, numbered, take
from sesq.producer.batch.request import batch_request
from sesq.queue.batch import Batch
from sesq.queue.batch_upkeep import tend_batches
from sesq.queue.batches import Batches
from sesq.queue.grants import Claim, Started
from sesq.queue.results import SendResult
from stage import Stage

QUEUE = "rq:queue:sesq.default.bulk"


class BatchStage(Stage):
    """A stage that takes batches and sends their mail."""

    def __init__(self, redis: Redis, **orders: Any) -> None:
        super().__init__(redis, **orders)
        self.batches = Batches(redis)
        self.ticks = 0.0
        """The time (s) for the caches of rows and templates."""
        self.gate.rows.clock = self.sender.renderer.clock = lambda: self.ticks

    def take(
        self, count: int, *, rows: Iterable[dict[str, Any]] | None = None, key: str = "k", **options: Any
    ) -> BatchIntake:
        made = ({"email": f"p{i}@example.org", "name": f"P{i}"} for i in range(count))
        again = options.pop("again", False)
        request = batch_request(template(), "shop@example.com", key, **options)
        return take(self.redis, request, numbered(made if rows is None else rows), again=again)

    def grant(self, want: int) -> tuple[Claim, list[Started]]:
        return self.claim(want)

    def send(self, want: int) -> list[SendResult]:
        _, started = self.grant(want)
        results = [self.sender.send_message(each) for each in started]
        self.gate.settle(results)
        return results

    def pack(self) -> None:
        tend_batches(self.redis, "default")

    def send_all(self) -> None:
        while self.send(50):
            self.pass_time(1)

    def counts(self, id: str) -> dict[str, int]:
        return {state.value: count for state, count in self.batches.get(id).counts.items() if count}

    def fates(self, id: str) -> Counter[str]:
        return Counter(each.state.value for each in self.batches.recipients(id))

    def waiting(self) -> list[str]:
        return [id.decode() for id in self.redis.lrange(QUEUE, 0, -1)]

    def batch(self, intake: BatchIntake) -> Batch:
        return self.batches.get(intake.id)
