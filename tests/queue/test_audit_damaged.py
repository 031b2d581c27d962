"""One key of an account that Redis has damaged: one repair mends all that can be mended, and says what is left."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from redis import Redis

from healthy import Healthy
from sesq.queue.audit import Finding, repair
from sesq.queue.states import State


def _named(healthy: Healthy, key: str) -> str:
    names = {state.value: id for state, id in healthy.ids.items()} | healthy.batches
    return key.format(**names)


def _repair_twice(redis: Redis) -> list[Finding]:
    """What is left, after a repair that leaves nothing to a second one."""
    repaired = repair(redis, sleep=lambda _: None)
    assert [finding for finding in repaired.left if finding.repairable] == []
    again = repair(redis, sleep=lambda _: None)
    assert again.done == []
    assert again.left == repaired.left
    return again.left


OTHER_TYPE: dict[str, Callable[[Redis, str], object]] = {
    "string": lambda redis, key: redis.set(key, b"\xff\xfe"),
    "list": lambda redis, key: redis.rpush(key, "a", "b"),
    "hash": lambda redis, key: redis.hset(key, "a", "b"),
    "set": lambda redis, key: redis.sadd(key, "a"),
    "zset": lambda redis, key: redis.zadd(key, {"a": 1}),
}


@pytest.mark.parametrize(
    ("key", "kind"),
    [
        ("sesq:default:batch:{running}", "string"),
        ("sesq:default:batch:{paused}", "zset"),
        ("sesq:default:chunk:{running}-0", "list"),
        ("sesq:default:message:{queued}", "set"),
        ("sesq:default:state:held", "hash"),
        ("rq:queue:sesq.default.bulk", "zset"),
        ("sesq:accounts", "list"),
    ],
)
def test_a_key_of_another_type_is_mended_by_one_repair(healthy: Healthy, key: str, kind: str) -> None:
    # Given a healthy queue, and one of its keys that is of another type
    name = _named(healthy, key)
    healthy.redis.delete(name)
    OTHER_TYPE[kind](healthy.redis, name)
    # When it is repaired, Then nothing is left for a second repair
    _repair_twice(healthy.redis)


def test_a_field_whose_name_is_no_text_counts_no_rows(healthy: Healthy) -> None:
    healthy.redis.hset(healthy.keys.batch(healthy.batches["running"]), b"n:\xff", 3)
    assert _repair_twice(healthy.redis) == []


@pytest.mark.parametrize("entry", ["x", "", "nan"])
def test_an_entry_of_nobody_among_those_that_wait_is_taken_out(healthy: Healthy, entry: str) -> None:
    healthy.redis.zadd(healthy.keys.hold("recipient:bob@example.org"), {entry: 1})
    assert _repair_twice(healthy.redis) == []


def test_nothing_is_left_of_a_held_message_whose_record_is_lost(healthy: Healthy) -> None:
    healthy.redis.delete(healthy.keys.message(healthy.ids[State.HELD]))
    assert _repair_twice(healthy.redis) == []
    assert not healthy.redis.exists(healthy.keys.hold("recipient:bob@example.org"))
    assert not healthy.redis.hexists(healthy.keys.holds, "recipient:bob@example.org")


def test_a_reason_whose_name_is_no_text_is_taken_out(healthy: Healthy) -> None:
    healthy.redis.hset(healthy.keys.holds, b"\xff\xfe", "why")
    assert _repair_twice(healthy.redis) == []
    assert b"\xff\xfe" not in healthy.redis.hkeys(healthy.keys.holds)


def test_a_row_whose_record_is_lost_has_failed_and_keeps_no_batch_open(healthy: Healthy) -> None:
    # Given a batch of which one row is held, whose record Redis loses
    id, stage = healthy.batches["running"], healthy.stage
    healthy.redis.delete(healthy.keys.message(f"{id}-0-1"))
    # When it is repaired, Then nothing is left, and its counts are what its report says
    assert _repair_twice(healthy.redis) == []
    assert stage.counts(id) == stage.fates(id)
    assert (stage.counts(id)["failed"], stage.batches.get(id).total) == (1, 600)


@pytest.mark.parametrize("state", [State.SENT, State.RETRYING, State.HELD, State.QUEUED])
def test_a_message_that_lost_its_lane_stands_in_one_lane_alone(healthy: Healthy, state: State) -> None:
    healthy.redis.hset(healthy.keys.message(healthy.ids[state]), "queue", "1e300")
    assert _repair_twice(healthy.redis) == []


def test_a_stale_entry_that_is_no_text_is_taken_out(healthy: Healthy) -> None:
    healthy.redis.sadd(healthy.keys.stale("sesq.default.transactional"), b"\xff\xfe")
    assert _repair_twice(healthy.redis) == []
