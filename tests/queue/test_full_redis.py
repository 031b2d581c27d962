"""While Redis is full, what is on its way is written down, and what is due goes: only new mail is refused."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from redis import Redis

from agreement import assert_agreement
from batch_stage import BatchStage
from sesq.config.errors import QueueUnavailable
from sesq.queue.results import SendResult
from sesq.queue.states import State
from stage import Stage, sent


@contextmanager
def full(redis: Redis) -> Iterator[None]:
    redis.config_set("maxmemory", 1)
    try:
        yield
    finally:
        redis.config_set("maxmemory", 0)


def test_scheduled_mail_that_is_due_comes_into_its_lane(redis: Redis) -> None:
    # Given three messages that are due, and a Redis that is full
    stage = Stage(redis)
    ids = [stage.queue() for _ in range(3)]
    for id in ids:
        stage.messages.reschedule(id, stage.now + 10, "me")
    stage.pass_time(100)
    # When a worker looks for what is due
    with full(redis):
        stage.gate.promote()
    # Then all wait in their lane, and in no schedule
    assert {stage.state(id) for id in ids} == {State.QUEUED}
    assert_agreement(redis)


@pytest.mark.parametrize("state", [State.SENT, State.HELD, State.RETRYING, State.REFUSED])
def test_what_became_of_a_mail_is_written_down(redis: Redis, state: State) -> None:
    stage = Stage(redis)
    id = stage.queue()
    _, (started,) = stage.claim()
    held = {"hold": "person", "held_because": "a person"} if state is State.HELD else {}
    with full(redis):
        assert stage.gate.settle([SendResult(started.grant, state, "why", delay=60.0, **held)]) == [state]
    assert stage.state(id) is state
    assert_agreement(redis)


def test_what_became_of_rows_is_written_down(redis: Redis) -> None:
    stage = BatchStage(redis)
    taken = stage.take(3)
    _, started = stage.claim(3)
    with full(redis):
        stage.gate.settle([sent(each.grant, f"m{i}") for i, each in enumerate(started)])
    assert stage.batches.get(taken.id).state == "done"
    assert_agreement(redis)


def test_a_scheduled_message_can_be_cancelled(redis: Redis) -> None:
    stage = Stage(redis)
    id = stage.queue()
    stage.messages.reschedule(id, stage.now + 1000, "me")
    with full(redis):
        stage.messages.cancel(id, "me")
    assert stage.state(id) is State.CANCELLED
    assert_agreement(redis)


def test_new_mail_is_refused(redis: Redis) -> None:
    stage = Stage(redis)
    with full(redis), pytest.raises(QueueUnavailable):
        stage.queue()
    assert stage.messages.list() == []
