"""Finding messages among very many, without an index that sending would pay for.

By id, by state, and by what they wait for, Redis's own lists answer. For a recipient or a tag the newest messages are
looked through, some thousands a page; the page says how far it got and goes on from there.
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

from redis import Redis

from sesq.config.connection import mapped
from sesq.config.errors import InputError, UnknownMessage
from sesq.console.subjects import Subjects
from sesq.queue.envelope import encode_json
from sesq.queue.keys import Keys
from sesq.queue.messages import Messages
from sesq.queue.record import Record
from sesq.queue.replies import text
from sesq.queue.states import State

PAGE_SIZE = 50
LOOK_THROUGH = 1500
"""Messages looked at for one page of a search by recipient or tag."""
CHUNK = 250

Place = tuple[float, str]
"""Where a message stands in a list: its time there (s), and its id."""


@dataclass(frozen=True, slots=True)
class Query:
    """What is looked for. `to`: part of a recipient's address. `tag`: name, or name=value. `waiting`: a hold."""

    states: tuple[State, ...] = ()
    to: str = ""
    tag: str = ""
    waiting: str = ""
    after: str = ""
    """The cursor of the page before."""

    @property
    def looks_inside(self) -> bool:
        return bool(self.to or self.tag)

    def hints(self) -> tuple[str, str]:
        """What stands in the recipients and tags of every record that matches, in lower case."""
        name, equals, value = self.tag.partition("=")
        tag = f"{encode_json(name)}:{encode_json(value) if equals else ''}" if self.tag else ""
        return encode_json(self.to)[1:-1].lower(), tag.lower()

    def matches(self, record: Record) -> bool:
        """Whether it is one of those, as far as its record tells. Case does not count in addresses."""
        if self.waiting and self.states and record.state not in self.states:
            return False
        if self.to and not any(self.to.lower() in spec.lower() for spec in record.envelope.recipients):
            return False
        if not self.tag:
            return True
        name, equals, value = self.tag.partition("=")
        return name in record.envelope.tags and (not equals or record.envelope.tags[name] == value)


@dataclass(frozen=True, slots=True)
class Found:
    """One page. `next`: the cursor to go on from, None at the end. `looked`: how many were looked at."""

    records: list[Record]
    next: str | None
    looked: int


def search(redis: Redis, account: str, query: Query, limit: int = PAGE_SIZE) -> Found:
    """The newest that match, newest first. Raises InputError for a cursor that is none."""
    places, messages = _places(redis, Keys(account), query), Messages(redis, account)
    found: list[Record] = []
    subjects = Subjects(redis, account)
    looked, last = 0, None
    while looked < LOOK_THROUGH:
        size = min(CHUNK if query.looks_inside else limit - len(found), LOOK_THROUGH - looked)
        chunk = list(itertools.islice(places, size))
        if not chunk:
            break
        for place, record in zip(chunk, _records(messages, chunk, query), strict=True):
            looked, last = looked + 1, place
            if record is not None and query.matches(record):
                found.append(record)
            if len(found) == limit:
                return Found(subjects.rendered(found), _cursor(last), looked)
    return Found(subjects.rendered(found), _cursor(last) if last and looked >= LOOK_THROUGH else None, looked)


def _records(messages: Messages, places: list[Place], query: Query) -> list[Record | None]:
    """The records; None for one that is gone, or whose envelope shows at a glance that it does not match."""
    ids = [id for _, id in places]
    if query.looks_inside:
        with mapped():
            pipeline = messages.redis.pipeline(transaction=False)
            for id in ids:
                pipeline.hmget(messages.keys.message(id), "to", "cc", "bcc", "tags")
            looks = [text(b" ".join(filter(None, fields))).lower() for fields in pipeline.execute()]
        hints = query.hints()
        ids = [id for id, look in zip(ids, looks, strict=True) if all(hint in look for hint in hints)]
    found = dict(zip(ids, messages.get_many(ids), strict=True))
    return [found.get(id) for _, id in places]


def by_id(messages: Messages, id: str) -> Record | None:
    """The message, where the text is the id of one."""
    try:
        return messages.get(id.strip())
    except UnknownMessage:
        return None


def _places(redis: Redis, keys: Keys, query: Query) -> Iterator[Place]:
    """Newest first, over all lists that are asked for."""
    lists = (
        [keys.hold(query.waiting)]
        if query.waiting
        else [keys.state(state) for state in query.states or State]
    )
    with mapped():
        pipeline = redis.pipeline(transaction=False)
        for key in lists:
            pipeline.zcard(key)
        sizes = pipeline.execute()
    after = _read_cursor(query.after) if query.after else None
    streams = [_walk(redis, key, after) for key, size in zip(lists, sizes, strict=True) if size]
    return heapq.merge(*streams, reverse=True)


def _walk(redis: Redis, key: str, after: Place | None) -> Iterator[Place]:
    """A list from its newest on, or from what comes after a place. Many may have come into it at the same moment."""
    highest, skip = (repr(after[0]) if after else "+inf"), 0
    while True:
        with mapped():
            answer = redis.zrevrangebyscore(key, highest, "-inf", start=skip, num=CHUNK, withscores=True)
        part = [(float(score), text(id)) for id, score in cast("list[tuple[bytes, float]]", answer)]
        yield from (place for place in part if after is None or place < after)
        if len(part) < CHUNK:
            return
        # go on from the last score, and past what was seen of it
        same = sum(score == part[-1][0] for score, _ in part)
        skip = skip + CHUNK if repr(part[-1][0]) == highest else same
        highest = repr(part[-1][0])


def _cursor(place: Place | None) -> str | None:
    return None if place is None else f"{place[0]!r}:{place[1]}"


def _read_cursor(cursor: str) -> Place:
    score, _, id = cursor.partition(":")
    try:
        place = float(score), id
    except ValueError:
        place = math.nan, id
    if not math.isfinite(place[0]):
        raise InputError(f"after: {cursor!r} is not where a page ended")
    return place


def as_states(names: Iterable[str]) -> tuple[State, ...]:
    """Raises InputError for a name that is no state."""
    states = tuple(State(name) for name in names if name)
    for state in states:
        if not state.is_known:
            raise InputError(f"state: {state.value!r} is none; allowed: {', '.join(State)}")
    return states


def parameters(query: Query) -> Mapping[str, Any]:
    """The query as a page's address has it, without its cursor."""
    given = {
        "state": [state.value for state in query.states],
        "to": query.to,
        "tag": query.tag,
        "waiting": query.waiting,
    }
    return {name: value for name, value in given.items() if value}
