"""Careful clients: a damaged key of sesq's is set aside on the way; any other error of Redis reaches the caller."""

from __future__ import annotations

import pytest
from redis import Redis
from redis.exceptions import OutOfMemoryError, ResponseError

THEIRS, OURS = "theirs", "sesq:default:holds"

pytestmark = pytest.mark.parametrize("transaction", [True, False])


def test_an_error_of_a_pipeline_is_raised_after_all_was_done(redis: Redis, transaction: bool) -> None:
    # Given a key of somebody else's that is no hash
    redis.set(THEIRS, "x")
    pipeline = redis.pipeline(transaction=transaction)
    pipeline.hget(THEIRS, "field").set("sesq:default:after", 1)
    # When a pipeline reads it as one, Then the caller has the error, and the other command was done
    with pytest.raises(ResponseError, match="WRONGTYPE"):
        pipeline.execute()
    assert redis.get("sesq:default:after") == b"1"
    assert redis.get(THEIRS) == b"x"


def test_a_pipeline_on_a_full_redis_raises(redis: Redis, transaction: bool) -> None:
    redis.config_set("maxmemory", 1)
    pipeline = redis.pipeline(transaction=transaction).set("sesq:default:a", 1)
    with pytest.raises((OutOfMemoryError, ResponseError)):
        pipeline.execute()


def test_who_asks_for_it_has_the_error_among_the_answers(redis: Redis, transaction: bool) -> None:
    redis.set(THEIRS, "x")
    pipeline = redis.pipeline(transaction=transaction)
    pipeline.get(THEIRS).hget(THEIRS, "field")
    first, second = pipeline.execute(raise_on_error=False)
    assert (first, type(second)) == (b"x", ResponseError)


def test_a_damaged_key_is_set_aside_and_its_command_repeated_in_its_place(
    redis: Redis, transaction: bool
) -> None:
    # Given a key of sesq's that is no hash
    redis.set(OURS, "x")
    pipeline = redis.pipeline(transaction=transaction)
    pipeline.set("sesq:default:a", 1).hset(OURS, "field", "new").get("sesq:default:a").hget(OURS, "field")
    # When a pipeline uses it, Then each answer stands in its place
    assert pipeline.execute()[:3] == [True, 1, b"1"]
    assert redis.hgetall(OURS) == {b"field": b"new"}
    assert redis.hexists("sesq:default:damaged", OURS)
