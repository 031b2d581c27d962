"""What a webhook is to be told again, and what was given up.

What waits is kept by message: the first event is tried again at its time, and the later ones wait behind it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any, TypeVar, cast

from redis import Redis
from redis.client import Pipeline

from sesq.config.connection import mapped
from sesq.config.errors import SesqError
from sesq.queue.events import MessageEvent
from sesq.queue.keys import Keys
from sesq.queue.replies import text, texts
from sesq.queue.webhook_records import DeadLetter, Waiting

Result = TypeVar("Result")

MOST_WAITING = 10_000
"""Messages with something to be delivered again; no new events are read while there are so many."""
MOST_DEAD = 10_000
"""Events that were given up and are kept, the newest; the older ones are dropped and counted."""
REVIVED_AT_ONCE = 500
CONSUMER = "webhook:"
"""What the name of a webhook's consumer begins with."""


class LostLease(SesqError):
    """Another process delivers for this webhook: this one changes nothing."""


class WebhookQueue:
    """What waits and what was given up, of one webhook of one account.

    Every method raises QueueUnavailable when Redis cannot be reached; one with a token raises LostLease.
    """

    def __init__(self, redis: Redis, account: str, name: str) -> None:
        keys = Keys(account)
        self.redis, self.account, self.name = redis, account, name
        self.consumer = f"{CONSUMER}{name}"
        self._health = keys.webhook(name)
        self._waiting = keys.webhook_waiting(name)
        self._due = keys.webhook_due(name)
        self._dead = keys.webhook_dead(name)
        self._runner = keys.webhook_runner(name)

    # what is to be delivered again

    def due(self, now: float, count: int) -> list[str]:
        """Messages whose next event is to be tried now, the longest due first."""
        with mapped():
            return texts(self.redis.zrangebyscore(self._due, "-inf", now, start=0, num=count))

    def next_due(self) -> float | None:
        """When the next one is to be tried (s)."""
        with mapped():
            first = cast("list[tuple[bytes, float]]", self.redis.zrange(self._due, 0, 0, withscores=True))
        return first[0][1] if first else None

    def waiting(self, message: str) -> Waiting | None:
        """What waits of one message."""
        with mapped():
            packed = self.redis.hget(self._waiting, message)
        return Waiting.unpacked(cast("bytes | None", packed))

    def forget_due(self, token: str, message: str) -> None:
        """Nothing of this message can be delivered again: its entry is lost or damaged."""

        def change(pipeline: Pipeline) -> None:
            pipeline.multi()
            pipeline.hdel(self._waiting, message)
            pipeline.zrem(self._due, message)

        self._changed(change, token)

    def which_wait(self, messages: Iterable[str]) -> set[str]:
        """Those of some messages of which something waits."""
        given = list(dict.fromkeys(messages))
        if not given:
            return set()
        with mapped():
            found = cast("list[Any]", self.redis.hmget(self._waiting, given))
        return {id for id, packed in zip(given, found, strict=True) if packed}

    def count_waiting(self) -> int:
        """Messages of which something waits."""
        with mapped():
            return int(self.redis.hlen(self._waiting))

    def put(self, token: str, event: MessageEvent, first: Waiting, due: float) -> None:
        """Lets an event wait: behind those of its message, else with what `first` says of it, until `due`."""

        def change(waiting: Waiting | None) -> Waiting | None:
            if waiting is None:
                return first
            if any(each.id == event.id for each in waiting.events):
                return waiting
            return replace(waiting, events=(*waiting.events, event))

        self._settled(token, event.message, change, due, only_new=True)

    def tried(self, token: str, event: MessageEvent, why: str, due: float, now: float) -> Waiting | None:
        """The first event of its message was tried again, in vain. Returns what waits now."""

        def change(waiting: Waiting | None) -> Waiting | None:
            if waiting is None or waiting.events[0].id != event.id:
                return waiting
            return waiting.failed(why, now)

        return self._settled(token, event.message, change, due)

    def done(self, token: str, event: MessageEvent, now: float, dead: DeadLetter | None = None) -> bool:
        """The first event of its message was delivered, or given up. Returns whether others wait behind it."""

        def change(waiting: Waiting | None) -> Waiting | None:
            if waiting is None or waiting.events[0].id != event.id:
                return waiting
            rest = waiting.events[1:]
            return Waiting(events=rest) if rest else None

        return self._settled(token, event.message, change, now, dead) is not None

    def _settled(
        self,
        token: str,
        message: str,
        change: Callable[[Waiting | None], Waiting | None],
        due: float,
        dead: DeadLetter | None = None,
        *,
        only_new: bool = False,
    ) -> Waiting | None:
        """Changes what waits of a message in one step. `only_new`: another time that was set for it stays."""

        def apply(pipeline: Pipeline) -> Waiting | None:
            packed = cast("bytes | None", pipeline.hget(self._waiting, message))
            before = Waiting.unpacked(packed)
            after = change(before)
            pipeline.multi()
            if after is None:
                pipeline.hdel(self._waiting, message)
                pipeline.zrem(self._due, message)
            elif after != before:
                pipeline.hset(self._waiting, message, after.packed())
                pipeline.zadd(self._due, {message: due}, nx=only_new)
            if dead is not None and after != before:
                pipeline.rpush(self._dead, dead.packed())
            return after

        after = self._changed(apply, token)
        if dead is not None:
            self._drop_oldest()
        return after

    # what was given up

    def dead_letters(self, limit: int = 100) -> list[DeadLetter]:
        """The newest of those that were given up, newest first."""
        with mapped():
            found = cast("list[bytes]", self.redis.lrange(self._dead, -limit, -1))
        letters = map(DeadLetter.unpacked, reversed(found))
        return [each for each in letters if each is not None]

    def revive(self, now: float, ids: Sequence[str] = ()) -> list[str]:
        """Delivers again what was given up: all of it, or the events with these ids. Returns the ids of the events."""
        if ids:
            return self._revive_page(now, 0, MOST_DEAD, frozenset(ids))
        done: list[str] = []
        while page := self._revive_page(now, 0, REVIVED_AT_ONCE, None):
            done += page
        return done

    def _revive_page(self, now: float, start: int, count: int, ids: frozenset[str] | None) -> list[str]:
        def change(pipeline: Pipeline) -> list[str]:
            packed = cast("list[bytes]", pipeline.lrange(self._dead, start, start + count - 1))
            letters = [(each, DeadLetter.unpacked(each)) for each in packed]
            chosen = [
                (each, letter.event)
                for each, letter in letters
                if letter and (ids is None or letter.event.id in ids)
            ]
            events = [event for _, event in chosen]
            chains = self._chains(pipeline, {event.message for event in events})
            for event in events:
                chains[event.message] = _with(chains[event.message], event)
            pipeline.multi()
            if ids is None:
                pipeline.ltrim(self._dead, len(packed), -1)
            for each, _ in chosen if ids is not None else ():
                pipeline.lrem(self._dead, 1, each.decode())
            for message, chain in chains.items():
                if chain is not None:
                    pipeline.hset(self._waiting, message, chain.packed())
                    pipeline.zadd(self._due, {message: now})
            return [event.id for event in events]

        return self._changed(change)

    def _chains(self, pipeline: Pipeline, messages: set[str]) -> dict[str, Waiting | None]:
        given = sorted(messages)
        packed = cast("list[Any]", pipeline.hmget(self._waiting, given)) if given else []
        return {message: Waiting.unpacked(each) for message, each in zip(given, packed, strict=True)}

    def _drop_oldest(self) -> None:
        with mapped():
            beyond = int(self.redis.llen(self._dead)) - MOST_DEAD
            if beyond > 0:
                pipeline = self.redis.pipeline()
                pipeline.ltrim(self._dead, beyond, -1)
                pipeline.hincrby(self._health, "dropped", beyond)
                pipeline.execute()

    def mend(self, now: float) -> None:
        """Gives a time to what waits without one: a damaged key leaves nothing that is never tried."""
        with mapped():
            for ids in self._pages():
                pipeline = self.redis.pipeline(transaction=False)
                for id in ids:
                    pipeline.zadd(self._due, {id: now}, nx=True)
                pipeline.execute()

    def _pages(self) -> Iterable[list[str]]:
        cursor = -1
        while cursor:
            cursor, page = cast(
                "tuple[int, dict[bytes, bytes]]", self.redis.hscan(self._waiting, max(cursor, 0))
            )
            yield texts(page)

    def _changed(self, change: Callable[[Pipeline], Result], token: str | None = None) -> Result:
        """Reads and changes in one step, which is made again where another process came between."""

        def attempt(pipeline: Pipeline) -> Result:
            if token is not None and text(pipeline.get(self._runner)) != token:
                raise LostLease(f"another process delivers for webhook {self.name}")
            return change(pipeline)

        watched = (self._waiting, self._dead, *([self._runner] if token is not None else []))
        with mapped():
            done: Any = self.redis.transaction(attempt, *watched, value_from_callable=True)  # type: ignore[arg-type]
            return cast("Result", done)


def _with(chain: Waiting | None, event: MessageEvent) -> Waiting:
    """The event is in its place by its id, and the first of them is tried as if for the first time."""
    events = {each.id: each for each in (*(chain.events if chain else ()), event)}
    return Waiting(events=tuple(sorted(events.values(), key=_order)))


def _order(event: MessageEvent) -> tuple[float, int]:
    """Of events of one message: as they were told."""
    _, _, number = event.id.rpartition("-")
    return event.at, int(number) if number.isdigit() else 0
