"""`Outbox.try_send_many`: an answer for each message, where `send_many` raises."""

from __future__ import annotations

import pytest
from redis import Redis

from sesq.config.errors import InvalidMessage
from sesq.producer import Message, Outbox
from sesq.queue.messages import Messages
from sesq.queue.states import State


def mail(subject: str, key: str | None = None) -> Message:
    return Message(
        sender="shop@example.com", to="ada@example.org", subject=subject, text="Hi", idempotency_key=key
    )


def test_a_conflicting_key_is_told_of_its_message_alone(redis: Redis) -> None:
    # Given a key that stands for a mail
    outbox = Outbox(redis)
    first = outbox.send(mail("One", "key"))
    # When it comes again, once for the same and once for another, among others
    before, same, other, after = outbox.try_send_many(
        [mail("A"), mail("One", "key"), mail("Two", "key"), mail("B")]
    )
    # Then each has its own answer, and only the conflict is not queued
    assert same == first
    assert isinstance(other, InvalidMessage)
    assert first in str(other)
    assert isinstance(before, str)
    assert isinstance(after, str)
    assert Messages(redis).counts()[State.QUEUED] == 3


def test_send_many_raises_what_offer_answers_and_has_queued_the_others(redis: Redis) -> None:
    outbox = Outbox(redis)
    outbox.send(mail("One", "key"))
    with pytest.raises(InvalidMessage, match="idempotency_key"):
        outbox.send_many([mail("A"), mail("Two", "key"), *(mail(f"{i}") for i in range(1000))])
    assert Messages(redis).counts()[State.QUEUED] == 1002
