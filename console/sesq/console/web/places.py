"""Walks the lists of messages in Redis from one time to another, in small parts, from any place on."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

from redis import Redis

from sesq.config.connection import mapped
from sesq.config.errors import InputError
from sesq.queue.replies import text

CHUNK = 250
Place = tuple[float, str]
"""Where a message stands in a list: its time there (s), and its id."""


@dataclass(frozen=True, slots=True)
class Span:
    """The times of a walk (s), which begins at the newest. With `before`, it begins at the oldest, and ends before
    then."""

    first: float = -math.inf
    last: float = math.inf
    before: float | None = None

    @property
    def newest_first(self) -> bool:
        return self.before is None

    @property
    def bounds(self) -> tuple[str, str]:
        """The first and the last time, as Redis reads them."""
        is_open = self.before is not None and self.before <= self.last
        return repr(self.first), f"({self.before!r}" if is_open else repr(self.last)

    def walk(self, redis: Redis, key: str, after: Place | None) -> Iterator[Place]:
        """Walks a list from its first message on, or from after a place. Many messages may have the same time."""
        first, last = self.bounds
        start, end = (last, first) if self.newest_first else (first, last)
        skip = 0
        if after is not None and (after[0] <= self.last if self.newest_first else after[0] >= self.first):
            start, skip = repr(after[0]), self._passed(redis, key, after)
        while True:
            part = self._part(redis, key, start, end, skip)
            yield from (place for place in part if after is None or self._comes_later(place, after))
            if len(part) < CHUNK:
                return
            # go on from the last score, and past what was seen of it
            same = sum(score == part[-1][0] for score, _ in part)
            skip = skip + CHUNK if repr(part[-1][0]) == start else same
            start = repr(part[-1][0])

    def _comes_later(self, place: Place, after: Place) -> bool:
        return place < after if self.newest_first else place > after

    def _part(self, redis: Redis, key: str, start: str, end: str, skip: int) -> list[Place]:
        with mapped():
            answer = redis.zrange(
                key,
                cast("int", start),
                cast("int", end),
                desc=self.newest_first,
                byscore=True,
                offset=skip,
                num=CHUNK,
                withscores=True,
            )
        return [(float(score), text(id)) for id, score in cast("list[tuple[bytes, float]]", answer)]

    def _passed(self, redis: Redis, key: str, after: Place) -> int:
        """Returns how many messages of the list have the place's time and come before it, if it is in this list."""
        score, id = after
        earlier = (f"({score!r}", "+inf") if self.newest_first else ("-inf", f"({score!r}")
        with mapped():
            pipeline = redis.pipeline(transaction=False)
            pipeline.zscore(key, id)
            (pipeline.zrevrank if self.newest_first else pipeline.zrank)(key, id)
            pipeline.zcount(key, *earlier)
            found, rank, passed = pipeline.execute()
        return rank + 1 - passed if found == score and rank is not None else 0


def cursor_of(place: Place | None) -> str | None:
    """Returns a place as text."""
    return None if place is None else f"{place[0]!r}:{place[1]}"


def read_cursor(cursor: str) -> Place:
    """Reads it. Raises InputError."""
    score, _, id = cursor.partition(":")
    try:
        place = float(score), id
    except ValueError:
        place = math.nan, id
    if not math.isfinite(place[0]):
        raise InputError(f"after: {cursor!r} is not where a page ended")
    return place
