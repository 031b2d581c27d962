"""`sesq worker` before it works: its lanes, and a Redis that does not answer yet."""

from __future__ import annotations

import logging
from unittest.mock import Mock

import pytest
from redis.exceptions import ConnectionError as Refused

from sesq.config.errors import InputError, QueueUnavailable
from sesq.console.commands.worker import parse_lanes, wait_for_redis
from sesq.queue.states import Lane

TRANSACTIONAL, BULK = Lane.TRANSACTIONAL, Lane.BULK


@pytest.mark.parametrize("refused", range(4))
def test_a_redis_that_comes_late_is_waited_for(refused: int, caplog: pytest.LogCaptureFixture) -> None:
    redis, slept = Mock(), []
    redis.ping.side_effect = [*[Refused("not yet")] * refused, True]
    with caplog.at_level(logging.WARNING):
        wait_for_redis(redis, slept.append)
    pauses = [0.5, 1.0, 2.0][:refused]
    assert slept == pauses
    assert [record.message.rpartition("; ")[2] for record in caplog.records] == [
        f"trying again in {pause:g} s" for pause in pauses
    ]


def test_one_that_does_not_come_is_told() -> None:
    redis, slept = Mock(), []
    redis.ping.side_effect = Refused("not yet")
    with pytest.raises(QueueUnavailable):
        wait_for_redis(redis, slept.append)
    assert (slept, redis.ping.call_count) == ([0.5, 1.0, 2.0], 4)


@pytest.mark.parametrize(
    ("text", "lanes"),
    [
        ("transactional,bulk", (TRANSACTIONAL, BULK)),
        ("bulk, transactional", (BULK, TRANSACTIONAL)),
        ("bulk", (BULK,)),
    ],
)
def test_lanes_are_in_the_order_in_which_they_are_given(text: str, lanes: tuple[Lane, ...]) -> None:
    assert parse_lanes(text) == lanes


@pytest.mark.parametrize("text", ["", "bulk,bulk", "bulk,", "urgent", "bulk transactional", "Bulk"])
def test_what_is_no_lane_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="allowed: transactional, bulk, each at most once"):
        parse_lanes(text)
