"""What RQ's tools see of a worker: its name, from its start to its end."""

from __future__ import annotations

import os
import subprocess

import pytest
from redis import Redis
from rq.worker import BaseWorker

from sesq.worker.registered import NameTaken, RegisteredWorker


def registered(redis: Redis, name: str) -> RegisteredWorker:
    worker = RegisteredWorker(redis, ["sesq.default.bulk"], {}, name=name)
    worker.register()
    return worker


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
