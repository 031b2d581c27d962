"""What RQ's tools see of a worker: its name, from its start to its end."""

from __future__ import annotations

import os
import queue
import subprocess
import time
from typing import Any

import pytest
from redis import Redis
from rq import Queue, Worker
from rq.serializers import JSONSerializer
from rq.worker import BaseWorker

from sesq.config.embedded import EmbeddedRedis
from sesq.queue.states import Lane
from sesq.worker.rq_registration import NameTaken, NotServed, RegisteredWorker
from sesq.worker.worker import SesqWorker


def registered(redis: Redis, name: str) -> RegisteredWorker:
    worker = RegisteredWorker(["sesq.default.bulk"], name, connection=redis)
    worker.register()
    return worker


@pytest.mark.parametrize(
    "command",
    [
        b"shutdown",
        b"\xff",
        b"",
        b"[]",
        b'"text"',
        b"null",
        b"{}",
        b'{"command": "kill-horse"}',
        b'{"command": "stop-job", "job_id": []}',
        b'{"command": "stop-execution"}',
        b'{"command": "no such"}',
    ],
)
def test_a_command_that_cannot_be_obeyed_makes_a_worker_deaf_to_no_other(
    redis: Redis, command: bytes
) -> None:
    # Given a worker that listens to RQ's channel and to wake signals
    heard: queue.SimpleQueue[Any] = queue.SimpleQueue()
    worker = RegisteredWorker(["sesq.default.bulk"], "ox", connection=redis)
    worker.wake_channels = {"wake": heard.put}
    worker.register()
    # When a message comes that RQ cannot read
    redis.publish("rq:pubsub:ox", command)
    redis.publish("wake", "after it")
    # Then the worker hears what comes after it
    assert heard.get(timeout=30)["data"] == b"after it"
    worker.take_leave(redis_is_away=False)


def test_a_wake_signal_that_cannot_be_heard_makes_a_worker_deaf_to_no_other(
    redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a worker for whom the first wake signal is a surprise
    heard: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def ring(message: dict[str, Any]) -> None:
        if message["data"] == b"surprise":
            raise ValueError(message)
        heard.put(message)

    monkeypatch.setattr(time, "sleep", lambda _: None)
    worker = RegisteredWorker(["sesq.default.bulk"], "ox", connection=redis)
    worker.wake_channels = {"wake": ring}
    worker.register()
    redis.publish("wake", "surprise")
    redis.publish("wake", "after it")
    assert heard.get(timeout=30)["data"] == b"after it"
    worker.take_leave(redis_is_away=False)


def names(redis: Redis) -> list[str]:
    return [worker.name for worker in BaseWorker.all(connection=redis)]


def test_two_at_work_have_two_names(redis: Redis) -> None:
    first = registered(redis, "ox")
    with pytest.raises(NameTaken, match="--name: a worker called ox"):
        registered(redis, "ox")
    first.take_leave(redis_is_away=False)
    registered(redis, "ox").take_leave(redis_is_away=False)


def test_the_name_of_one_that_was_killed_here_is_free_at_once(redis: Redis) -> None:
    # Given a worker whose process is gone, though RQ lists it
    first = registered(redis, "ox")
    dead = subprocess.Popen(["true"])
    dead.wait()
    redis.hset(first.key, "pid", dead.pid)
    # Then another one may have its name
    again = registered(redis, "ox")
    assert names(redis) == ["ox"]
    assert redis.hget(again.key, "pid") == str(os.getpid()).encode()
    # and not the name of one that was killed on another host, of which nobody here can tell
    redis.hset(first.key, mapping={"pid": dead.pid, "hostname": "elsewhere"})
    with pytest.raises(NameTaken):
        registered(redis, "ox")
    for worker in (first, again):
        worker.take_leave(redis_is_away=False)


def test_a_worker_that_redis_has_forgotten_is_listed_again(redis: Redis) -> None:
    worker = registered(redis, "ox")
    redis.flushall()
    worker.tell_rq(busy=False)
    assert names(redis) == ["ox"]
    worker.take_leave(redis_is_away=False)


def made_by_rq(redis: Redis, *names: str) -> SesqWorker:
    """As `rq worker` calls the class."""
    return SesqWorker(
        [Queue(name, connection=redis) for name in names],
        name="ox",
        connection=redis,
        default_worker_ttl=420,
        worker_ttl=420,
        default_result_ttl=500,
        maintenance_interval=600,
        job_monitoring_interval=30,
        job_class=None,
        queue_class=None,
        exception_handlers=None,
        disable_default_exception_handler=False,
        log_job_description=True,
        serializer=JSONSerializer,
    )


def test_a_queue_may_be_named_alone_and_bring_its_connection(redis: Redis) -> None:
    assert SesqWorker("sesq.shop.bulk", connection=redis).lanes == {"shop": [Lane.BULK]}
    queue = Queue("sesq.default.transactional", connection=redis)
    assert SesqWorker(queue).connection is redis


@pytest.mark.parametrize(
    "queue", ["default", "sesq.shop", "sesq.shop.slow", "sesq.Shop.bulk", "a.sesq.shop.bulk"]
)
def test_another_queue_is_refused_by_its_name(redis: Redis, queue: str) -> None:
    with pytest.raises(
        NotServed, match=f"queue {queue}: sesq's worker serves only queues such as sesq.default.bulk"
    ):
        made_by_rq(redis, "sesq.default.bulk", queue)


@pytest.mark.parametrize(
    ("option", "told"),
    [
        ({"max_jobs": 5}, "--max-jobs is not"),
        ({"max_idle_time": 5}, "--max-idle-time is not"),
        ({"with_scheduler": True}, "--with-scheduler is not"),
        ({"dequeue_strategy": "random"}, "--dequeue-strategy is not"),
    ],
)
def test_what_its_way_of_working_cannot_follow_is_refused(redis: Redis, option: Any, told: str) -> None:
    worker = made_by_rq(redis, "sesq.default.bulk")
    with pytest.raises(NotServed, match=told):
        worker.work(**{"dequeue_strategy": "default", **option})


def test_a_worker_is_found_by_its_key_and_listed_with_its_class(redis: Redis) -> None:
    # Given one of sesq's workers, and one of RQ's on queues of its own
    ours = registered(redis, "ox")
    theirs = Worker(["mails"], name="ass", connection=redis)
    theirs.register_birth()
    # Then sesq's class tells of both
    assert {each.name: each.queue_names() for each in SesqWorker.all(connection=redis)} == {
        "ox": ["sesq.default.bulk"],
        "ass": ["mails"],
    }
    found = SesqWorker.find_by_key(ours.key, redis)
    assert found is not None
    assert (found.name, found.pid, found.hostname) == ("ox", os.getpid(), ours.hostname)
    ours.take_leave(redis_is_away=False)
    theirs.register_death()


def test_rqs_connection_sends_a_command_once_and_waits_for_seconds_alone(redis_server: EmbeddedRedis) -> None:
    # Given RQ's client, which sends a command again when no answer comes, and waits for it without end
    plain = Redis.from_url(redis_server.url)
    worker = made_by_rq(plain, "sesq.default.bulk")
    # Then the worker's client of the same server does neither
    options = worker.connection.connection_pool.connection_kwargs
    assert (options["socket_timeout"], options["retry"].get_retries()) == (5.0, 0)
    assert worker.connection.ping()
