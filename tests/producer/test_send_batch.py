"""`Outbox.send_batch`: any iterable of rows, read once and never held whole."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis

from batch import template, write_template
from sesq.config.errors import InvalidMessage, InvalidTemplate, TakenBefore
from sesq.producer import Outbox
from sesq.producer.batch.row_validator import Why
from sesq.queue.batches import Batches


class Person(dict[str, str]):
    """A row whose life can be watched."""

    __hash__ = object.__hash__  # type: ignore[assignment]


def test_rows_are_queued_while_they_come(redis: Redis, tmp_path: Path) -> None:
    living: weakref.WeakSet[Person] = weakref.WeakSet()
    most = 0

    def people() -> Iterator[Person]:
        nonlocal most
        for i in range(5000):
            person = Person(email=f"p{i}@example.org", name=f"P{i}")
            living.add(person)
            most = max(most, len(living))
            yield person

    folder = write_template(tmp_path / "news")
    taken = Outbox(redis).send_batch(folder, people(), sender="Shop <shop@example.com>")
    assert (taken.rows, taken.queued, taken.problems) == (5000, 5000, [])
    assert most <= 1100  # two chunks
    batch = Batches(redis).get(taken.id)
    assert (batch.name, batch.total, batch.chunks, batch.filled) == ("news", 5000, 10, True)


def test_a_key_stands_for_the_rows(redis: Redis) -> None:
    outbox = Outbox(redis)
    rows = [{"email": "a@example.org", "name": "A"}, {"email": "nobody", "name": "B"}]
    first = outbox.send_batch(template(), rows, sender="shop@example.com", key="autumn")
    assert [(each.line, each.why) for each in first.problems] == [(2, Why.INVALID)]
    with pytest.raises(TakenBefore, match=first.id):
        outbox.send_batch(template(), rows, sender="shop@example.com", key="autumn")
    for other in (
        outbox.send_batch(template(), rows, sender="shop@example.com", key="autumn", again=True),
        outbox.send_batch(template(), rows, sender="shop@example.com", key="winter"),
        outbox.send_batch(template(), rows, sender="other@example.com", key="autumn"),
        outbox.send_batch(template(text="Other"), rows, sender="shop@example.com", key="autumn"),
        outbox.send_batch(template(), rows, sender="shop@example.com"),
        outbox.send_batch(template(), rows, sender="shop@example.com"),
    ):
        assert other.id != first.id
    assert len(Batches(redis).all()) == 7


def test_a_row_that_the_template_cannot_print_is_left_out(redis: Redis) -> None:
    news = template(text="Hello from {{ user.city }}")
    rows = [
        {"email": "a@example.org", "name": "A", "user": {"city": "Ulm"}},
        {"email": "b@example.org", "name": "B", "user": {}},
        {"email": "c@example.org", "name": "two\nlines", "user": {"city": "Ulm"}},
        {"email": "B@example.org", "name": "B", "user": {"city": "Bonn"}},
    ]
    taken = Outbox(redis).send_batch(news, rows, sender="shop@example.com")
    assert [(each.line, each.why) for each in taken.problems] == [(2, Why.INVALID), (3, Why.INVALID)]
    assert "news/body.txt" in taken.problems[0].reason
    assert "line break" in taken.problems[1].reason
    assert taken.unprintable == taken.problems[0]
    # and a right row of the same recipient is none too many
    assert (taken.queued, Batches(redis).get(taken.id).invalid) == (2, 2)


def test_of_very_many_rows_that_are_left_out_a_thousand_are_named(redis: Redis) -> None:
    # Given 1,001 rows without an address, and one with an address
    rows = [*[{"name": "A"}] * 1001, {"email": "a@example.org", "name": "A"}]
    # When they are queued
    taken = Outbox(redis).send_batch(template(), rows, sender="shop@example.com")
    # Then the first thousand are named, and all are counted
    assert [each.line for each in taken.problems] == [*range(1, 1001)]
    assert (taken.left_out[Why.INVALID], taken.queued) == (1001, 1)


def test_a_null_is_no_value(redis: Redis) -> None:
    news = template(text="Hello {{ nick|default('you') }}.")
    rows = [
        {"email": "a@example.org", "name": "A", "nick": None},
        {"email": "b@example.org", "name": None, "nick": "B"},
    ]
    taken = Outbox(redis).send_batch(news, rows, sender="shop@example.com")
    assert (taken.queued, [each.reason for each in taken.problems]) == (1, ["has no name"])


def test_wrong_orders_queue_nothing(redis: Redis, tmp_path: Path) -> None:
    outbox = Outbox(redis)
    with pytest.raises(InvalidTemplate):
        outbox.send_batch(tmp_path / "nowhere", [], sender="shop@example.com")
    for wrong in (
        {"sender": "nonsense"},
        {"stop_bounces": 101},
        {"tags": {"sesq-id": "x"}},
        {"account": "A B"},
    ):
        with pytest.raises(InvalidMessage):
            outbox.send_batch(template(), [], **{"sender": "shop@example.com", **wrong})  # type: ignore[arg-type]
    assert redis.keys("*") == []
