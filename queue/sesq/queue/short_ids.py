"""Shortens ids for tables, and finds the message or batch whose id begins with given characters."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

from redis import Redis

from sesq.config.connection import mapped
from sesq.config.errors import InputError, UnknownBatch, UnknownMessage
from sesq.queue.batches import Batches
from sesq.queue.chunks import place_of
from sesq.queue.ids import is_id
from sesq.queue.keys import Keys
from sesq.queue.messages import Messages
from sesq.queue.record import Record
from sesq.queue.replies import text, texts
from sesq.queue.states import State

LEAST_OF_MESSAGE, LEAST_OF_BATCH = 13, 8
"""Characters. The first ten of a message's id are its time in milliseconds; three more make it unique in practice."""
LEAST_GIVEN = 4
"""How many characters of an id a person has to give."""
MOST_NAMED = 5
AT_ONCE = 2000
"""Ids that Redis compares in one step, in about a millisecond."""

_special = re.compile(r"([*?\[\]\\^])")
_row = re.compile(r"([0-9a-f]{4,20})(-\d{1,9}-\d{1,9})").fullmatch


class AmbiguousId(InputError):
    """Several ids begin with these characters. The text names some."""


def shortened(ids: Sequence[str]) -> dict[str, str]:
    """Shortens each id to a beginning that no other of them has.

    A row of a batch gets the short id of the batch with its own numbers.
    """
    batches = {place.batch for id in ids if (place := place_of(id))}
    of_batch = _unique_beginnings(sorted(batches), LEAST_OF_BATCH)
    of_message = _unique_beginnings(sorted({id for id in ids if is_id(id)}), LEAST_OF_MESSAGE)
    return {id: _shortened(id, of_message, of_batch) for id in ids}


def shortened_batches(ids: Sequence[str]) -> dict[str, str]:
    """Does the same for ids of batches."""
    return _unique_beginnings(sorted(set(ids)), LEAST_OF_BATCH)


def find_message(messages: Messages, given: str) -> Record:
    """Finds the message with this id, or the only one whose id begins with it. Raises UnknownMessage, AmbiguousId."""
    try:
        return messages.get(given)
    except UnknownMessage as unknown:
        row = _row(given)
        if row:
            batch = _batch_of(messages.redis, messages.keys.account, row[1], unknown)
            return messages.get(f"{batch}{row[2]}")
        if is_id(given):
            raise
        return messages.get(_only(given, _message_ids(messages.redis, messages.keys, given), unknown))


def find_batch_id(redis: Redis, account: str, given: str) -> str:
    """Finds the batch with this id, or the only one whose id begins with it. Raises UnknownBatch, AmbiguousId."""
    try:
        return Batches(redis, account).get(given).id
    except UnknownBatch as unknown:
        return _batch_of(redis, account, given, unknown)


def _shortened(id: str, of_message: Mapping[str, str], of_batch: Mapping[str, str]) -> str:
    place = place_of(id)
    return f"{of_batch[place.batch]}-{place.chunk}-{place.row}" if place else of_message.get(id, id)


def _unique_beginnings(ordered: Sequence[str], least: int) -> dict[str, str]:
    """Returns for each sorted id the shortest beginning that its neighbours do not have."""
    needed = [0, *(_shared(one, other) for one, other in pairwise(ordered)), 0]
    return {
        id: id[: max(least, before + 1, after + 1)]
        for id, before, after in zip(ordered, needed, needed[1:], strict=False)
    }


def _shared(one: str, other: str) -> int:
    return next(
        (i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other))
    )


def _batch_of(redis: Redis, account: str, given: str, unknown: Exception) -> str:
    with mapped():
        ids = texts(redis.zrevrange(Keys(account).batches, 0, -1))
    return _only(given, (id for id in ids if id.startswith(given)), unknown)


def _message_ids(redis: Redis, keys: Keys, given: str) -> Iterator[str]:
    """Yields the ids of messages with this beginning, in steps of some thousand."""
    pattern = _special.sub(r"\\\1", given) + "*"
    with mapped():
        for state in State:
            for id, _ in redis.zscan_iter(keys.state(state), match=pattern, count=AT_ONCE):
                yield text(id)


def _only(given: str, found: Iterator[str], unknown: Exception) -> str:
    if len(given) < LEAST_GIVEN:
        raise unknown
    ids: set[str] = set()
    for id in found:
        ids.add(id)
        if len(ids) > MOST_NAMED:
            break
    if not ids:
        raise unknown
    if len(ids) > 1:
        named = ", ".join(sorted(ids)[:MOST_NAMED]) + (", …" if len(ids) > MOST_NAMED else "")
        raise AmbiguousId(f"{given} is the beginning of several ids: {named}; give more of it")
    return ids.pop()
