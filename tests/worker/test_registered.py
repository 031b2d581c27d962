"""What RQ's tools see of a worker: its name, from its start to its end."""

from __future__ import annotations

import os
import queue
import subprocess
import time
from typing import Any

import pytest
from redis import Redis
from rq.worker import BaseWorker

from sesq.worker.registered import NameTaken, RegisteredWorker


def registered(redis: Redis, name: str) -> RegisteredWorker:
    worker = RegisteredWorker(redis, ["sesq.default.bulk"], {}, name=name)
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
    # Given a worker that listens to RQ's channel and to a bell
    heard: queue.SimpleQueue[Any] = queue.SimpleQueue()
    worker = RegisteredWorker(redis, ["sesq.default.bulk"], {"bell": heard.put}, name="ox")
    worker.register()
    # When a message comes that RQ cannot read
    redis.publish("rq:pubsub:ox", command)
    redis.publish("bell", "after it")
    # Then the worker hears what comes after it
    assert heard.get(timeout=30)["data"] == b"after it"
    worker.take_leave(redis_is_away=False)


def test_a_bell_that_cannot_be_heard_makes_a_worker_deaf_to_no_other(
    redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a worker for whom the first bell is a surprise
    heard: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def ring(message: dict[str, Any]) -> None:
        if message["data"] == b"surprise":
            raise ValueError(message)
        heard.put(message)

    monkeypatch.setattr(time, "sleep", lambda _: None)
    worker = RegisteredWorker(redis, ["sesq.default.bulk"], {"bell": ring}, name="ox")
    worker.register()
    redis.publish("bell", "surprise")
    redis.publish("bell", "after it")
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
