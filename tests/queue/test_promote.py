"""From the schedule into the lane: to the moment, in order, each once."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest
from redis import Redis

from agreement import assert_agreement
from sesq.queue.states import Lane, State
from sesq.worker.verdicts import Kind
from stage import Stage, says


@pytest.fixture
def stage(redis: Redis) -> Stage:
    return Stage(redis)


def later(stage: Stage, seconds: float) -> datetime:
    return datetime.fromtimestamp(stage.now + seconds, timezone.utc)


def test_it_waits_until_its_moment_and_says_for_how_long(stage: Stage) -> None:
    assert stage.gate.promote() == (0, None)
    id = stage.queue(send_at=later(stage, 90))
    stage.queue(send_at=later(stage, 200), lane="bulk")
    assert stage.state(id) is State.SCHEDULED
    assert stage.claim()[0].reason == "empty"
    assert stage.gate.promote() == (0, 90.0)
    stage.pass_time(89.999)
    assert stage.gate.promote()[0] == 0
    stage.pass_time(0.001)
    assert stage.gate.promote() == (1, 110.0)
    assert [b.id for b in stage.claim()[1]] == [id]


def test_what_is_due_already_is_queued_at_once(stage: Stage) -> None:
    assert stage.state(stage.queue(send_at=later(stage, 0))) is State.QUEUED
    assert_agreement(stage.redis)


def test_in_the_order_of_their_times_behind_what_waits(stage: Stage) -> None:
    third = stage.queue(send_at=later(stage, 30))
    second = stage.queue(send_at=later(stage, 20))
    first = stage.queue()
    stage.pass_time(30)
    assert stage.gate.promote() == (2, None)
    assert_agreement(stage.redis)
    assert [b.id for b in stage.claim()[1]] == [first, second, third]


def test_each_lane_by_itself_and_only_those_asked_for(stage: Stage) -> None:
    urgent = stage.queue(send_at=later(stage, 10))
    bulk = stage.queue(send_at=later(stage, 10), lane="bulk")
    stage.pass_time(10)
    assert stage.gate.promote([Lane.BULK]) == (1, None)
    assert (stage.state(urgent), stage.state(bulk)) == (State.SCHEDULED, State.QUEUED)


def test_many_at_once_in_portions(stage: Stage) -> None:
    for _ in range(5):
        stage.queue(send_at=later(stage, 10))
    stage.pass_time(10)
    assert stage.gate.promote(most=3) == (3, 0.0)
    assert stage.gate.promote(most=3) == (2, None)
    assert_agreement(stage.redis)


def test_what_was_tried_before_comes_back_to_the_head(stage: Stage) -> None:
    again = stage.queue()
    stage.transport.answer(says(Kind.THROTTLED))
    stage.work()
    scheduled = stage.queue(send_at=later(stage, 1))
    waiting = stage.queue()
    stage.pass_time(600)
    stage.gate.promote()
    assert [b.id for b in stage.claim()[1]] == [again, waiting, scheduled]


def test_what_is_no_longer_waiting_is_not_brought_back(stage: Stage) -> None:
    """Somebody wrote into RQ's registry by hand."""
    id = stage.queue()
    stage.work()
    stage.redis.zadd("rq:scheduled:sesq.default.transactional", {id: 1, "nobody": 1})
    assert stage.gate.promote() == (0, None)
    assert stage.state(id) is State.SENT
    assert_agreement(stage.redis)


def test_a_message_that_is_scheduled_before_all_others_wakes_who_looks_rarely(stage: Stage) -> None:
    with stage.redis.pubsub(ignore_subscribe_messages=True) as signals:
        signals.subscribe(stage.keys.wake)
        signals.get_message(timeout=5)
        stage.queue(send_at=later(stage, 20))
        assert signals.get_message(timeout=5)
        last = stage.queue(send_at=later(stage, 30))
        assert signals.get_message(timeout=0) is None
        stage.outbox.reschedule(last, later(stage, 10))
        assert signals.get_message(timeout=5)


def test_it_rings_the_bell_only_when_something_came(stage: Stage) -> None:
    stage.queue(send_at=later(stage, 10))
    with stage.redis.pubsub(ignore_subscribe_messages=True) as signals:
        signals.subscribe(stage.keys.wake)
        signals.get_message(timeout=5)
        stage.gate.promote()
        assert signals.get_message(timeout=0) is None
        stage.pass_time(10)
        stage.gate.promote()
        assert signals.get_message(timeout=5)


def test_a_time_that_runs_out_is_the_records_whatever_the_list_of_them_says(stage: Stage) -> None:
    id = stage.queue(expires_at=later(stage, 600))
    stage.redis.zadd(stage.keys.expiring, {id: stage.now - 1})
    stage.gate.promote()
    assert stage.state(id) is State.QUEUED


def test_what_has_expired_keeps_no_due_mail_waiting(stage: Stage) -> None:
    # Given three messages that expire before anybody looks, and two that are due after them
    expired = [stage.queue(expires_at=later(stage, 50)) for _ in range(3)]
    due = [stage.queue() for _ in range(2)]
    for id in [*expired, *due]:
        stage.messages.reschedule(id, stage.now + (10 if id in expired else 20), "me")
    stage.pass_time(100)
    # When a worker looks once, at three of each at most
    stage.gate.promote(most=3)
    # Then those that are due have come into their lane
    assert {stage.state(id) for id in expired} == {State.EXPIRED}
    assert {stage.state(id) for id in due} == {State.QUEUED}
    assert_agreement(stage.redis)
