"""What a producer is told where its Redis user may not do everything: an error means that nothing is queued."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone

import pytest
from redis import Redis

from redis_user import EVERYTHING, limited_client
from sesq.config.embedded import EmbeddedRedis
from sesq.config.errors import QueueUnavailable
from sesq.producer import Message, Outbox
from sesq.producer.batch.template import Template
from sesq.queue.keys import Keys
from sesq.queue.scripts import read_lua
from sesq.queue.states import State

KEYS = Keys("default")
OWN_TEXT = read_lua("enqueue.lua")
COMMANDS = sorted(
    {*re.findall(r"call\('([A-Z]+)'", OWN_TEXT), "TIME", "PUBLISH", "EVAL", "EVALSHA", "SCRIPT"}
)


def mail(**options: object) -> Message:
    return Message(sender="shop@example.com", to=["ada@example.org"], subject="Hi", text="Hello.", **options)


def sent(outbox: Outbox, message: Message) -> set[str]:
    """The id that the caller is told; empty where it is told that Redis's user lacks rights."""
    try:
        return {outbox.send(message)}
    except QueueUnavailable as error:
        if "rights" not in str(error):
            raise
        return set()


def queued(redis: Redis) -> set[str]:
    """The ids that stand anywhere as mail to be sent."""
    found = {key.decode().rpartition(":")[2] for key in redis.scan_iter("sesq:default:message:*")}
    found |= {key.decode().rpartition(":")[2] for key in redis.scan_iter("rq:job:*")}
    for lane in ("transactional", "bulk"):
        found |= {id.decode() for id in redis.lrange(f"rq:queue:sesq.default.{lane}", 0, -1)}
        found |= {id.decode() for id in redis.zrange(f"rq:scheduled:sesq.default.{lane}", 0, -1)}
    for state in (State.QUEUED, State.SCHEDULED):
        found |= {id.decode() for id in redis.zrange(KEYS.state(state), 0, -1)}
    return found | {id.decode() for id in redis.zrange("sesq:default:expiring", 0, -1)}


def test_without_the_right_to_any_channel_mail_is_queued_once(
    redis: Redis, redis_server: EmbeddedRedis
) -> None:
    # Given a user made as Redis 7 makes it by default: without channels
    with limited_client(redis, redis_server.url, ("~*", "+@all")) as client:
        id = Outbox(client).send(mail())
    # Then what the caller was told is what is there
    assert redis.lrange("rq:queue:sesq.default.transactional", 0, -1) == [id.encode()]


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_that_is_denied_leaves_nothing_queued(
    command: str, redis: Redis, redis_server: EmbeddedRedis
) -> None:
    now = datetime.now(timezone.utc)
    for options in ({}, {"send_at": now + timedelta(hours=1), "expires_at": now + timedelta(hours=2)}):
        with limited_client(redis, redis_server.url, (*EVERYTHING, f"-{command.lower()}")) as client:
            ids = sent(Outbox(client), mail(idempotency_key="order-1", **options))
        assert queued(redis) == ids
        # When the right is given, Then the same key queues the mail
        again = Outbox(redis).send(mail(idempotency_key="order-1", **options))
        assert queued(redis) == {again}
        redis.flushall()


@pytest.mark.parametrize("keys", [("~sesq:*",), ("~rq:*",)])
def test_a_user_without_one_half_of_the_keys_queues_nothing(
    keys: tuple[str, ...], redis: Redis, redis_server: EmbeddedRedis
) -> None:
    with (
        limited_client(redis, redis_server.url, (*keys, "allchannels", "+@all")) as client,
        pytest.raises(QueueUnavailable, match="rights"),
    ):
        Outbox(client).send(mail())
    assert queued(redis) == set()
    assert redis.zcard(KEYS.state(State.QUEUED)) == 0


def test_a_chunk_that_could_not_be_added_is_added_once_the_right_is_given(
    redis: Redis, redis_server: EmbeddedRedis
) -> None:
    template = Template(name="news", subject="Hi", text="Hello.")
    rows = [{"email": f"p{i}@example.org"} for i in range(3)]
    with (
        limited_client(redis, redis_server.url, ("~sesq:*", "allchannels", "+@all")) as client,
        pytest.raises(QueueUnavailable, match="rights"),
    ):
        Outbox(client).send_batch(template, rows, sender="shop@example.com", key="june")
    taken = Outbox(redis).send_batch(template, rows, sender="shop@example.com", key="june")
    counts = redis.hmget(KEYS.batch(taken.id), "total", "n:waiting", "chunks", "jobs")
    assert counts == [b"3", b"3", b"1", b"1"]
    assert redis.llen("rq:queue:sesq.default.bulk") == 1
