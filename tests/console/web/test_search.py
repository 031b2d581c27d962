"""Finding messages: pages that lose and repeat nothing, whatever came at the same moment; and an honest end."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis import Redis

from sesq.config.errors import InputError
from sesq.console.web import search as module
from sesq.console.web.search import Query, search
from sesq.producer import Message, Outbox
from sesq.queue.keys import CLOCK_OFFSET
from sesq.queue.messages import Messages
from sesq.queue.states import State


def mail(number: int, **options: Any) -> Message:
    to = f"person{number}@example.org"
    return Message(**{"sender": "shop@example.com", "to": to, "text": "x", "subject": str(number), **options})


def pages(redis: Redis, query: Query, limit: int) -> list[list[str]]:
    found, after = [], ""
    while True:
        page = search(redis, "default", Query(**{**_fields(query), "after": after}), limit)
        found.append([record.envelope.subject for record in page.records])
        if page.next is None:
            return found
        after = page.next


def _fields(query: Query) -> dict[str, Any]:
    return {name: getattr(query, name) for name in ("states", "to", "tag", "waiting")}


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    moments=st.lists(st.integers(0, 3), max_size=40),
    cancelled=st.sets(st.integers(0, 39)),
    limit=st.integers(1, 12),
    chunk=st.integers(2, 6),
)
def test_every_message_is_on_one_page_the_newest_first(
    redis: Redis, moments: list[int], cancelled: set[int], limit: int, chunk: int
) -> None:
    redis.flushall()
    before, module.CHUNK = module.CHUNK, chunk
    try:
        # Given messages that came at few different moments, in two states
        for number, moment in enumerate(sorted(moments)):
            redis.set(CLOCK_OFFSET, f"={1_700_000_000 + moment}")
            id = Outbox(redis).send(mail(number))
            if number in cancelled:
                Messages(redis).cancel(id, "test")
        # When they are paged through
        told = pages(redis, Query(), limit)
        # Then each is there once, in the order of their moments
        subjects = [subject for page in told for subject in page]
        assert sorted(subjects, key=int) == [str(number) for number in range(len(moments))]
        seen = [sorted(moments)[int(subject)] for subject in subjects]
        assert seen == sorted(seen, reverse=True)
        assert all(len(page) <= limit for page in told)
    finally:
        module.CHUNK = before


@pytest.fixture
def some(redis: Redis) -> None:
    tags = [{}, {"kind": "receipt"}, {"kind": "news"}]
    for number in range(9):
        redis.set(CLOCK_OFFSET, number)  # each a second later
        Outbox(redis).send(mail(number, tags=tags[number % 3]))


@pytest.mark.usefixtures("some")
@pytest.mark.parametrize(
    ("query", "subjects"),
    [
        (Query(to="PERSON4@"), ["4"]),
        (Query(tag="kind=news"), ["8", "5", "2"]),
        (Query(tag="kind"), ["8", "7", "5", "4", "2", "1"]),
        (Query(tag="kind=receipt", to="person7"), ["7"]),
        (Query(states=(State.SENT,)), []),
        (Query(waiting="recipient:nobody@example.org"), []),
    ],
)
def test_by_recipient_and_tag(redis: Redis, query: Query, subjects: list[str]) -> None:
    assert [subject for page in pages(redis, query, 50) for subject in page] == subjects


@pytest.mark.usefixtures("some")
def test_a_search_that_looks_inside_ends_and_says_how_far_it_got(
    redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LOOK_THROUGH", 4)
    first = search(redis, "default", Query(to="person1@"))
    assert (first.records, first.looked) == ([], 4)
    assert first.next
    rest = search(redis, "default", Query(to="person1@", after=first.next))
    assert [record.envelope.subject for record in rest.records] == ["1"]
    assert rest.next
    last = search(redis, "default", Query(to="person1@", after=rest.next))
    assert last.looked == 1
    assert last.next is None
    assert pages(redis, Query(to="person1@"), 50)[1] == ["1"]


@pytest.mark.usefixtures("some")
@pytest.mark.parametrize("after", ["elsewhere", "nan:x", "inf:x", "-1e999:x"])
def test_a_cursor_that_is_none_is_refused(redis: Redis, after: str) -> None:
    with pytest.raises(InputError, match="is not where a page ended"):
        search(redis, "default", Query(after=after))


def test_what_waits_for_the_same_is_paged_too(redis: Redis) -> None:
    redis.set(CLOCK_OFFSET, "=1700000000")
    ids = Outbox(redis).send_many(mail(number) for number in range(7))
    key = Messages(redis).keys.hold("person:all")
    redis.zadd(key, dict.fromkeys(ids, 1_700_000_000.0))
    told = pages(redis, Query(waiting="person:all"), 2)
    assert sorted(subject for page in told for subject in page) == [str(number) for number in range(7)]
