"""The token bucket as a strategy of `limits`: against a plain bucket, on real Redis, by a clock that the test moves."""

from __future__ import annotations

import doctest
import math
from dataclasses import dataclass, field

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from limits import RateLimitItem, parse
from limits.errors import StorageError
from limits.storage import MemoryStorage, RedisStorage, storage_from_string
from limits.strategies import STRATEGIES
from redis import Redis
from redis.exceptions import RedisError

from sesq.config.embedded import EmbeddedRedis
from sesq.queue import token_bucket
from sesq.queue.keys import CLOCK_OFFSET
from sesq.queue.token_bucket import TokenBucketRateLimiter

START = 1_700_000_000.0
TICK = 1 / 64


class Clock:
    """Redis's clock, which stands still until it is moved."""

    def __init__(self, redis: Redis) -> None:
        self.redis, self.now = redis, START
        self.pass_time(0)

    def pass_time(self, seconds: float) -> None:
        self.now += seconds
        self.redis.set(CLOCK_OFFSET, f"={self.now:.6f}")


@pytest.fixture
def storage(redis_server: EmbeddedRedis) -> RedisStorage:
    return storage_from_string(redis_server.url.replace("unix://", "redis+unix://"))


@pytest.fixture
def limiter(storage: RedisStorage) -> TokenBucketRateLimiter:
    return TokenBucketRateLimiter(storage)


@pytest.fixture
def clock(redis: Redis) -> Clock:
    return Clock(redis)


@dataclass
class PlainBucket:
    """The rules, as plainly as Python can say them."""

    pace: float
    burst: float
    level: float = field(init=False)

    def __post_init__(self) -> None:
        self.level = self.burst

    def pass_time(self, seconds: float) -> None:
        self.level = min(self.burst, self.level + seconds * self.pace)

    def hit(self, cost: int) -> bool:
        enough = self.level >= min(cost, self.burst) - 1e-6
        self.level -= cost if enough else 0
        return enough


STEPS = st.lists(
    st.tuples(st.sampled_from([0, 1, 8, 64, 640]), st.integers(0, 9), st.booleans()), min_size=1, max_size=30
)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    quota=st.sampled_from(["1 per 2 seconds", "1/second", "4/second", "60/minute", "16 per 8 seconds"]),
    burst=st.sampled_from([None, 1, 2, 3.5]),
    steps=STEPS,
)
def test_it_lets_through_what_a_plain_bucket_does(
    redis: Redis, storage: RedisStorage, quota: str, burst: float | None, steps: list[tuple[int, int, bool]]
) -> None:
    redis.flushall()
    clock, item = Clock(redis), parse(quota)
    limiter = TokenBucketRateLimiter(storage, burst=burst)
    plain = PlainBucket(item.amount / item.get_expiry(), burst or item.amount)
    for ticks, cost, just_looking in steps:
        clock.pass_time(ticks * TICK)
        plain.pass_time(ticks * TICK)
        if not just_looking:
            assert limiter.hit(item, "a", cost=cost) is plain.hit(cost)
        assert limiter.test(item, "a", cost=cost) is (plain.level >= min(cost, plain.burst) - 1e-6)
        full_at, remaining = limiter.get_window_stats(item, "a")
        assert remaining == max(0, math.floor(plain.level + 1e-6))
        assert full_at == pytest.approx(clock.now + (plain.burst - plain.level) / plain.pace, abs=1e-4)


def test_no_edge_at_which_twice_the_amount_goes(limiter: TokenBucketRateLimiter, clock: Clock) -> None:
    # Given ten a second, all used just before a second is over
    item = parse("10/second")
    clock.pass_time(0.9)
    assert sum(limiter.hit(item, "a") for _ in range(20)) == 10
    # Then with the next second comes one, since a tenth has passed, and not ten
    clock.pass_time(0.1)
    assert sum(limiter.hit(item, "a") for _ in range(20)) == 1


def test_a_cost_above_the_burst_goes_and_is_paid_for(limiter: TokenBucketRateLimiter, clock: Clock) -> None:
    item = parse("10/second")
    assert limiter.hit(item, "a", cost=50)
    clock.pass_time(4.05)
    assert not limiter.hit(item, "a")
    assert limiter.get_window_stats(item, "a").remaining == 0
    clock.pass_time(0.1)
    assert limiter.hit(item, "a")


def test_limits_are_kept_apart_and_one_is_forgotten(limiter: TokenBucketRateLimiter, clock: Clock) -> None:
    item: RateLimitItem = parse("1/minute")
    assert limiter.hit(item, "a")
    assert limiter.hit(item, "b")
    assert not limiter.hit(item, "a")
    limiter.clear(item, "a")
    assert limiter.hit(item, "a")
    assert not limiter.hit(item, "b")


def test_its_key_goes_when_the_bucket_is_full_and_not_before(
    limiter: TokenBucketRateLimiter, redis: Redis
) -> None:
    item = parse("1 per 20 seconds")
    assert limiter.hit(item, "a", cost=3)
    (key,) = redis.keys("LIMITS:*")
    assert 59 <= redis.ttl(key) <= 61
    assert not limiter.test(item, "a")


def test_several_limiters_are_one(storage: RedisStorage, clock: Clock) -> None:
    limiters = [TokenBucketRateLimiter(storage) for _ in range(3)]
    item = parse("4/second")
    assert sum(limiter.hit(item, "a") for limiter in limiters * 4) == 4


def test_limits_finds_it_by_its_name(storage: RedisStorage) -> None:
    assert isinstance(STRATEGIES["token-bucket"](storage), TokenBucketRateLimiter)


def test_what_cannot_be_is_an_error_at_the_door(
    storage: RedisStorage, limiter: TokenBucketRateLimiter
) -> None:
    with pytest.raises(NotImplementedError, match="MemoryStorage"):
        TokenBucketRateLimiter(MemoryStorage())
    with pytest.raises(ValueError, match=r"burst: a bucket that holds 0.5 tokens"):
        TokenBucketRateLimiter(storage, burst=0.5)
    with pytest.raises(ValueError, match="cost: -1"):
        limiter.hit(parse("1/second"), cost=-1)


@pytest.mark.parametrize(("wrap", "error"), [(False, RedisError), (True, StorageError)])
def test_redis_s_errors_come_as_the_storage_has_them(
    redis: Redis, redis_server: EmbeddedRedis, wrap: bool, error: type[Exception]
) -> None:
    item = parse("1/second")
    redis.set(f"LIMITS:{item.key_for('a')}", "not a bucket")
    url = redis_server.url.replace("unix://", "redis+unix://")
    limiter = TokenBucketRateLimiter(storage_from_string(url, wrap_exceptions=wrap))
    with pytest.raises(error):
        limiter.hit(item, "a")


def test_the_example_of_its_documentation_is_true(redis: Redis, redis_server: EmbeddedRedis) -> None:
    Clock(redis)
    text = (token_bucket.__doc__ or "").replace(
        "redis://localhost:6379/0", redis_server.url.replace("unix://", "redis+unix://")
    )
    example = doctest.DocTestParser().get_doctest(text, {}, "token_bucket", None, None)
    assert len(example.examples) == 7
    assert doctest.DocTestRunner().run(example).failed == 0
