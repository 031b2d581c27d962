"""Finds messages: first those with a record, then the recipients of batches that have none.

A search works in steps, and a step looks at some thousand messages at most. When no step is left, the search has
looked at all messages. A search for a MessageId looks first near the time that the MessageId has: see `near.py`.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice, takewhile

from redis import Redis

from sesq.config.connection import mapped
from sesq.config.errors import InputError
from sesq.console import near
from sesq.console.subjects import Subjects
from sesq.console.web.search import PAGE_SIZE, Found, Query, lists_of, search, span_of
from sesq.queue.batch import Batch
from sesq.queue.batches import Batches
from sesq.queue.chunks import CHUNK_ROWS, has_text
from sesq.queue.keys import Keys
from sesq.queue.messages import Messages
from sesq.queue.record import Record, record_of_recipient
from sesq.queue.replies import text
from sesq.queue.states import State

IN_BATCHES = "batches:"
"""The first cursor among the recipients of batches; later ones are `batches:<created>:<batch>:<chunk>:<row>`."""
NEAR, NEAR_IN_BATCHES, EVERYWHERE = "near:", "near:batches:", "all"
"""Cursors of a search by the time in a MessageId, each with the number of its step; and of the search that follows."""
CHUNKS_AT_ONCE = 4
PAGE_SECONDS = 0.05
"""How long a page, or a call of the API, looks for messages (s). After that it shows how far the search is."""
MOST_DIGITS = 10
RECORD_GONE = frozenset({State.SENT, State.FAILED, State.CANCELLED})
"""States of recipients whose record has expired, or that were cancelled or lost before they had one."""


@dataclass(frozen=True, slots=True)
class _Place:
    created: float = math.inf
    batch: str = ""
    chunk: int = 0
    row: int = 0

    @classmethod
    def read(cls, cursor: str) -> _Place:
        """Reads a cursor. Raises InputError if it is not one."""
        if cursor == IN_BATCHES:
            return cls()
        created, batch, *numbers = f"{cursor.removeprefix(IN_BATCHES)}:".split(":")
        with suppress(ValueError):
            chunk, row, _ = (int(number or 0) for number in numbers)
            if not math.isnan(float(created)):
                return cls(float(created), batch, chunk, row)
        raise InputError(f"after: {cursor!r} is not where a page ended")

    def __str__(self) -> str:
        return f"{IN_BATCHES}{self.created!r}:{self.batch}:{self.chunk}:{self.row}"


class Finder:
    """One search in one account. Without a filter, it lists only messages with a record."""

    def __init__(self, redis: Redis, account: str, query: Query) -> None:
        self._redis, self._account, self._query = redis, account, query
        self._batches, self._subjects = Batches(redis, account), Subjects(redis, account)
        self._in_batches = query.is_filtered and not query.waiting
        self.taken_at = None if query.waiting else near.taken_at(query.message_id)
        """The time in the wanted MessageId (s)."""

    def page(
        self, limit: int = PAGE_SIZE, *, seconds: float, clock: Callable[[], float] = time.monotonic
    ) -> Found:
        """Searches from the query's cursor until the page is full or the search has ended. After `seconds` it begins
        no other step. Raises InputError for a wrong cursor.
        """
        found, ends_at = Found([], self._query.after, 0), clock() + seconds
        while True:
            step = self._step(found.next or "", limit - len(found.records))
            found = found.and_then(step)
            if found.next is None or len(found.records) >= limit or clock() >= ends_at:
                return found

    def all(self, most: int, progress: Callable[[int], object] = int) -> Iterator[Record]:
        """Yields the messages that match as they are found, at most `most`. It calls `progress` with the number of
        messages that it has looked at.
        """
        after: str | None = self._query.after
        looked = 0
        while after is not None and most:
            found = self._step(after, min(CHUNK_ROWS, most))
            after, looked, most = found.next, looked + found.looked, most - len(found.records)
            progress(looked)
            yield from found.records

    def to_look_at(self) -> int:
        """Counts the messages that the whole search looks at."""
        keys, span = Keys(self._account), span_of(self._query)
        with mapped():
            pipeline = self._redis.pipeline(transaction=False)
            for key in lists_of(keys, self._query):
                pipeline.zcount(key, *span)
            count = sum(pipeline.execute())
        return int(count) + sum(batch.total for batch in self._candidates)

    def _step(self, after: str, limit: int) -> Found:
        if self.taken_at is not None and (not after or after.startswith(NEAR)):
            return self._step_near(after or f"{NEAR}0", self.taken_at)
        if after.startswith(IN_BATCHES):
            return self._step_in_batches(_Place.read(after), limit)
        query = replace(self._query, after="" if after == EVERYWHERE else after)
        found = self._ended_by_the_one(search(self._redis, self._account, query, limit))
        is_last = found.next is None and not found.is_the_one
        return replace(found, next=IN_BATCHES) if is_last and self._candidates else found

    def _ended_by_the_one(self, found: Found) -> Found:
        """Ends the search if the mail with the wanted MessageId was found: no other mail has the same one."""
        wanted, ids = self._query.message_id.lower(), [each.message_id or "" for each in found.records]
        is_the_one = bool(ids) if self.taken_at is not None else wanted and wanted in map(str.lower, ids)
        return replace(found, next=None, is_the_one=True) if is_the_one else found

    def _step_near(self, after: str, at: float) -> Found:
        """Looks near the time that the MessageId has. Messages that do not match are not counted: they come again."""
        in_batches = after.startswith(NEAR_IN_BATCHES)
        number = _number_of(after, NEAR_IN_BATCHES if in_batches else NEAR)
        found = self._near_in_batches(number, at) if in_batches else self._near_records(number, at)
        ended = self._ended_by_the_one(found)
        return ended if ended.is_the_one else replace(found, records=[], looked=0)

    def _near_records(self, part: int, at: float) -> Found:
        keys, wanted = Keys(self._account), self._query.message_id.lower()
        looked = near.settled_after(self._redis, keys, self._query.states, at, part)
        ids = [id for id, message_id in looked if message_id.lower().startswith(wanted)]
        read = Messages(self._redis, self._account).get_many(ids) if ids else ()
        matching = (self._query.found_in(record, self._subjects) for record in read if record)
        is_last = not looked or part + 1 >= near.PARTS
        following = f"{NEAR_IN_BATCHES}0" if is_last else f"{NEAR}{part + 1}"
        return Found([record for record in matching if record], following, len(looked))

    def _near_in_batches(self, part: int, at: float) -> Found:
        start = part * near.CHUNKS_ASKED
        going = (each for each in self._candidates if each.created <= at + near.EARLIER_SECONDS)
        chunks = ((batch, number) for batch in going for number in range(batch.chunks))
        asked = list(islice(chunks, start, start + near.CHUNKS_ASKED))
        names = [f"{batch.id}-{number}" for batch, number in asked]
        nearest = [asked[i] for i in near.begun_near(self._redis, self._batches.keys, names, at)]
        found: list[Record] = []
        looked = 0
        for (batch, number), (count, is_hit) in zip(nearest, self._rows_to_read(nearest), strict=True):
            looked += count
            found += (record for _, record in self._matching(batch, number)) if is_hit else ()
        following = EVERYWHERE if len(asked) < near.CHUNKS_ASKED else f"{NEAR_IN_BATCHES}{part + 1}"
        return replace(_compact(found, None, looked), next=following)

    @cached_property
    def _candidates(self) -> list[Batch]:
        """The batches that may have a recipient that matches, the newest first."""
        batches = self._batches.all() if self._in_batches else []
        return sorted(filter(self._may_have, batches), key=lambda each: (each.created, each.id), reverse=True)

    def _may_have(self, batch: Batch) -> bool:
        query = self._query
        states = query.states or tuple(State)
        return (
            any(batch.compact[state] or (state in RECORD_GONE and batch.counts[state]) for state in states)
            and query.has_tag(batch.envelope)
            and (query.until is None or batch.created <= query.until)
            and ("{" in batch.envelope.subject or query.has_words(batch.envelope.subject))
        )

    def _step_in_batches(self, place: _Place, limit: int) -> Found:
        chunks = list(islice(self._chunks_from(place), CHUNKS_AT_ONCE + 1))
        rows = self._rows_to_read(chunks[:CHUNKS_AT_ONCE])
        found: list[Record] = []
        looked = 0
        for (batch, number), (count, is_hit) in zip(chunks, rows, strict=False):
            looked += count
            for row, record in self._matching(batch, number) if is_hit else ():
                if (batch.id, number) == (place.batch, place.chunk) and row < place.row:
                    continue
                if len(found) == limit:
                    return _compact(found, _Place(batch.created, batch.id, number, row), looked)
                found.append(record)
        following = [_Place(batch.created, batch.id, number) for batch, number in chunks[CHUNKS_AT_ONCE:]]
        return self._ended_by_the_one(_compact(found, following[0] if following else None, looked))

    def _chunks_from(self, place: _Place) -> Iterator[tuple[Batch, int]]:
        for batch in self._candidates:
            if (batch.created, batch.id) <= (place.created, place.batch) or not place.batch:
                for number in range(place.chunk if batch.id == place.batch else 0, batch.chunks):
                    yield batch, number

    def _rows_to_read(self, chunks: list[tuple[Batch, int]]) -> list[tuple[int, bool]]:
        """Returns for each chunk its number of rows, and whether a row of it may match."""
        keys, query = self._batches.keys, self._query
        names = [f"{batch.id}-{number}" for batch, number in chunks]
        with mapped():
            pipeline = self._redis.pipeline(transaction=False)
            for name in names:
                pipeline.hget(keys.chunk(name), "n")
            counts = [_count(n) for n in pipeline.execute()]
        has_to = self._having([[keys.rows(name)] for name in names], query.hint_of_to)
        has_id = self._having(
            [[keys.log(name), keys.results(name)] for name in names], query.message_id.lower()
        )
        return [(count, to and id) for count, to, id in zip(counts, has_to, has_id, strict=True)]

    def _having(self, groups: list[list[str]], wanted: str) -> list[bool]:
        """Returns for each group of keys whether one of them has the text; every key has an empty text."""
        if not wanted:
            return [True] * len(groups)
        with mapped():
            pipeline = self._redis.pipeline(transaction=False)
            for group in groups:
                pipeline.mget(group)
            return [
                any(packed and has_text(packed, wanted) for packed in found) for found in pipeline.execute()
            ]

    def _matching(self, batch: Batch, number: int) -> Iterator[tuple[int, Record]]:
        query = self._query
        rows = (
            self._subjects.rows_with(query.has_words, batch, number) if query.subject else range(CHUNK_ROWS)
        )
        recipients = self._batches.recipients_of_chunk(batch, number) if rows else []
        for row in takewhile(lambda row: row < len(recipients), rows):
            recipient = recipients[row]
            if not recipient.has_record and (not query.states or recipient.state in query.states):
                record = query.found_in(record_of_recipient(recipient, batch), self._subjects)
                if record is not None:
                    yield row, record


def _compact(records: list[Record], following: _Place | None, looked: int) -> Found:
    ids = frozenset(record.id for record in records)
    return Found(records, None if following is None else str(following), looked, ids)


def _number_of(cursor: str, prefix: str) -> int:
    """Reads the number of a step. Raises InputError if it is not one."""
    number = cursor.removeprefix(prefix)
    if not (number.isascii() and number.isdecimal() and len(number) < MOST_DIGITS):
        raise InputError(f"after: {cursor!r} is not where a page ended")
    return int(number)


def _count(reply: object) -> int:
    return min(CHUNK_ROWS, int(text(reply))) if text(reply).isdecimal() else 0
