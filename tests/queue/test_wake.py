"""Whatever puts mail where it may go rings the bell of the workers that wait: they need not look by themselves."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timezone

import pytest
from redis import Redis

from batch_stage import BatchStage
from sesq.queue.audit import repair
from sesq.queue.fitting import free_fitting
from sesq.queue.results import SendResult, put_back
from sesq.queue.states import Lane, State
from sesq.worker.reconcile import SETTLED_SECONDS, reconcile
from sesq.worker.verdicts import Kind
from stage import says

HOLD = "recipient:ada@example.org"
URGENT, BULK, LIMITS = b"urgent", b"", b"policy"
"""What is said: there may be urgent mail, there is bulk mail, and limits have changed."""

Act = Callable[[], object]


def at(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, timezone.utc)


@pytest.fixture
def stage(redis: Redis) -> BatchStage:
    return BatchStage(redis)


def heard(stage: BatchStage, act: Act) -> list[bytes]:
    with stage.redis.pubsub(ignore_subscribe_messages=True) as bell:
        bell.subscribe(stage.keys.wake)
        bell.get_message(timeout=5)
        act()
        stage.redis.publish(stage.keys.wake, "end")
        words = []
        while (message := bell.get_message(timeout=5)) is None or message["data"] != b"end":
            if message is not None:
                words.append(message["data"])
        return words


def answered(stage: BatchStage, kind: Kind, hold: str | None = None, **options: object) -> str:
    id = stage.queue(**options)  # type: ignore[arg-type]
    stage.transport.answer(*[says(kind, hold)] * 3)
    stage.work()
    stage.transport._answers.clear()
    return id


def queued(stage: BatchStage) -> Act:
    return lambda: stage.queue()


def queued_for_bulk(stage: BatchStage) -> Act:
    return lambda: stage.queue(lane=Lane.BULK)


def scheduled(stage: BatchStage) -> Act:
    return lambda: stage.queue(send_at=at(stage.now + 60))


def rescheduled(stage: BatchStage) -> Act:
    id = stage.queue(send_at=at(stage.now + 600))
    return lambda: stage.messages.reschedule(id, stage.now + 60, "ada")


def due(stage: BatchStage) -> Act:
    stage.queue(send_at=at(stage.now + 60), lane=Lane.BULK)
    stage.queue(send_at=at(stage.now + 60))
    stage.pass_time(61)
    return lambda: stage.gate.promote((Lane.BULK, Lane.TRANSACTIONAL))


def due_bulk(stage: BatchStage) -> Act:
    stage.queue(send_at=at(stage.now + 60), lane=Lane.BULK)
    stage.pass_time(61)
    return lambda: stage.gate.promote()


def released(stage: BatchStage) -> Act:
    id = answered(stage, Kind.UNVERIFIED_RECIPIENT, HOLD)
    return lambda: stage.messages.release(id, "ada")


def retried(stage: BatchStage) -> Act:
    id = answered(stage, Kind.REFUSED, lane=Lane.BULK)
    return lambda: stage.messages.retry(id, "ada")


def resolved(stage: BatchStage) -> Act:
    id = answered(stage, Kind.UNKNOWN)
    return lambda: stage.messages.resolve(id, "queued", "ada")


def freed(stage: BatchStage) -> Act:
    answered(stage, Kind.UNVERIFIED_RECIPIENT, HOLD)
    return lambda: stage.messages.free(HOLD, "verified")


def tried_again(stage: BatchStage) -> Act:
    answered(stage, Kind.UNVERIFIED_RECIPIENT, HOLD)
    return lambda: stage.messages.try_one(HOLD, "a try")


def fits_now(stage: BatchStage) -> Act:
    stage.sync(daily=5.0)
    id = stage.queue([f"p{i}@example.org" for i in range(10)])
    stage.claim()
    assert stage.state(id) == "held"
    stage.sync(daily=50.0)
    return lambda: free_fitting(stage.redis, "default")


def given_back(stage: BatchStage) -> Act:
    stage.queue()
    claim, _ = stage.claim()
    return lambda: stage.gate.settle([put_back(claim.grants[0], "later")])


def bulk_given_back(stage: BatchStage) -> Act:
    stage.queue(lane=Lane.BULK)
    claim, _ = stage.claim()
    return lambda: stage.gate.settle([put_back(claim.grants[0], "later")])


def row_given_back(stage: BatchStage) -> Act:
    stage.take(2)
    claim, _ = stage.claim()
    return lambda: stage.gate.settle([put_back(claim.grants[0], "later")])


def row_tried_again(stage: BatchStage) -> Act:
    taken = stage.take(2)
    claim, _ = stage.claim()
    stage.gate.settle([SendResult(claim.grants[0], State.FAILED, "no")])
    return lambda: stage.messages.retry(f"{taken.id}-0-0", "ada")


def batch_taken(stage: BatchStage) -> Act:
    return lambda: stage.take(2)


def batch_resumed(stage: BatchStage) -> Act:
    taken = stage.take(2)
    stage.batches.pause(taken.id, "a look")
    stage.claim()
    return lambda: stage.batches.resume(taken.id)


def chunks_unparked(stage: BatchStage) -> Act:
    """The process died that resumed the batch, before it had put its chunks back."""
    taken = stage.take(2)
    stage.batches.pause(taken.id, "a look")
    stage.claim()
    stage.batches._change(taken.id, "resume", "", ["paused"])
    return lambda: stage.batches.unpark(taken.id)


def limit_set(stage: BatchStage) -> Act:
    return lambda: stage.policy.set({"rate": "4"}, by="ada")


def paused(stage: BatchStage) -> Act:
    return lambda: stage.policy.pause("a look", by="ada")


def others_send_less(stage: BatchStage) -> Act:
    stage.sync(sent=100.0)
    return lambda: stage.sync(sent=50.0)


def sent_by_others_alone(stage: BatchStage) -> Act:
    stage.sync(sent=50.0)
    return lambda: stage.sync(sent=100.0)


def leaves_the_sandbox(stage: BatchStage) -> Act:
    stage.sync(production=0)
    return lambda: stage.sync()


def another_rate(stage: BatchStage) -> Act:
    return lambda: stage.sync(rate=50.0)


def reconciled(stage: BatchStage) -> Act:
    id = stage.queue()
    stage.redis.lrem("rq:queue:sesq.default.transactional", 0, id)
    stage.pass_time(SETTLED_SECONDS + 1)
    return lambda: reconcile(stage.redis, "default")


def repaired(stage: BatchStage) -> Act:
    id = stage.queue()
    stage.redis.lrem("rq:queue:sesq.default.transactional", 0, id)
    return lambda: repair(stage.redis, sleep=lambda _: None)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (queued, {URGENT}),
        (queued_for_bulk, {BULK}),
        (scheduled, {URGENT}),
        (rescheduled, {URGENT}),
        (due, {URGENT}),
        (due_bulk, {BULK}),
        (released, {URGENT}),
        (retried, {BULK}),
        (resolved, {URGENT}),
        (freed, {URGENT}),
        (tried_again, {URGENT}),
        (fits_now, {URGENT}),
        (given_back, {URGENT}),
        (bulk_given_back, {BULK}),
        (row_given_back, {BULK}),
        (row_tried_again, {BULK}),
        (batch_taken, {BULK}),
        (batch_resumed, {BULK}),
        (chunks_unparked, {BULK}),
        (limit_set, {LIMITS}),
        (paused, {LIMITS}),
        (others_send_less, {LIMITS}),
        (sent_by_others_alone, set()),
        (leaves_the_sandbox, {LIMITS}),
        (another_rate, {LIMITS}),
        (reconciled, {URGENT}),
        (repaired, {URGENT}),
    ],
)
def test_the_bell_rings(stage: BatchStage, given: Callable[[BatchStage], Act], said: set[bytes]) -> None:
    assert set(heard(stage, given(stage))) == said
