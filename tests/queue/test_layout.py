"""Versions of sesq that keep their data in another layout do not share a Redis."""

from __future__ import annotations

import pytest
from redis import Redis

from sesq.config.errors import QueueUnavailable, WrongLayout
from sesq.config.settings import Settings
from sesq.console.context import open_redis
from sesq.producer import Message, Outbox
from sesq.queue.audit import audit
from sesq.queue.layout import NUMBER
from sesq.worker.start import run_worker

OTHER = "sesq:layout in Redis is '7'.* run the same version of sesq everywhere"


def mail() -> Message:
    return Message(sender="shop@example.com", to="ada@example.org", text="Hi")


def test_who_first_queues_a_message_writes_its_number(redis: Redis) -> None:
    outbox = Outbox(redis)
    assert redis.get("sesq:layout") is None
    outbox.send(mail())
    assert redis.get("sesq:layout") == NUMBER.encode()


def test_an_outbox_refuses_data_of_another_version(redis: Redis) -> None:
    # Given a Redis that another version of sesq uses
    redis.set("sesq:layout", 7)
    outbox = Outbox(redis)
    # Then nothing is queued, in whatever way, and nothing is read
    with pytest.raises(WrongLayout, match=OTHER):
        outbox.send(mail())
    with redis.pipeline() as pipeline, pytest.raises(WrongLayout, match=OTHER):
        outbox.send(mail(), pipeline=pipeline)
    with pytest.raises(WrongLayout, match=OTHER):
        outbox.status("01ARYZ6S41TSV4RRFFQ69G5FAV")
    assert redis.keys("*") == [b"sesq:layout"]
    # and its callers handle it as a queue that cannot be used
    assert issubclass(WrongLayout, QueueUnavailable)
    # When that is set right, Then the same outbox is of use
    redis.delete("sesq:layout")
    assert outbox.status(outbox.send(mail())).state.value == "queued"


def test_a_worker_refuses_it_too(redis: Redis) -> None:
    redis.set("sesq:layout", 7)
    with pytest.raises(WrongLayout, match=OTHER):
        run_worker(redis, Settings())
    assert redis.keys("*") == [b"sesq:layout"]


def test_the_commands_and_the_console_refuse_it_and_write_nothing(
    redis: Redis, redis_server: object, make_settings: object
) -> None:
    settings = make_settings()  # type: ignore[operator]
    open_redis(settings).close()
    assert redis.keys("*") == []
    redis.set("sesq:layout", 7)
    with pytest.raises(WrongLayout, match=OTHER):
        open_redis(settings)


def test_a_command_that_finds_redis_away_says_so_when_it_uses_it(make_settings: object) -> None:
    redis = open_redis(make_settings(redis_url="redis://127.0.0.1:1"))  # type: ignore[operator]
    redis.close()


def test_the_auditor_names_another_layout(redis: Redis) -> None:
    Outbox(redis).send(mail())
    redis.set("sesq:layout", 7)
    (finding,) = audit(redis, sleep=lambda _: None)
    assert (finding.kind.value, finding.key, finding.repairable) == ("layout", "sesq:layout", False)
    assert "there is no migration" in finding.cure
