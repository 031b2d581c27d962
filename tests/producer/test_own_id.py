"""A message whose id the application has chosen."""

from __future__ import annotations

import re

import pytest
from redis import Redis

from agreement import assert_agreement
from sesq.config.errors import InvalidMessage
from sesq.producer import Message, Outbox
from sesq.queue.ids import following, is_id, new_id


def mail(**options: str) -> Message:
    return Message(sender="shop@example.com", to="ada@example.org", subject="Hi", text="Hello.", **options)


def test_a_message_queued_again_with_its_id_is_one_message(redis: Redis) -> None:
    # Given an application that got no answer, and so queues its message again
    outbox, id = Outbox(redis), new_id()
    assert [outbox.send(mail(id=id)), *outbox.send_many([mail(id=id), mail()])][:2] == [id, id]
    assert redis.llen("rq:queue:sesq.default.transactional") == 2
    # When it has been cancelled, Then it stays so
    outbox.cancel(id)
    assert outbox.send(mail(id=id)) == id
    assert outbox.status(id).state.value == "cancelled"
    assert_agreement(redis)


@pytest.mark.parametrize(
    "id", ["", "x", "01ARZ3NDEKTSV4RRFFQ69G5FAI", "81ARZ3NDEKTSV4RRFFQ69G5FAV", "a-0-1", 7]
)
def test_an_id_is_one_that_sesq_would_make(id: str) -> None:
    with pytest.raises(InvalidMessage, match="id"):
        mail(id=id)


def test_the_ids_that_follow_an_id_are_ids_in_order() -> None:
    first = "01ARZ3NDEKTSV4RRFFQ69G5FZY"
    some = [following(first, count) for count in range(4)]
    assert some == [
        first,
        "01ARZ3NDEKTSV4RRFFQ69G5FZZ",
        "01ARZ3NDEKTSV4RRFFQ69G5G00",
        "01ARZ3NDEKTSV4RRFFQ69G5G01",
    ]
    assert all(map(is_id, some))
    assert re.fullmatch(r"[0-9A-Z]{26}", following(new_id(), 1))
