"""The gate's books on the raw keys: whatever a script does, and however it ends, what it changed is written back."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from redis import Redis

from batch_stage import BatchStage
from books import assert_sum, minutes, total
from redis_user import EVERYTHING, limited_client
from sesq.config.embedded import EmbeddedRedis
from sesq.config.errors import QueueUnavailable
from sesq.queue.envelope import Envelope
from sesq.queue.gate import SYNC, Gate
from sesq.queue.grants import Grant, Started
from sesq.queue.results import SendResult
from sesq.queue.states import Lane, State
from stage import LEASE, Stage

GONE = Started(Grant("gone", "x"), Envelope(sender=""), 0, 0, None)
DAY = 1442 * 60
"""After so many seconds no minute of the ledger counts any more."""


@pytest.fixture
def stage(redis: Redis) -> Stage:
    """200 recipients in 24 hours, 40 of them sent."""
    stage = Stage(redis)
    stage.sync(rate=100.0, daily=200.0)
    stage.pass_time(1)
    id = stage.queue([f"p{i}@example.org" for i in range(40)])
    stage.work()
    assert stage.state(id) == "sent"
    assert total(redis) == 40
    return stage


def pause(stage: Stage) -> None:
    stage.policy.pause("a look", by="test")


def sync_of_lost_books(stage: Stage) -> None:
    assert SYNC.run(stage.redis, "default", json.dumps({"books": "others"})) is None


def unsync(stage: Stage) -> None:
    stage.redis.delete(stage.keys.snapshot)


ENDS: dict[str, Callable[[Stage], object]] = {
    "a claim of nothing": lambda stage: stage.claim(),
    "a claim while paused": lambda stage: (pause(stage), stage.claim()),
    "a claim before a sync": lambda stage: (unsync(stage), stage.claim()),
    "new tokens of nothing": lambda stage: stage.gate.renew_tokens(GONE, unused=True, lease=30),
    "settle of nothing": lambda stage: stage.gate.settle([SendResult(GONE.grant, State.FAILED)]),
    "sync of lost books": sync_of_lost_books,
    "sync": lambda stage: stage.sync(daily=200.0),
    "usage": lambda stage: stage.gate.usage(),
}


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("gone", [DAY, 3 * DAY])
def test_no_script_loses_what_a_minute_freed(stage: Stage, end: str, gone: int) -> None:
    # Given 40 recipients that count no more
    stage.pass_time(gone)
    # When a script comes first that changes nothing, and then a claim
    ENDS[end](stage)
    # Then none of them counts, whichever script it was
    assert total(stage.redis) == 0
    assert minutes(stage.redis) == {}
    stage.claim()
    assert_sum(stage.redis)


@pytest.mark.parametrize("end", ENDS)
def test_no_script_frees_a_minute_early(stage: Stage, end: str) -> None:
    stage.pass_time(DAY - 60)
    ENDS[end](stage)
    assert total(stage.redis) == 40
    assert_sum(stage.redis)


def test_what_went_before_a_script_failed_is_in_the_books(stage: Stage, redis_server: EmbeddedRedis) -> None:
    """One message is granted, and a right that is denied ends the script."""
    stage.queue()
    rights = (*EVERYTHING, "-hincrby")
    with limited_client(stage.redis, redis_server.url, rights) as limited, pytest.raises(QueueUnavailable):
        Gate(limited).claim("w", "x", want=1, lease=LEASE)
    assert total(stage.redis) == 41
    assert_sum(stage.redis)


@pytest.mark.parametrize("gone", [60 * 1000, DAY, DAY + 60 * 500])
def test_people_may_look_where_nothing_can_be_written(stage: Stage, gone: int) -> None:
    """The minute's edge is behind, and Redis is full."""
    stage.pass_time(gone)
    stage.redis.config_set("maxmemory", 1)
    try:
        assert stage.gate.usage().total == (40 if gone < DAY else 0)
    finally:
        stage.redis.config_set("maxmemory", 0)
    stage.claim()
    assert_sum(stage.redis)


def test_a_total_that_is_no_sum_is_right_again_with_the_next_minute(stage: Stage) -> None:
    stage.redis.hset(stage.keys.gate, "total", 150)
    stage.pass_time(60)
    stage.claim()
    assert total(stage.redis) == 40
    assert_sum(stage.redis)


@pytest.mark.parametrize("lane", list(Lane))
def test_a_refund_into_a_lost_ledger_opens_no_room(stage: Stage, lane: Lane) -> None:
    """Redis has lost the books while a message was on its way, and the message comes back."""
    id = stage.queue([f"p{i}@example.org" for i in range(10)], lane=lane)
    claim, _ = stage.claim()
    assert claim.ids == (id,)
    stage.redis.delete(stage.keys.gate, stage.keys.ledger)
    outcome = SendResult(claim.grants[0], State.FAILED, refund_rate=True, refund_day=True)
    stage.gate.settle([outcome])
    assert total(stage.redis) == 0
    assert minutes(stage.redis) == {}


def test_what_went_1442_minutes_ago_leaves_its_slot_to_the_newest_minute(stage: Stage) -> None:
    # Given 40 recipients, and scripts that ran in the minutes after those
    stage.pass_time(100 * 60)
    stage.claim()
    # When the minute comes that has their slot, then they count neither in it nor in the next ones
    stage.pass_time(DAY - 100 * 60)
    stage.claim()
    assert minutes(stage.redis) == {}
    stage.pass_time(60)
    stage.claim()
    assert_sum(stage.redis)
    assert total(stage.redis) == 0


@pytest.mark.parametrize("gone", [DAY, DAY + 60 * 500, 3 * DAY])
def test_a_day_that_others_fill_is_not_waited_for_by_counts_of_a_former_day(stage: Stage, gone: int) -> None:
    stage.sync(rate=100.0, daily=200.0, sent=240.0)
    stage.pass_time(gone)
    stage.queue()
    claim, started = stage.claim()
    assert (started, claim.reason, claim.wait) == ([], "day", 60)


def test_rows_of_a_batch_look_again_after_a_minute_where_others_fill_the_day(redis: Redis) -> None:
    # Given a batch, and a day that other senders of the account have filled
    stage = BatchStage(redis)
    stage.take(3)
    stage.sync(rate=100.0, daily=200.0, sent=240.0)
    # When a worker asks, Then nobody knows when there is room, and it is told to ask again after a minute
    claim, started = stage.claim()
    assert (started, claim.reason, claim.wait) == ([], "day", 60)


def test_rows_of_a_batch_wait_for_the_minute_that_frees_room(redis: Redis) -> None:
    # Given a batch of two, and a day of one recipient
    stage = BatchStage(redis)
    stage.take(2)
    stage.sync(rate=100.0, daily=1.0)
    stage.send(2)
    # When the second is asked for, Then it waits until all of the minute of the first is a day old, and one more
    claim, started = stage.claim()
    frees_at = (stage.now // 60 + 1442) * 60
    assert (started, claim.reason) == ([], "day")
    assert claim.wait == pytest.approx(frees_at - stage.now, abs=0.001)


def test_after_a_throttle_people_see_a_tenth_less_to_one_digit(stage: Stage) -> None:
    stage.sync(rate=14.0, daily=200.0)
    assert stage.gate.usage().shown_rate == 14.0
    stage.queue()
    claim, _ = stage.claim()
    stage.gate.settle([SendResult(claim.grants[0], State.RETRYING, "too fast", throttled=True)])
    assert stage.gate.usage().shown_rate == 12.6


def test_people_see_the_minutes_in_which_something_went_and_no_others(stage: Stage) -> None:
    stage.pass_time(300)
    stage.queue()
    stage.work()
    assert stage.gate.ledger() == minutes(stage.redis)
    assert list(stage.gate.ledger().values()) == [40, 1]
