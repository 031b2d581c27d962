"""Keeps the events that a webhook has to get again, and those that were given up.

The first event of each message is tried again at its time, and the later ones of that message wait behind it. Each
change touches one event, however many wait.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar, cast

from redis import Redis
from redis.client import Pipeline

from sesq.config.connection import mapped
from sesq.config.errors import SesqError
from sesq.queue.events import OF_WEBHOOK, MessageEvent
from sesq.queue.keys import Keys
from sesq.queue.replies import text, texts
from sesq.queue.webhook_records import DeadLetter, Waiting

Result = TypeVar("Result")

MOST_WAITING = 10_000
"""Events to be delivered again. While there are so many, no new ones are read."""
MOST_DEAD = 10_000
"""Events that were given up and are kept. Older ones are dropped and counted."""
REVIVED_AT_ONCE = 500
_NUMBER = re.compile("[0-9]+")


class LostLease(SesqError):
    """Another process delivers for this webhook: this one changes nothing."""


class WebhookQueue:
    """Keeps the events of one webhook of one account that wait, and those that were given up.

    Every method raises QueueUnavailable. A method with a token raises LostLease.
    """

    def __init__(self, redis: Redis, account: str, name: str) -> None:
        keys = Keys(account)
        self.redis, self.account, self.name = redis, account, name
        self.consumer = f"{OF_WEBHOOK}{name}"
        self._health = keys.webhook(name)
        self._waiting = keys.webhook_waiting(name)
        self._order = keys.webhook_order(name)
        self._due = keys.webhook_due(name)
        self._dead = keys.webhook_dead(name)
        self._runner = keys.webhook_runner(name)

    # what is to be delivered again

    def due(self, now: float, count: int) -> list[str]:
        """Returns the messages whose next event is to be tried now, the longest due first."""
        with mapped():
            return texts(self.redis.zrangebyscore(self._due, "-inf", now, start=0, num=count))

    def next_due(self) -> float | None:
        """Returns when the next event is to be tried (s); None if none waits."""
        with mapped():
            first = cast("list[tuple[bytes, float]]", self.redis.zrange(self._due, 0, 0, withscores=True))
        return first[0][1] if first else None

    def waiting(self, message: str) -> Waiting | None:
        """Returns the first waiting event of a message; None if there is none, or if it cannot be read."""
        with mapped():
            first = self._places(self.redis, message, 1)
            packed = self.redis.hget(self._waiting, _id_at(first[0])) if first else None
        found = Waiting.unpacked(cast("bytes | None", packed))
        return found if found and first == [_place(found.event)] else None

    def which_wait(self, messages: Iterable[str]) -> set[str]:
        """Returns those of some messages that have waiting events."""
        given = list(dict.fromkeys(messages))
        with mapped():
            pipeline = self.redis.pipeline(transaction=False)
            for message in given:
                pipeline.zlexcount(self._order, *_range(message))
            return {message for message, count in zip(given, pipeline.execute(), strict=True) if count}

    def count_waiting(self) -> int:
        """Counts the events that wait."""
        with mapped():
            return int(self.redis.hlen(self._waiting))

    def put(self, token: str, event: MessageEvent, first: Waiting, due: float) -> None:
        """Adds an event, behind those of its message. If it is the first, it is due at `due`."""

        def change(pipeline: Pipeline) -> None:
            is_known = pipeline.hexists(self._waiting, event.id)
            pipeline.multi()
            if not is_known:
                self._add(pipeline, first)
                pipeline.zadd(self._due, {event.message: due}, nx=True)

        self._changed(change, token)

    def tried(self, token: str, event: MessageEvent, why: str, due: float, now: float) -> None:
        """Notes that the first event of its message was tried again without success."""

        def change(pipeline: Pipeline) -> None:
            waiting = Waiting.unpacked(cast("bytes | None", pipeline.hget(self._waiting, event.id)))
            first = self._places(pipeline, event.message, 1)
            pipeline.multi()
            if waiting is not None:
                pipeline.hset(self._waiting, event.id, waiting.failed(why, now).packed())
                if first == [_place(event)]:  # else an earlier event came back meanwhile, and is due now
                    pipeline.zadd(self._due, {event.message: due})

        self._changed(change, token)

    def done(self, token: str, event: MessageEvent, now: float, dead: DeadLetter | None = None) -> None:
        """Removes the first event of its message, delivered or given up (`dead`). The next one becomes due."""

        def change(pipeline: Pipeline) -> None:
            is_known = pipeline.hexists(self._waiting, event.id)
            places = self._places(pipeline, event.message, 2)
            pipeline.multi()
            if is_known:
                self._remove(pipeline, event.message, _place(event), places, now)
                if dead is not None:
                    pipeline.rpush(self._dead, dead.packed())

        self._changed(change, token)
        if dead is not None:
            self._drop_oldest()

    def bury(self, token: str, message: str, now: float) -> bool:
        """Gives up the first event of a message, which cannot be read, as it stands. The next one becomes due.

        Returns whether there was one.
        """

        def change(pipeline: Pipeline) -> bool:
            places = self._places(pipeline, message, 2)
            id = _id_at(places[0]) if places else ""
            raw = cast("bytes | None", pipeline.hget(self._waiting, id))
            pipeline.multi()
            self._remove(pipeline, message, places[0] if places else "", places, now)
            if raw is not None:
                letter = DeadLetter.unreadable(raw, id=id, account=self.account, message=message, at=now)
                pipeline.rpush(self._dead, letter.packed())
            return raw is not None

        buried = self._changed(change, token)
        self._drop_oldest()
        return buried

    def _places(self, redis: Redis, message: str, count: int) -> list[str]:
        """Returns the first `count` members of `_order` for a message."""
        return texts(redis.zrangebylex(self._order, *_range(message), start=0, num=count))

    def _add(self, pipeline: Pipeline, waiting: Waiting) -> None:
        pipeline.hset(self._waiting, waiting.event.id, waiting.packed())
        pipeline.zadd(self._order, {_place(waiting.event): 0})

    def _remove(
        self, pipeline: Pipeline, message: str, place: str, places: Sequence[str], now: float
    ) -> None:
        """Removes one event. `places`: the first two of its message."""
        pipeline.hdel(self._waiting, _id_at(place))
        pipeline.zrem(self._order, place)
        if any(each != place for each in places):
            pipeline.zadd(self._due, {message: now})
        else:
            pipeline.zrem(self._due, message)

    # what was given up

    def dead_letters(self, limit: int = 100) -> list[DeadLetter]:
        """Returns the events that were given up, newest first, at most `limit`."""
        with mapped():
            found = cast("list[bytes]", self.redis.lrange(self._dead, -limit, -1))
        return [DeadLetter.unpacked(each) for each in reversed(found)]

    def revive(self, now: float, ids: Sequence[str] = ()) -> list[str]:
        """Queues events that were given up again: all, or those with these ids. Returns the ids of the events.

        Events that cannot be read stay.
        """
        if ids:
            return self._revive_page(now, MOST_DEAD, frozenset(ids))
        with mapped():
            pages = -(-int(self.redis.llen(self._dead)) // REVIVED_AT_ONCE)
        return [id for _ in range(pages) for id in self._revive_page(now, REVIVED_AT_ONCE, None)]

    def _revive_page(self, now: float, count: int, ids: frozenset[str] | None) -> list[str]:
        def change(pipeline: Pipeline) -> list[str]:
            packed = cast("list[bytes]", pipeline.lrange(self._dead, 0, count - 1))
            letters = [(each, DeadLetter.unpacked(each)) for each in packed]
            chosen = {
                each: letter.event
                for each, letter in letters
                if letter.is_readable and (ids is None or letter.event.id in ids)
            }
            pipeline.multi()
            if ids is None:
                pipeline.ltrim(self._dead, len(packed), -1)
                kept = [each for each in packed if each not in chosen]
                if kept:
                    pipeline.rpush(self._dead, *kept)
            for each, event in chosen.items():
                if ids is not None:
                    pipeline.lrem(self._dead, 1, each.decode())
                self._add(pipeline, Waiting(event=event))
                pipeline.zadd(self._due, {event.message: now})
            return [event.id for event in chosen.values()]

        return self._changed(change)

    def _drop_oldest(self) -> None:
        with mapped():
            beyond = int(self.redis.llen(self._dead)) - MOST_DEAD
            if beyond > 0:
                pipeline = self.redis.pipeline()
                pipeline.ltrim(self._dead, beyond, -1)
                pipeline.hincrby(self._health, "dropped", beyond)
                pipeline.execute()

    def mend(self, now: float) -> None:
        """Restores the places and times of waiting events after damage, so that each event is tried."""
        with mapped():
            cursor = -1
            while cursor:
                cursor, page = cast(
                    "tuple[int, dict[bytes, bytes]]", self.redis.hscan(self._waiting, max(cursor, 0))
                )
                readable = [each for each in map(Waiting.unpacked, page.values()) if each is not None]
                if readable:
                    self.redis.zadd(self._order, {_place(each.event): 0 for each in readable}, nx=True)
            messages = {place.partition(" ")[0] for place in texts(self.redis.zrange(self._order, 0, -1))}
            if messages:
                self.redis.zadd(self._due, dict.fromkeys(messages, now), nx=True)

    def _changed(self, change: Callable[[Pipeline], Result], token: str | None = None) -> Result:
        """Reads and changes in one step. Repeats the step if another process has changed the keys meanwhile."""

        def attempt(pipeline: Pipeline) -> Result:
            if token is not None and text(pipeline.get(self._runner)) != token:
                raise LostLease(f"another process delivers for webhook {self.name}")
            return change(pipeline)

        watched = (self._waiting, self._order, self._dead, *([self._runner] if token is not None else []))
        with mapped():
            done: Any = self.redis.transaction(attempt, *watched, value_from_callable=True)  # type: ignore[arg-type]
            return cast("Result", done)


def _place(event: MessageEvent) -> str:
    """Returns the member of `_order` for an event. Members sort by message, then in the order of the events."""
    numbers = "-".join(number.zfill(20) for number in _NUMBER.findall(event.id)[-2:])
    return f"{event.message} {numbers} {event.id}"


def _id_at(place: str) -> str:
    return place.rpartition(" ")[2]


def _range(message: str) -> tuple[str, str]:
    """Returns the range of all members of `_order` for a message."""
    return f"[{message} ", f"({message}!"
