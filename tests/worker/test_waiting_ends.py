"""What waits ends some day, keeps its order, and its record does not grow for ever."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest
from redis import Redis

from agreement import assert_agreement
from sesq.queue.states import Lane, State
from stage import START, Stage


@pytest.fixture
def stage(redis: Redis) -> Stage:
    return Stage(redis)


def at(seconds: float) -> datetime:
    return datetime.fromtimestamp(START + seconds, timezone.utc)


def test_a_held_message_expires_where_it_is_held(stage: Stage) -> None:
    # Given a message for a recipient that is not verified, good for an hour
    stage.sync(identities={"example.com": True}, production=0)
    stage.rules.refresh()
    id = stage.queue(expires_at=at(3600))
    stage.work()
    assert stage.state(id) is State.HELD
    # When the hour has passed, then it has expired, and nothing waits for that recipient any more
    stage.pass_time(3601)
    stage.gate.promote()
    assert stage.state(id) is State.EXPIRED
    assert stage.messages.holds() == {}
    assert_agreement(stage.redis)


def test_a_queued_one_expires_in_its_queue_and_one_that_was_let_off_does_not(stage: Stage) -> None:
    stage.policy.pause("for a while", by="test")
    gone, kept = stage.queue(expires_at=at(60)), stage.queue(expires_at=at(60))
    stage.pass_time(61)
    stage.redis.hset(stage.keys.message(kept), "expires_at", "")
    stage.gate.promote()
    assert (stage.state(gone), stage.state(kept)) == (State.EXPIRED, State.QUEUED)
    assert_agreement(stage.redis)


def test_what_the_dead_had_not_begun_stands_in_its_order_again(stage: Stage) -> None:
    ids = [stage.queue() for _ in range(5)]
    claim = stage.gate.claim("w", "x-1", want=5, lease=10)
    assert list(claim.ids) == ids
    stage.pass_time(11)
    stage.reap()
    queue = stage.redis.lrange(f"rq:queue:{stage.keys.queue(Lane.TRANSACTIONAL)}", 0, -1)
    assert [id.decode() for id in queue] == ids
    assert_agreement(stage.redis)


def test_what_a_day_had_no_room_for_goes_once_it_has(stage: Stage) -> None:
    # Given a day of ten, and a message to twenty
    stage.policy.set({"daily": "10"}, by="test")
    id = stage.queue(to=[f"person{i}@example.org" for i in range(20)])
    assert stage.gate.claim("w", "x-1", want=5, lease=10).ids == ()
    assert "room for 10" in stage.status(id).reason
    # When somebody raises the limit, then it may go
    stage.policy.set({"daily": "100"}, by="test")
    assert stage.gate.claim("w", "x-2", want=5, lease=10).ids == (id,)
    assert_agreement(stage.redis)


def test_a_history_keeps_its_end_and_not_all_of_it(stage: Stage) -> None:
    id = stage.queue()
    for number in range(300):
        due = stage.now + 60 + number
        stage.messages.reschedule(id, due, f"somebody, for the {number}. time")
    history = stage.status(id).history
    assert "for the 299. time" in history[-1].reason
    assert len(stage.redis.hget(stage.keys.message(id), "history")) < 9000
    assert [event.at for event in history] == sorted(event.at for event in history)


def test_a_clock_that_was_set_back_stops_nothing(stage: Stage) -> None:
    # Given a rate of one a second, and mail that has gone
    stage.sync(rate=1.0)
    ids = [stage.queue() for _ in range(5)]
    stage.pass_time(30)
    assert len(stage.work()) == 1
    # When Redis's clock is set back by an hour
    stage.pass_time(-3600)
    # Then the rest goes in its time
    for _ in range(10):
        stage.pass_time(1)
        stage.work()
    assert [stage.state(id) for id in ids] == [State.SENT] * 5


def test_what_was_put_into_its_queue_before_it_was_due_waits_for_its_time(stage: Stage) -> None:
    # Given a scheduled message that RQ's scheduler, by a clock that goes fast, has put into its queue
    id = stage.queue(send_at=at(600))
    queue = stage.keys.queue(Lane.TRANSACTIONAL)
    stage.redis.zrem(f"rq:scheduled:{queue}", id)
    stage.redis.rpush(f"rq:queue:{queue}", id)
    # When a worker meets it, Then it is scheduled again
    assert stage.work() == []
    assert_agreement(stage.redis)
    # and goes when it is due
    stage.pass_time(600)
    stage.gate.promote()
    stage.work()
    assert stage.state(id) is State.SENT
