"""Redis goes away while workers run: producers are told, workers wait and go on, and no answer of SES is lost."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis
from rq import Worker
from rq.command import send_shutdown_command
from rq.serializers import JSONSerializer

from agreement import assert_agreement
from own_redis import OwnRedis, own_redis
from sesq.config.errors import QueueUnavailable
from sesq.producer import Outbox
from sesq.queue.careful_redis import connect
from sesq.queue.keys import Keys
from sesq.queue.states import State
from system import System, eventually, running_system

pytestmark = pytest.mark.redis
SETTINGS = {"SESQ_REDIS_TIMEOUT_SECONDS": "1", "SESQ_CONCURRENCY": "4"}


@pytest.fixture
def server(short_path: Path) -> Iterator[OwnRedis]:
    with own_redis(short_path) as server:
        yield server


@pytest.fixture
def s(server: OwnRedis, tmp_path: Path) -> Iterator[System]:
    with (
        server.client() as client,
        running_system(
            client, server.url, tmp_path, settings=SETTINGS, max_send_rate=100, max_24_hour_send=1000
        ) as s,
    ):
        yield s


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=["stopped", "crashed"])
def test_an_answer_that_came_while_redis_was_away_is_written_down(
    s: System, server: OwnRedis, number: int
) -> None:
    # Given mail on its way to a slow SES
    s.ses.set_faults(slow={"seconds": 1.5, "when": "after"})
    workers = s.start_workers(1)
    on_their_way = s.send(4)
    waiting = s.send(6)
    eventually(lambda: s.ses.report()["accepted"] == 4, "SES has taken four")
    # When Redis goes away before SES answers
    server.stop(number)
    # Then a send is told so at once
    with pytest.raises(QueueUnavailable, match="cannot be reached"):
        s.outbox.send(s.mail())
    eventually(lambda: "trying again in 1.0 s" in s.log(), "the worker waits longer and longer")
    assert workers[0].poll() is None
    # When it is back
    s.ses.set_faults()
    server.start()
    # Then the answers are written down, the rest goes, and nothing twice
    s.wait_for(State.SENT, 10)
    assert all(s.outbox.status(id).message_id for id in (*on_their_way, *waiting))
    report = s.ses.report()
    assert (report["accepted"], report["duplicates"]) == (10, 0)
    assert_agreement(s.redis)
    # and the worker obeys
    workers[0].send_signal(signal.SIGTERM)
    assert workers[0].wait(timeout=20) == 0


def test_a_redis_that_hangs_is_waited_for_and_no_longer_than_the_timeout_by_a_producer(
    s: System, server: OwnRedis
) -> None:
    s.start_workers(1)
    s.send(2)
    s.wait_for(State.SENT, 2)
    server.freeze()
    with (
        connect(f"{server.url}?socket_timeout=0.3") as impatient,
        pytest.raises(QueueUnavailable, match="did not answer in time"),
    ):
        Outbox(impatient).send(s.mail("late@example.org"))
    eventually(lambda: "trying again in 1.0 s" in s.log(), "the worker has noticed")
    server.thaw()
    s.send(3)
    # the one of which the producer does not know may have been queued, as its error says
    s.wait_for(State.SENT, 5)
    eventually(lambda: s.count(State.QUEUED) == s.count(State.SENDING) == 0, "all is done")
    assert s.ses.report()["duplicates"] == 0
    assert_agreement(s.redis)


def test_a_worker_goes_on_when_redis_has_forgotten_its_scripts(s: System, server: OwnRedis) -> None:
    s.start_workers(1)
    s.send(2)
    s.wait_for(State.SENT, 2)
    s.redis.script_flush()
    s.send(2)
    s.wait_for(State.SENT, 4)
    assert_agreement(s.redis)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "Ctrl-C"])
@pytest.mark.parametrize("gone", ["stopped", "frozen"])
def test_a_worker_that_is_told_to_stop_while_redis_is_away_ends_well(
    s: System, server: OwnRedis, gone: str, number: int
) -> None:
    # Given an idle worker, and a Redis that is gone
    (worker,) = s.start_workers(1)
    s.send(1)
    s.wait_for(State.SENT, 1)
    server.stop(signal.SIGTERM) if gone == "stopped" else server.freeze()
    s.redis_is_there = False
    eventually(lambda: "trying again" in s.log(), "the worker has noticed")
    # When it is told to stop, then it does
    worker.send_signal(number)
    assert worker.wait(timeout=20) == 0
    assert "Traceback" not in s.log()


@pytest.mark.parametrize("gone", ["stopped", "frozen"])
def test_a_second_signal_stops_it_at_once_though_redis_is_away(
    s: System, server: OwnRedis, gone: str
) -> None:
    # Given mail on its way to a slow SES, and a Redis that is gone
    s.ses.set_faults(slow={"seconds": 20, "when": "before"})
    (worker,) = s.start_workers(1)
    ids = s.send(2)
    started = lambda: all(s.redis.hget(Keys("default").message(id), "started_at") for id in ids)  # noqa: E731
    eventually(started, "both have been started")
    server.stop(signal.SIGTERM) if gone == "stopped" else server.freeze()
    s.redis_is_there = False
    # When the worker is told to stop, it waits for them
    worker.send_signal(signal.SIGTERM)
    eventually(lambda: "stopping; 2 on their way" in s.log(), "it waits for its mail")
    # Then the second signal ends it
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(timeout=30) == 1
    assert re.search("ended while Redis is away|ended, and Redis does not answer", s.log())
    assert "Traceback" not in s.log()


def test_a_worker_hears_rqs_commands_again_after_a_redis_that_hung(s: System, server: OwnRedis) -> None:
    # Given a worker whose connection is cut, and a Redis that hangs while it listens anew
    (worker,) = s.start_workers(1)
    (entry,) = eventually(lambda: Worker.all(s.redis, serializer=JSONSerializer), "it is registered")
    eventually(lambda: "started for" in s.log(), "it listens")
    pipeline = s.redis.pipeline(transaction=False)
    pipeline.client_kill_filter(_type="pubsub")
    pipeline.execute()
    server.freeze()
    eventually(lambda: "did not answer in time" in s.log(), "the worker has noticed")
    server.thaw()
    # Then it obeys a command of RQ's
    eventually(lambda: s.redis.pubsub_numsub(entry.pubsub_channel_name)[0][1], "it listens again", 15)
    send_shutdown_command(s.redis, entry.name)
    assert worker.wait(timeout=20) == 0


CLOSED = {
    "a replica": ("replica", "no one"),
    "full": ("maxmemory", "0"),
    "without replicas": ("min-replicas-to-write", "0"),
}


def close(redis: Redis, how: str) -> None:
    """From now on Redis takes no writes, though it answers."""
    if how == "a replica":
        redis.replicaof("127.0.0.1", 1)
    else:
        redis.config_set(CLOSED[how][0], 1)


def open_again(redis: Redis, how: str) -> None:
    if how == "a replica":
        redis.replicaof("NO", "ONE")
    else:
        redis.config_set(*CLOSED[how])


@pytest.mark.parametrize(
    ("how", "options"),
    [*((how, ()) for how in CLOSED), ("full", ("--processes", "2"))],
    ids=lambda value: value if isinstance(value, str) else " ".join(value) or "one process",
)
def test_a_worker_that_starts_waits_for_a_redis_that_takes_no_writes(
    s: System, how: str, options: tuple[str, ...]
) -> None:
    # Given mail that waits, and a Redis that answers and takes no writes
    s.send(2)
    close(s.redis, how)
    # When workers start, then they say so, and wait
    (worker,) = s.start_workers(1, *options)
    eventually(lambda: worker.poll() is not None or s.log().count("trying again in 2.0 s") >= 2, "they wait")
    assert worker.poll() is None, s.log()
    # And when Redis takes writes again, they work
    open_again(s.redis, how)
    s.wait_for(State.SENT, 2)
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(timeout=30) == 0
    assert "Traceback" not in s.log()


@pytest.mark.parametrize("redis_takes_writes", [True, False], ids=["at work", "at their start"])
def test_workers_end_by_themselves_where_the_process_that_started_them_is_killed(
    s: System, redis_takes_writes: bool
) -> None:
    # Given two workers under one parent: at work with a slow SES, or still waiting for Redis
    s.ses.set_faults(slow={"seconds": 1.5, "when": "after"})
    mine = connections(s.redis)
    if not redis_takes_writes:
        close(s.redis, "full")
    (parent,) = s.start_workers(1, "--processes", "2")
    if redis_takes_writes:
        eventually(lambda: len(Worker.all(s.redis, serializer=JSONSerializer)) == 2, "both are registered")
        s.send(2)
        eventually(lambda: s.ses.report()["accepted"] == 2, "SES has taken two")
    else:
        eventually(lambda: s.log().count("trying again in 1.0 s") >= 2, "both wait")
    # When the parent is killed
    parent.kill()
    # Then what was on its way ends well, and both workers are gone
    eventually(lambda: s.log().count("is gone: the worker stops") == 2, "both have noticed")
    eventually(lambda: not Worker.all(s.redis, serializer=JSONSerializer), "both have said farewell")
    assert s.count(State.SENT) == 2 * redis_takes_writes
    eventually(lambda: connections(s.redis) <= mine, "neither has a connection")


def connections(redis: Redis) -> set[str]:
    return {client["id"] for client in redis.client_list()}
