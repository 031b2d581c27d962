"""The outbox: what stands in Redis after a send, one key for one mail, and a clear word when Redis is away."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from rq import Queue
from rq.job import Job
from rq.serializers import JSONSerializer

from agreement import assert_agreement
from sesq.config.embedded import EmbeddedRedis
from sesq.config.errors import InputError, InvalidMessage, QueueUnavailable, UnknownMessage, WrongState
from sesq.producer import Message, Outbox
from sesq.producer import outbox as module
from sesq.queue.careful_redis import connect
from sesq.queue.keys import Keys
from sesq.queue.scripts import run_many
from sesq.queue.states import Lane, State

KEYS = Keys("default")


RAW = b"From: shop@example.com\nTo: ada@example.org\nSubject: Hi\n\n"


def mail(**options: Any) -> Message:
    return Message(
        **{
            "sender": "Shop <shop@example.com>",
            "to": "ada@example.org",
            "subject": "Hi",
            "text": "Hello.",
            **options,
        }
    )


@pytest.fixture
def outbox(redis: Redis) -> Outbox:
    return Outbox(redis)


def test_a_sent_message_waits_in_its_lane_and_rq_can_read_it(redis: Redis, outbox: Outbox) -> None:
    id = outbox.send(mail(lane="bulk", cc="bob@example.org", bcc="success@simulator.amazonses.com"))
    record = outbox.status(id)
    assert (record.state, record.lane, record.attempts) == (State.QUEUED, "bulk", 0)
    assert record.envelope.to == ("ada@example.org",)
    assert redis.hmget(KEYS.message(id), "rate", "day") == [b"3", b"2"]
    queue = Queue(KEYS.queue(Lane.BULK), connection=redis, serializer=JSONSerializer)
    assert queue.job_ids == [id]
    assert queue in Queue.all(redis, serializer=JSONSerializer)
    job = Job.fetch(id, redis, JSONSerializer)
    assert (job.func_name, list(job.args)) == ("sesq.worker.send", [id])
    assert job.origin == KEYS.queue(Lane.BULK)
    assert_agreement(redis)


def test_rqs_job_tells_nothing_of_the_mail(redis: Redis, outbox: Outbox) -> None:
    """RQ logs descriptions and arguments."""
    id = outbox.send(mail(subject="Your secret"))
    job = b" ".join(redis.hgetall(f"rq:job:{id}").values())
    for word in (b"ada", b"example.org", b"secret", b"Hello"):
        assert word not in job


def test_many_keep_their_order_over_lanes_accounts_and_chunks(
    redis: Redis, outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CHUNK", 4)
    lanes = ["bulk", "transactional"]
    messages = [
        mail(to=f"p{i}@example.org", lane=lanes[i % 2], account="shop" if i % 3 == 0 else "default")
        for i in range(10)
    ]
    ids = outbox.send_many(iter(messages))
    assert len(set(ids)) == 10
    for message, id in zip(messages, ids, strict=True):
        assert outbox.status(id, message.account).envelope.to == message.to
    waiting = [id.decode() for id in redis.lrange(f"rq:queue:{KEYS.queue(Lane.BULK)}", 0, -1)]
    assert waiting == [
        id for id, m in zip(ids, messages, strict=True) if m.lane == "bulk" and m.account == "default"
    ]
    assert outbox.send_many([]) == []
    assert_agreement(redis)


def test_scheduled_to_the_millisecond(redis: Redis, outbox: Outbox) -> None:
    moment = datetime.now(timezone.utc) + timedelta(hours=1)
    id = outbox.send(mail(send_at=moment, expires_at=moment + timedelta(hours=1)))
    record = outbox.status(id)
    assert record.state is State.SCHEDULED
    assert record.send_at == pytest.approx(moment.timestamp(), abs=0.001)
    assert redis.zscore(f"rq:scheduled:{KEYS.queue(Lane.TRANSACTIONAL)}", id) == record.send_at
    assert_agreement(redis)


# one key, one mail --------------------------------------------------------------------------------------------------


def test_the_same_key_for_the_same_mail_is_the_same_message(redis: Redis, outbox: Outbox) -> None:
    first = outbox.send(mail(idempotency_key="order 1"))
    assert outbox.send(mail(idempotency_key="order 1")) == first
    assert outbox.send_many([mail(idempotency_key="order 1"), mail(idempotency_key="order 2")])[0] == first
    assert redis.llen(f"rq:queue:{KEYS.queue(Lane.TRANSACTIONAL)}") == 2
    assert_agreement(redis)


def test_the_key_counts_for_one_account(outbox: Outbox) -> None:
    assert outbox.send(mail(idempotency_key="k")) != outbox.send(mail(idempotency_key="k", account="shop"))


def test_the_key_is_not_kept_in_the_clear_and_expires(redis: Redis, outbox: Outbox) -> None:
    outbox.send(mail(idempotency_key="ada's order"))
    keys = list(redis.scan_iter("*idempotency*"))
    assert len(keys) == 1
    assert b"ada" not in keys[0]
    assert 0 < redis.ttl(keys[0]) <= 86_400


def test_the_key_is_kept_as_long_as_asked(redis: Redis) -> None:
    Outbox(redis, key_hours=72).send(mail(idempotency_key="k"))
    (key,) = redis.scan_iter("*idempotency*")
    assert 3 * 86_400 - 5 < redis.ttl(key) <= 3 * 86_400
    with pytest.raises(InputError, match="key_hours"):
        Outbox(redis, key_hours=0)


def test_another_mail_under_the_same_key_is_a_conflict_and_the_others_are_queued(
    redis: Redis, outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CHUNK", 2)
    first = outbox.send(mail(idempotency_key="k"))
    batch = [
        mail(to="a@example.org"),
        mail(idempotency_key="k", text="Other."),
        mail(to="b@example.org", account="shop"),
        mail(to="c@example.org"),
        mail(to="d@example.org"),
    ]
    with pytest.raises(InvalidMessage, match=f"idempotency_key: was already used for message {first}"):
        outbox.send_many(batch)
    assert redis.llen(f"rq:queue:{KEYS.queue(Lane.TRANSACTIONAL)}") == 4
    assert redis.llen(f"rq:queue:{Keys('shop').queue(Lane.TRANSACTIONAL)}") == 1
    assert_agreement(redis)


def test_of_many_who_send_at_once_one_queues_it(redis_server: EmbeddedRedis, redis: Redis) -> None:
    def send(_: int) -> str:
        with connect(redis_server.url) as own:
            return Outbox(own).send(mail(idempotency_key="race"))

    with ThreadPoolExecutor(8) as pool:
        ids = set(pool.map(send, range(24)))
    assert len(ids) == 1
    assert redis.llen(f"rq:queue:{KEYS.queue(Lane.TRANSACTIONAL)}") == 1
    assert_agreement(redis)


# Redis away ---------------------------------------------------------------------------------------------------------


def test_a_client_that_repeats_itself_after_a_lost_reply_queues_nothing_twice(
    redis: Redis, outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a send, word for word
    said: list[Any] = []

    def listen(redis: Redis, account: str, calls: Any, replicas: Any) -> list[Any]:
        said.append(calls)
        return run_many(redis, account, calls, replicas)

    monkeypatch.setattr(module, "run_many", listen)
    id = outbox.send(mail())
    queue = Queue(KEYS.queue(Lane.TRANSACTIONAL), connection=redis, serializer=JSONSerializer)
    # When a client says it again, while the message waits, and when it is at its end
    assert run_many(redis, "default", said[0]) == [[id.encode()]]
    assert queue.job_ids == [id]
    outbox.cancel(id)
    assert run_many(redis, "default", said[0]) == [[id.encode()]]
    # Then it is one message, and stays what it became
    assert (queue.job_ids, outbox.status(id).state) == ([], State.CANCELLED)
    assert_agreement(redis)


def test_a_redis_that_is_not_there_is_told_at_once(tmp_path: Path) -> None:
    outbox = Outbox(f"unix://{tmp_path}/nobody.sock")
    with pytest.raises(QueueUnavailable, match="cannot be reached"):
        outbox.send(mail())
    with pytest.raises(QueueUnavailable):
        outbox.status("x")


def test_a_redis_that_does_not_answer_is_told_after_the_timeout() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        outbox = Outbox(f"redis://127.0.0.1:{silent.getsockname()[1]}?socket_timeout=0.2")
        assert outbox.redis.connection_pool.connection_kwargs["socket_timeout"] == 0.2
        with pytest.raises(QueueUnavailable, match="did not answer in time"):
            outbox.send(mail())


# taking it back -----------------------------------------------------------------------------------------------------


def test_cancelled_it_is_not_sent(redis: Redis, outbox: Outbox) -> None:
    id = outbox.send(mail())
    outbox.cancel(id)
    assert outbox.status(id).state is State.CANCELLED
    assert not redis.exists(KEYS.content(id))
    assert_agreement(redis)
    with pytest.raises(WrongState):
        outbox.cancel(id)
    with pytest.raises(UnknownMessage):
        outbox.cancel("nobody")


def test_records_are_kept_as_long_as_asked(redis: Redis) -> None:
    id = Outbox(redis, keep_days=2).send(mail())
    assert redis.ttl(KEYS.message(id)) == -1
    Outbox(redis).cancel(id)
    assert 2 * 86_400 - 5 < redis.ttl(KEYS.message(id)) <= 2 * 86_400
    assert 2 * 86_400 - 5 < redis.ttl(f"rq:job:{id}") <= 2 * 86_400


def test_a_send_is_one_command_of_redis_once_it_knows_the_script(
    redis: Redis, outbox: Outbox, redis_server: EmbeddedRedis
) -> None:
    # Given an outbox that has sent before, and so has asked Redis for its replicas
    outbox.send(mail())
    with connect(redis_server.url) as other, other.monitor() as heard:
        # When it sends once more
        id = outbox.send(mail())
        redis.echo(id)  # type: ignore[no-untyped-call]
        # Then no other client's command than one EVALSHA was there
        commands = []
        for said in heard.listen():
            if said["client_type"] != "lua":
                commands.append(said["command"].split()[0].upper())
            if commands and commands[-1] == "ECHO":
                break
    assert commands == ["EVALSHA", "ECHO"]


def test_many_in_two_lanes_and_accounts_keep_their_order_and_places(
    redis: Redis, outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given more messages than one call of the script takes, of two lanes and two accounts by turns
    monkeypatch.setattr(module, "A_CALL", 10)

    def one(i: int) -> Message:
        return mail(
            subject=f"{i}", lane=("bulk", "transactional")[i % 2], account=("default", "eu")[i // 2 % 2]
        )

    # When they are queued at once
    ids = outbox.send_many(one(i) for i in range(100))
    # Then each id is that of its own message, and each queue has its own in order
    for i, id in enumerate(ids):
        assert outbox.status(id, one(i).account).envelope.subject == f"{i}"
    for account in ("default", "eu"):
        for lane in Lane:
            queue = Queue(Keys(account).queue(lane), connection=redis, serializer=JSONSerializer)
            own = [id for i, id in enumerate(ids) if (one(i).account, one(i).lane) == (account, lane)]
            assert queue.job_ids == own
            assert len(own) == 25


@pytest.mark.parametrize("content", [{"text": "x" * 600}, {"html": "x" * 600}, {"raw": RAW + b"x" * 600}])
def test_many_large_mails_are_not_gathered_before_they_are_queued(
    redis: Redis, outbox: Outbox, monkeypatch: pytest.MonkeyPatch, content: dict[str, Any]
) -> None:
    # Given mails of which two have more content than one round trip holds
    monkeypatch.setattr(module, "MOST_CONTENT", 1000)
    waiting = []

    def mails() -> Iterator[Message]:
        for _ in range(5):
            waiting.append(redis.llen(f"rq:queue:{KEYS.queue(Lane.TRANSACTIONAL)}"))
            yield Message(sender="shop@example.com", to="ada@example.org", **content)

    # When five are queued, Then each two are in Redis before the next one is asked for
    assert len(outbox.send_many(mails())) == 5
    assert waiting == [0, 0, 2, 2, 4]


def test_one_key_twice_in_one_call_is_one_message(redis: Redis, outbox: Outbox) -> None:
    first, second, third = outbox.try_send_many(
        [mail(idempotency_key="a"), mail(idempotency_key="a"), mail(idempotency_key="a", subject="Other")]
    )
    assert first == second
    assert isinstance(third, InvalidMessage)
    queue = Queue(KEYS.queue(Lane.TRANSACTIONAL), connection=redis, serializer=JSONSerializer)
    assert queue.job_ids == [first]
    assert_agreement(redis)
