"""What is read back of the account as SES described it."""

from __future__ import annotations

import time

import pytest
from redis import Redis

from sesq.queue.keys import CLOCK_OFFSET, Keys
from sesq.queue.snapshot import read_identities, read_snapshot, redis_now
from stage import Stage


def test_before_the_first_sync_nothing_is_known(redis: Redis) -> None:
    snapshot = read_snapshot(redis, "default")
    assert (snapshot.known, snapshot.mode, snapshot.rate) == (False, "unknown", None)
    assert (snapshot.sending, snapshot.paused_because) == (True, "")
    assert not read_identities(redis, "default").covers_sender("a@example.com")


def test_a_sandbox_as_ses_told_it(redis: Redis) -> None:
    stage = Stage(redis)
    stage.sync(
        rate=1.0,
        daily=200.0,
        sent=12.0,
        production=0,
        identities={"Ada@example.org": True, "Example.com": True, "bob@example.org": False},
    )
    snapshot = read_snapshot(redis, "default")
    assert (snapshot.mode, snapshot.rate, snapshot.daily, snapshot.sent) == ("sandbox", 1.0, 200.0, 12.0)
    assert snapshot.others == 12.0
    assert snapshot.synced_at == stage.now
    assert snapshot.listed
    identities = read_identities(redis, "default")
    assert identities.covers_sender("x@mail.example.com")
    assert identities.covers_recipient("Ada@example.org")
    assert not identities.covers_recipient("bob@example.org")


def test_what_is_no_longer_listed_is_forgotten(redis: Redis) -> None:
    stage = Stage(redis)
    stage.sync(identities={"example.com": True, "example.org": True})
    stage.sync(identities={"example.com": True})
    assert not read_identities(redis, "default").covers_sender("a@example.org")
    stage.sync(identities={})
    assert read_snapshot(redis, "default").listed
    assert not read_identities(redis, "default").covers_sender("a@example.com")


def test_an_account_that_may_no_longer_be_read_leaves_no_old_numbers(redis: Redis) -> None:
    stage = Stage(redis)
    stage.sync(rate=14.0, sent=30.0)
    redis.delete(Keys("default").snapshot)
    redis.hset(Keys("default").snapshot, mapping={"readable": 0, "synced_at": 1})
    snapshot = read_snapshot(redis, "default")
    assert (snapshot.known, snapshot.readable, snapshot.mode, snapshot.rate) == (True, False, "unknown", None)


@pytest.mark.parametrize(("offset", "moved"), [(None, 0), ("86400", 86_400), ("-60.5", -60.5)])
def test_the_time_is_rediss_and_may_be_moved(redis: Redis, offset: str | None, moved: float) -> None:
    if offset:
        redis.set(CLOCK_OFFSET, offset)
    assert redis_now(redis) == pytest.approx(time.time() + moved, abs=5)


def test_the_time_may_be_stopped(redis: Redis) -> None:
    redis.set(CLOCK_OFFSET, "=1700000000.25")
    assert redis_now(redis) == 1_700_000_000.25


def test_the_time_is_rediss_to_the_microsecond(redis: Redis) -> None:
    def now() -> float:
        seconds, micros = redis.time()
        return float(seconds + micros / 1e6)

    for _ in range(5):
        before = now()
        assert before <= redis_now(redis) <= now()
