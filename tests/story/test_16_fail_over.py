"""The master of a Redis with Sentinel dies in the middle of a run: nothing is lost, doubled, or sent too fast."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from redis import Redis
from redis.exceptions import RedisError

from agreement import assert_agreement
from judge import overdrawn
from own_sentinel import OwnSentinel, own_sentinel
from sesq.config.errors import QueueUnavailable
from sesq.queue import replicas
from sesq.queue.careful_redis import connect
from sesq.queue.replicas import Replicas
from sesq.queue.replies import text
from sesq.queue.states import State
from sesq.worker.account import AccountUnavailable, Description, SesAccount
from sesq.worker.sync import AccountSync
from stage import Stage
from system import System, eventually, running_system

pytestmark = pytest.mark.redis
RATE = 40.0
SHORT = {"SESQ_LEASE_SECONDS": "5", "SESQ_REDIS_TIMEOUT_SECONDS": "2", "SESQ_CONCURRENCY": "8"}


@pytest.fixture
def servers(short_path: Path) -> Iterator[OwnSentinel]:
    with own_sentinel(short_path) as servers:
        yield servers


@pytest.fixture
def s(servers: OwnSentinel, tmp_path: Path) -> Iterator[System]:
    limits = {"max_send_rate": RATE, "max_24_hour_send": 1000}
    with (
        connect(servers.url) as client,
        running_system(client, servers.url, tmp_path, settings=SHORT, **limits) as s,
    ):
        yield s


def run_of(s: System) -> str:
    return str(s.redis.info("server")["run_id"])


def on_a_new_master(s: System, run: str) -> bool:
    try:
        return run_of(s) != run
    except RedisError:
        return False


def test_a_fail_over_loses_nothing_and_breaks_no_limit(s: System, servers: OwnSentinel) -> None:
    # Given mail on its way, with two workers, and a producer that was told "queued" a moment ago
    ids = s.send(150)
    s.ses.set_faults(slow={"seconds": 0.1, "when": "after"})
    s.start_workers(2)
    s.wait_for(State.SENT, 30)
    ids += s.send(10)
    run = run_of(s)
    # When the master dies
    servers.kill_master()
    eventually(lambda: on_a_new_master(s, run), "the replica is master")
    # Then all that was accepted goes, or is shown as unknown where its answer came too late
    ids.append(eventually(lambda: accepted_by_the_new_master(s), "the new master takes mail"))
    eventually(lambda: ended(s) == len(ids), f"all has ended; {s.messages.counts()}")
    report = s.ses.report()
    assert (report["duplicates"], report["refused"], report["throttles"]) == (0, {}, 0)
    assert overdrawn(s.ses.messages(), RATE, RATE) == []
    taken = {call["tags"]["sesq-id"] for call in s.ses.messages()}
    assert {id for id in ids if s.outbox.status(id).state is State.SENT} <= taken <= set(ids)
    assert s.gate.usage().total >= s.count(State.SENT)
    assert_agreement(s.redis)
    # on the new master, which nothing left before the account had been read again
    assert text(s.redis.hget(s.keys.snapshot, "server")) == run_of(s) != run
    # and the workers are the same
    assert all(process.poll() is None for process in s.processes)


def accepted_by_the_new_master(s: System) -> str:
    try:
        return s.outbox.send(s.mail("late@example.org"))
    except QueueUnavailable:
        return ""


def ended(s: System) -> int:
    return s.count(State.SENT) + s.count(State.UNKNOWN)


def test_what_a_producer_was_told_is_queued_stands_on_the_replica(
    s: System, servers: OwnSentinel, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(replicas, "WAIT_MS", 4000)  # for a machine with other things to do
    replica = servers.client("replica")
    for _ in range(50):
        id = s.outbox.send(s.mail())
        assert replica.hget(s.keys.message(id), "state") == "queued"
    assert "no replica" not in caplog.text
    # When the replica hangs, then mail is still taken, after a short wait and then without one
    monkeypatch.setattr(replicas, "WAIT_MS", 100)
    servers.processes["replica"].send_signal(signal.SIGSTOP)
    ids = [s.outbox.send(s.mail()) for _ in range(20)]
    servers.processes["replica"].send_signal(signal.SIGCONT)
    assert {s.outbox.status(id).state for id in ids} == {State.QUEUED}
    assert caplog.text.count("no replica of Redis has confirmed a write within 100 ms") == 1
    # and once it is there again, it is waited for again
    assert Replicas(s.redis).are_there()


def test_on_another_run_of_redis_nothing_goes_before_a_sync(redis: Redis) -> None:
    # Given an account that was read on a server which is not this one, and a full bucket
    stage = Stage(redis)
    id = stage.queue()
    redis.hset(stage.keys.snapshot, "server", "the-master-that-died")
    # Then nothing goes, however often a worker asks
    assert (stage.claim()[0].reason, stage.claim()[0].ids) == ("unsynced", ())
    # and the account is due, for one of those who ask
    sync = AccountSync(redis, "default", NoSes(), "eu-west-1", 60)
    redis.hset(stage.keys.sync, mapping={"server": "the-master-that-died", "until": stage.now + 60})
    assert [sync.run_if_due(), sync.run_if_due()] == [True, False]
    # When it has been read, then the bucket starts from nothing
    stage.sync()
    assert stage.claim()[0].reason == "rate"
    stage.pass_time(0.02)
    assert stage.claim()[0].ids == (id,)


class NoSes(SesAccount):
    """One that cannot be reached."""

    def __init__(self) -> None:
        pass

    def describe(self, asking: Callable[[], None]) -> Description:
        raise AccountUnavailable("not now")
