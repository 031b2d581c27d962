"""Finds messages among very many, without an index that would make sending slower.

Redis has lists by id, by state, by time and by what messages wait for. For all else the search looks at the newest
messages, some thousands in a step; the answer has the cursor from which the next step continues. This module searches
messages with a record; `find.py` continues with the recipients of batches that have none.
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from redis import Redis

from sesq.config.connection import mapped
from sesq.config.errors import InputError, UnknownMessage
from sesq.console.subjects import Subjects
from sesq.console.times import utc
from sesq.console.web.places import CHUNK, Place, Span, cursor_of, read_cursor
from sesq.queue.envelope import Envelope, encode_json
from sesq.queue.keys import Keys
from sesq.queue.messages import Messages
from sesq.queue.record import Record
from sesq.queue.replies import text
from sesq.queue.states import State

PAGE_SIZE = 50
LOOK_THROUGH = 1000
"""Messages that one step looks at, if the filter needs their records."""
LOOKED_AT = {"to": ("to", "cc", "bcc"), "tag": ("tags",), "message_id": ("message_id",)}
"""Parts of a filter -> the fields of a record that show quickly whether it may match."""
SUBJECT = ("subject", "kind")
"""The same for the subject: that of a recipient of a batch is rendered."""

AT_DOMAIN = "*@"
"""How a filter by recipient begins that means everybody at exactly one domain."""


@dataclass(frozen=True, slots=True)
class Query:
    """A filter. `to`: part of a recipient's address, or `*@` and a whole domain. `waiting`: a hold.

    `tag`: name, or name=value.
    `subject`: words of it, in any order. `message_id`: SES's, or its beginning. `since`, `until`: when it came into its
    state (s)."""

    states: tuple[State, ...] = ()
    to: str = ""
    tag: str = ""
    waiting: str = ""
    after: str = ""
    """The cursor of the page before."""
    subject: str = ""
    message_id: str = ""
    since: float | None = None
    until: float | None = None

    @property
    def looks_inside(self) -> bool:
        """Whether the filter needs the messages' records. The lists by state have the times, that of a hold has not."""
        return bool(
            self.to or self.tag or self.subject or self.message_id or (self.waiting and self.is_timed)
        )

    @property
    def is_timed(self) -> bool:
        return self.since is not None or self.until is not None

    @property
    def is_filtered(self) -> bool:
        """Whether there is a filter at all."""
        return bool(self.looks_inside or self.is_timed or self.states or self.waiting)

    @property
    def hint_of_to(self) -> str:
        """Text in the recipients of every record that matches, in lower case."""
        return encode_json(self.to[1:] if self.is_for_domain else self.to)[1:-1].lower()

    @property
    def is_for_domain(self) -> bool:
        """Whether `to` means everybody at exactly one domain."""
        return self.to.startswith(AT_DOMAIN)

    def hints(self) -> tuple[str, ...]:
        """Returns texts in the fields `looked_at` of every record that matches, in lower case."""
        name, equals, value = self.tag.partition("=")
        tag = f"{encode_json(name)}:{encode_json(value) if equals else ''}" if self.tag else ""
        return tuple(filter(None, (self.hint_of_to, tag.lower(), self.message_id.lower())))

    @property
    def looked_at(self) -> tuple[str, ...]:
        """Fields of a record that show quickly whether it may match; the last two are SUBJECT if it is wanted."""
        given = [field for name, fields in LOOKED_AT.items() if getattr(self, name) for field in fields]
        return (*given, *SUBJECT) if self.subject else tuple(given)

    def may_match(self, fields: Sequence[bytes | None], hints: Iterable[str]) -> bool:
        """Whether a record may match, by its fields `looked_at`."""
        *inside, subject, kind = fields if self.subject else (*fields, None, None)
        look = text(b" ".join(filter(None, inside))).lower()
        if not all(hint in look for hint in hints):
            return False
        return self.has_words(text(subject)) or (kind == b"row" and b"{" in (subject or b""))

    def has_tag(self, envelope: Envelope) -> bool:
        name, equals, value = self.tag.partition("=")
        return not self.tag or (name in envelope.tags and (not equals or envelope.tags[name] == value))

    def is_to(self, spec: str) -> bool:
        """Whether this address, in lower case, is wanted."""
        wanted = self.to.lower()
        return spec.endswith(wanted[1:]) if self.is_for_domain else wanted in spec

    def has_words(self, subject: str) -> bool:
        return all(word in subject.lower() for word in self.subject.lower().split())

    def matches(self, record: Record) -> bool:
        """Whether the record matches in everything but its subject. Case counts only in tags."""
        if self.waiting and self.states and record.state not in self.states:
            return False
        if self.to and not any(self.is_to(spec.lower()) for spec in record.envelope.recipients):
            return False
        if self.message_id and not (record.message_id or "").lower().startswith(self.message_id.lower()):
            return False
        first, last = span_of(self)
        return first <= record.since <= last and self.has_tag(record.envelope)

    def found_in(self, record: Record, subjects: Subjects) -> Record | None:
        """Returns the record with its rendered subject, if it matches."""
        if not self.matches(record):
            return None
        record = subjects.of(record)
        return record if self.has_words(record.envelope.subject) else None


@dataclass(frozen=True, slots=True)
class Found:
    """One page. `next`: the cursor of the next page, None at the end. `looked`: how many messages were looked at.
    `without_record`: the ids of recipients of batches without a record, which cannot be changed one by one.
    `is_the_one`: the search has ended, since no other mail has this MessageId.
    """

    records: list[Record]
    next: str | None
    looked: int
    without_record: frozenset[str] = frozenset()
    is_the_one: bool = False

    def and_then(self, other: Found) -> Found:
        """Returns both pages as one."""
        return Found(
            [*self.records, *other.records],
            other.next,
            self.looked + other.looked,
            self.without_record | other.without_record,
            other.is_the_one,
        )


def search(
    redis: Redis, account: str, query: Query, limit: int = PAGE_SIZE, *, before: float | None = None
) -> Found:
    """Finds the newest messages that match, the newest first. Raises InputError for a wrong cursor.

    With `before`, it finds the oldest first, and none that came into its list since then (s).
    """
    places, messages = _places(redis, Keys(account), query, before), Messages(redis, account)
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
            matching = record and query.found_in(record, subjects)
            if matching:
                found.append(matching)
            if len(found) == limit:
                return Found(found, cursor_of(last), looked)
    return Found(found, cursor_of(last) if looked >= LOOK_THROUGH else None, looked)


def _records(messages: Messages, places: list[Place], query: Query) -> list[Record | None]:
    """Reads the records; None for one that is gone, or whose fields `looked_at` show that it does not match."""
    ids = [id for _, id in places]
    if query.looked_at:
        with mapped():
            pipeline = messages.redis.pipeline(transaction=False)
            for id in ids:
                pipeline.hmget(messages.keys.message(id), query.looked_at)
            looks = pipeline.execute()
        hints = query.hints()
        ids = [id for id, fields in zip(ids, looks, strict=True) if query.may_match(fields, hints)]
    found = dict(zip(ids, messages.get_many(ids), strict=True))
    return [found.get(id) for _, id in places]


def by_id(messages: Messages, id: str) -> Record | None:
    """Returns the message with this id; None if there is none."""
    try:
        return messages.get(id.strip())
    except UnknownMessage:
        return None


def _places(redis: Redis, keys: Keys, query: Query, before: float | None) -> Iterator[Place]:
    """Yields the places of all wanted lists, in the order of the walk."""
    lists, span = lists_of(keys, query), _span_of_lists(query, before)
    with mapped():
        pipeline = redis.pipeline(transaction=False)
        for key in lists:
            pipeline.zcard(key)
        sizes = pipeline.execute()
    after = read_cursor(query.after) if query.after else None
    walks = [span.walk(redis, key, after) for key, size in zip(lists, sizes, strict=True) if size]
    return heapq.merge(*walks, reverse=span.newest_first)


def count(redis: Redis, account: str, query: Query, before: float) -> int:
    """Counts what a search with `before` finds, if the filter needs no records."""
    bounds = _span_of_lists(query, before).bounds
    with mapped():
        pipeline = redis.pipeline(transaction=False)
        for key in lists_of(Keys(account), query):
            pipeline.zcount(key, *bounds)
        return sum(pipeline.execute())


def lists_of(keys: Keys, query: Query) -> list[str]:
    """Returns the keys of the lists in Redis that have the messages."""
    return (
        [keys.hold(query.waiting)]
        if query.waiting
        else [keys.state(state) for state in query.states or State]
    )


def span_of(query: Query) -> tuple[float, float]:
    """Returns the first and the last time of the filter (s)."""
    return (
        -math.inf if query.since is None else query.since,
        math.inf if query.until is None else query.until,
    )


def _span_of_lists(query: Query, before: float | None) -> Span:
    """Returns the times to walk. The list of a hold has the times at which its messages were queued."""
    return Span(before=before) if query.waiting else Span(*span_of(query), before)


def bare_message_id(text: str) -> str:
    """Returns a MessageId as sesq keeps it: without the brackets and the domain of a mail's header."""
    return text.strip().strip("<>").partition("@")[0]


def as_states(names: Iterable[str]) -> tuple[State, ...]:
    """Returns the states with these names. Raises InputError for a name that is no state."""
    states = tuple(State(name) for name in names if name)
    for state in states:
        if not state.is_known:
            raise InputError(f"state: {state.value!r} is none; allowed: {', '.join(State)}")
    return states


def parameters(query: Query) -> Mapping[str, Any]:
    """Returns the query as parameters of an address, without its cursor."""
    given = {
        "state": [state.value for state in query.states],
        "to": query.to,
        "tag": query.tag,
        "waiting": query.waiting,
        "subject": query.subject,
        "message_id": query.message_id,
        "since": utc(query.since),
        "until": utc(query.until),
    }
    return {name: value for name, value in given.items() if value}
