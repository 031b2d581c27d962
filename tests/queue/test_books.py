"""The gate's books on the raw keys: whatever a script does, and however it ends, what it changed is written back."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from redis import Redis

from batch import template
from books import assert_sum, minutes, total
from sesq.producer.batch.order import batch_order
from sesq.producer.batch.taker import numbered, take
from sesq.queue.gate import SYNC, Begun
from sesq.queue.states import Lane
from sesq.worker.slices import SETTLE_SLICE, SPILL
from sesq.worker.sync import DUE
from stage import Stage

GONE = Begun("gone", "x", None, 0, "", 0, None)  # type: ignore[arg-type]
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


def batch(stage: Stage) -> str:
    """One chunk of two rows in the lane: its id."""
    order = batch_order(template(), "a@example.com", "news")
    rows = numbered({"email": f"p{i}@example.org", "name": "x"} for i in range(2))
    return f"{take(stage.redis, order, rows).id}-0"


def pause(stage: Stage) -> None:
    stage.policy.pause("a look", by="test")


def spill(stage: Stage) -> None:
    told = json.dumps({"id": "gone-0", "execution": "y", "to": "failed"})
    SPILL.run(stage.redis, "default", told, "gone", 0, 2, "v", 1, "kind", "x")


def sync_of_lost_books(stage: Stage) -> None:
    assert SYNC.run(stage.redis, "default", json.dumps({"books": "others"})) is None


def settle_rows(stage: Stage) -> None:
    SETTLE_SLICE.run(stage.redis, "default", "gone", "y", json.dumps({"taken": [], "back": []}))


def synced(stage: Stage) -> None:
    server = stage.redis.hget(stage.keys.snapshot, "server") or b""
    stage.redis.hset(stage.keys.sync, mapping={"server": server, "until": stage.now + 1})


def two(stage: Stage) -> str:
    return stage.queue(["ada@example.org", "bob@example.org"])


def unsync(stage: Stage) -> None:
    stage.redis.delete(stage.keys.snapshot)


ENDS: dict[str, Callable[[Stage], object]] = {
    "a claim of nothing": lambda stage: stage.claim(),
    "a claim while paused": lambda stage: (pause(stage), stage.claim()),
    "a claim before a sync": lambda stage: (unsync(stage), stage.claim()),
    "due": lambda stage: DUE.run(stage.redis, "default", 1, 1, 0),
    "not due": lambda stage: (synced(stage), DUE.run(stage.redis, "default", 1, 1, 0)),
    "a claim without room": lambda stage: (
        stage.policy.set({"daily": "1"}, by="test"),
        two(stage),
        stage.claim(),
    ),
    "again of nothing": lambda stage: stage.gate.take_again(GONE, unused=True, lease=30),
    "again of no slice": lambda stage: stage.gate.take_again(
        GONE._replace(slice_name="s"), unused=True, lease=30
    ),
    "settle of nothing": lambda stage: stage.gate.settle([{"id": "gone", "execution": "y", "to": "failed"}]),
    "settle of rows of nothing": settle_rows,
    "spill of nothing": spill,
    "sync of lost books": sync_of_lost_books,
    "sync": lambda stage: stage.sync(daily=200.0),
    "reap of nothing": lambda stage: stage.gate.reap(on_unknown="hold", max_attempts=5),
    "a claim of rows while paused": lambda stage: (pause(stage), batch(stage), stage.claim()),
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


def test_what_went_before_a_script_failed_is_in_the_books(stage: Stage) -> None:
    """One message is granted, and a counter that can count no further ends the script."""
    stage.queue()
    stage.redis.hset("sesq:default:counters", "sending", 2**63 - 1)
    with pytest.raises(Exception, match="overflow"):
        stage.claim()
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
    outcome = {
        "id": id,
        "execution": claim.execution,
        "to": "failed",
        "refund_rate": True,
        "refund_day": True,
    }
    stage.gate.settle([outcome])
    assert total(stage.redis) == 0
    assert minutes(stage.redis) == {}
