"""The outbox for an application's own tests: it records, checks as the real one, and asks no Redis."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from redis import Redis
from redis.client import Pipeline

from sesq.config.errors import InvalidMessage, QueueUnavailable
from sesq.producer import AsyncOutbox, Message, Outbox
from sesq.producer.testing import Recorded, outbox

NOWHERE = "redis://127.0.0.1:1/0"


def mail(**options: Any) -> Message:
    return Message(
        **{
            "sender": "shop@example.com",
            "to": "ada@example.org",
            "subject": "Hi",
            "text": "Hello.",
            **options,
        }
    )


def test_what_any_outbox_queues_is_recorded(sesq_outbox: Recorded) -> None:
    # Given outboxes made before and within, with a URL of no Redis and with none
    first, second = Outbox(NOWHERE), Outbox()
    ids = [first.send(mail(subject="one")), *second.send_many([mail(), mail(lane="bulk")], check=True)]
    ids.append(asyncio.run(AsyncOutbox(NOWHERE).send(mail(subject="two"))))
    # Then it is what was queued, in order
    assert sesq_outbox.ids == ids
    assert [message.subject for message in sesq_outbox.messages] == ["one", "Hi", "Hi", "two"]
    taken = first.send_batch("folder", [{"email": "a@example.org"}], sender="shop@example.com", key="k")
    assert (taken.rows, taken.queued, bool(taken.id)) == (1, 1, True)
    assert sesq_outbox.batches == [
        ("folder", [{"email": "a@example.org"}], {"sender": "shop@example.com", "key": "k"})
    ]
    # and can be forgotten
    sesq_outbox.clear()
    assert (sesq_outbox.messages, sesq_outbox.ids, sesq_outbox.batches) == ([], [], [])


def test_a_key_is_taken_once_as_by_the_queue(sesq_outbox: Recorded) -> None:
    box = Outbox(NOWHERE)
    id = box.send(mail(idempotency_key="order-1"))
    assert box.send(mail(idempotency_key="order-1")) == id
    assert box.send(mail(idempotency_key="order-1", account="eu")) != id
    with pytest.raises(InvalidMessage, match=id):
        box.send(mail(idempotency_key="order-1", lane="bulk", tags={"a": "b"}))
    assert len(sesq_outbox.messages) == 2
    # and so is an id
    again = box.send(mail(id=id))
    assert (again, len(sesq_outbox.messages)) == (id, 2)


def test_what_needs_redis_says_that_there_is_none(sesq_outbox: Recorded) -> None:
    box = Outbox(NOWHERE)
    with pytest.raises(QueueUnavailable, match=r"sesq\.producer\.testing"):
        box.status(box.send(mail()))
    with pytest.raises(QueueUnavailable):
        asyncio.run(anext(AsyncOutbox(box).events(consumer="crm")))
    with pytest.raises(InvalidMessage, match="idempotency_key"):
        box.send(mail(idempotency_key="a"), pipeline=Pipeline(None, None, None, None))
    with pytest.raises(InvalidMessage, match="to"):
        box.send(Message(sender="shop@example.com", to="nobody", text=""))


def test_after_the_block_an_outbox_queues_again(redis: Redis) -> None:
    with outbox() as recorded:
        Outbox(NOWHERE).send(mail())
    box = Outbox(redis)
    id = box.send(mail())
    assert box.status(id).id == id
    assert len(recorded.ids) == 1
