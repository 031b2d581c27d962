"""What holds for the first account, event and address of an outbox holds for the next ones."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from redis import Redis

from sesq.config.errors import InvalidMessage, WouldBeRefused
from sesq.producer import Message, Outbox
from sesq.producer.consuming import consume, consume_async
from sesq.queue.events import MessageEvent
from sesq.queue.gate import SYNC


def mail(account: str, sender: str = "shop@example.com") -> Message:
    return Message(sender=sender, to="ada@example.org", text="Hello.", account=account)


def sync(redis: Redis, account: str, *verified: str) -> None:
    told = {"rate": 10.0, "daily": 200.0, "sent": 0.0, "production": 1, "sending": 1, "readable": 1}
    words = {"paused_because": "", "enforcement": "", "identities": dict.fromkeys(verified, 1)}
    SYNC.run(redis, account, json.dumps({**told, **words}))


@pytest.mark.parametrize("accounts", [("default", "other"), ("other", "default"), ("unknown", "other")])
def test_each_message_is_checked_by_its_own_account(redis: Redis, accounts: tuple[str, str]) -> None:
    sync(redis, "default", "example.com")
    sync(redis, "other", "other.example")
    outbox = Outbox(redis)
    with pytest.raises(WouldBeRefused) as refused:
        outbox.send_many([mail(account) for account in accounts], check=True)
    assert str(refused.value) == "sender shop@example.com is not verified"
    senders = {"default": "a@example.com", "other": "b@other.example", "unknown": "c@anything.example"}
    assert len(outbox.send_many([mail(each, senders[each]) for each in accounts], check=True)) == 2


class Reader:
    """Gives an event at every other look, each 0.3 s after the one before, and at last none."""

    def __init__(self) -> None:
        self.now, self.left, self.acknowledged = 0.0, [[], ["1"], [], ["2"], [], ["3"]], []

    def read(self, count: int = 100, block: float = 1.0) -> list[MessageEvent]:
        self.now += 0.3
        ids = self.left.pop(0) if self.left else []
        return [MessageEvent(id=id, account="default", at=self.now) for id in ids]

    def is_reader(self) -> bool:
        return True

    def acknowledge(self, *ids: str) -> None:
        self.acknowledged += ids

    def close(self) -> None:
        self.acknowledged.append("closed")


@pytest.mark.parametrize("is_async", [False, True])
def test_the_loop_ends_so_long_after_the_last_event(is_async: bool) -> None:
    reader: Any = Reader()

    async def told() -> list[str]:
        return [event.id async for event in consume_async(reader, 1.0, lambda: reader.now)]

    events = (
        asyncio.run(told()) if is_async else [event.id for event in consume(reader, 1.0, lambda: reader.now)]
    )
    assert events == ["1", "2", "3"]
    assert reader.acknowledged == ["1", "2", "3", "closed"]
    assert reader.now == pytest.approx(1.8 + 1.2)


def test_a_mail_that_may_leave_a_list_goes_to_one_person_however_it_is_addressed() -> None:
    one = Message(sender="shop@example.com", to="ada@example.org", text="Hello.", contact_list="news")
    assert one.readdressed(to="bob@example.org").contact_list == "news"
    with pytest.raises(InvalidMessage, match="contact_list"):
        one.readdressed(to=["bob@example.org", "cleo@example.org"])
