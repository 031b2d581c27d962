"""Provides the gate's token bucket as a strategy of the `limits` library, usable by itself.

    >>> from limits import parse
    >>> from limits.storage import storage_from_string
    >>> from sesq.queue.token_bucket import TokenBucketRateLimiter
    >>> limiter = TokenBucketRateLimiter(storage_from_string("redis://localhost:6379/0"))
    >>> calls = parse("2/second")
    >>> [limiter.hit(calls, "partner-api") for _ in range(3)]
    [True, True, False]
    >>> limiter.get_window_stats(calls, "partner-api").remaining
    0

A window lets twice the amount through around its edge; a bucket has no edge: `2/second` is two at once and then one
every half second. It takes one small key for a limit, whatever the amount. It uses Redis's clock, so hosts need not
agree on the time.

A cost above the burst is no error: it goes when the bucket is full. The bucket then falls below zero, and nothing goes
until the debt is paid. Importing this module registers the strategy with `limits` as "token-bucket".
"""

from __future__ import annotations

from typing import NamedTuple, cast

from limits import RateLimitItem
from limits.errors import StorageError
from limits.storage import RedisClusterStorage, RedisStorage, StorageTypes
from limits.strategies import STRATEGIES, RateLimiter
from limits.util import WindowStats

from sesq.queue.scripts import Script, library

BUCKET = Script.of(library("values.lua", "clock.lua", "bucket.lua", "token_bucket.lua"))


class _Answer(NamedTuple):
    granted: bool
    tokens: float
    full_at: float


class TokenBucketRateLimiter(RateLimiter):
    """Limits by token bucket: `amount` tokens flow in each `expiry` of an item, and at most `burst` are kept.

    Without `burst` it is the item's amount. It works on one Redis, with or without Sentinel. It raises Redis's errors,
    or `limits.errors.StorageError` if the storage wraps exceptions.
    """

    def __init__(self, storage: StorageTypes, burst: float | None = None) -> None:
        if not isinstance(storage, RedisStorage) or isinstance(storage, RedisClusterStorage):
            raise NotImplementedError(
                f"a token bucket is kept in a single Redis, with or without Sentinel, not in {type(storage).__name__}"
            )
        if burst is not None and burst < 1:
            raise ValueError(f"burst: a bucket that holds {burst:g} tokens lets nothing through")
        super().__init__(storage)
        self.burst = burst
        self._script = storage.get_connection().register_script(BUCKET.text.encode())

    def hit(self, item: RateLimitItem, *identifiers: str, cost: int = 1) -> bool:
        """Takes `cost` tokens. If min(cost, burst) tokens are not there, it takes none and returns False."""
        return self._ask(item, identifiers, cost, take=True).granted

    def test(self, item: RateLimitItem, *identifiers: str, cost: int = 1) -> bool:
        """Whether `hit` would take them now."""
        return self._ask(item, identifiers, cost, take=False).granted

    def get_window_stats(self, item: RateLimitItem, *identifiers: str) -> WindowStats:
        """Returns when the bucket is full again (seconds since the epoch by Redis's clock), and its tokens now."""
        answer = self._ask(item, identifiers, 0, take=False)
        return WindowStats(answer.full_at, max(0, int(answer.tokens + 1e-6)))

    def _ask(self, item: RateLimitItem, identifiers: tuple[str, ...], cost: int, *, take: bool) -> _Answer:
        if cost < 0:
            raise ValueError(f"cost: {cost} tokens cannot be taken")
        storage = cast("RedisStorage", self.storage)
        pace = item.amount / item.get_expiry()
        key = storage.prefixed_key(item.key_for(*identifiers))
        try:
            granted, tokens, full_at = self._script(
                keys=[key], args=[repr(pace), self.burst or item.amount, cost, int(take)]
            )
        except storage.base_exceptions as error:
            if storage.wrap_exceptions:
                raise StorageError(error) from error
            raise
        return _Answer(bool(granted), float(tokens), float(full_at))


STRATEGIES["token-bucket"] = TokenBucketRateLimiter  # type: ignore[assignment]
