"""A stock RQ worker on sesq's queues: it sends nothing, takes one job at most, and gives that back where it was."""

from __future__ import annotations

import logging
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest
from redis import Redis
from rq import Queue, SimpleWorker
from rq.serializers import JSONSerializer

import sesq.worker
from agreement import assert_agreement
from batch_stage import BatchStage
from sesq.queue.states import Lane, State
from sesq.worker.stock_worker import NotAWorker

QUEUES = [f"sesq.default.{lane}" for lane in Lane]


@pytest.fixture
def stage(redis: Redis) -> BatchStage:
    return BatchStage(redis)


@pytest.fixture(autouse=True)
def _signals() -> Iterator[None]:
    """RQ's worker takes them and does not give them back."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGALRM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def stock_worker(redis: Redis) -> SimpleWorker:
    queues = [Queue(name, connection=redis, serializer=JSONSerializer) for name in QUEUES]
    return SimpleWorker(queues, connection=redis, serializer=JSONSerializer)


def waiting(redis: Redis, lane: Lane = Lane.TRANSACTIONAL) -> list[str]:
    return [id.decode() for id in redis.lrange(f"rq:queue:sesq.default.{lane}", 0, -1)]


def test_it_gives_a_message_back_to_the_front_says_why_and_stops(
    stage: BatchStage, caplog: pytest.LogCaptureFixture
) -> None:
    # Given three messages
    ids = [stage.queue() for _ in range(3)]
    # When a stock worker, which would go on for ever, takes the first
    with caplog.at_level(logging.WARNING, logger="sesq.worker"):
        stock_worker(stage.redis).work()
    # Then it has stopped after that one, which stands where it was, as if nothing had happened to it
    assert waiting(stage.redis) == ids
    record = stage.status(ids[0])
    assert (record.state, record.attempts, len(record.history)) == (State.QUEUED, 0, 1)
    assert stage.transport.tried == []
    assert_agreement(stage.redis)
    # and it has said once who serves the queue
    (told,) = [each.getMessage() for each in caplog.records if "stock RQ worker" in each.getMessage()]
    assert "queue sesq.default.transactional is served by `sesq worker`" in told
    assert "rq worker -w sesq.worker.SesqWorker -S json" in told
    # and sesq's own worker sends them all
    stage.work()
    assert [stage.state(id) for id in ids] == [State.SENT] * 3
    assert_agreement(stage.redis)


def test_it_gives_a_chunk_of_a_batch_back(stage: BatchStage) -> None:
    taken = stage.take(600)
    stock_worker(stage.redis).work(burst=True)
    assert waiting(stage.redis, Lane.BULK) == [f"{taken.id}-0", f"{taken.id}-1"]
    assert_agreement(stage.redis)
    stage.send_all()
    assert stage.fates(taken.id) == {"sent": 600}
    assert_agreement(stage.redis)


def test_what_changed_while_it_had_the_job_holds(stage: BatchStage, monkeypatch: pytest.MonkeyPatch) -> None:
    # Given two messages and a chunk that are cancelled just when a stock worker has the first in hand
    first, other = stage.queue(), stage.queue()
    monkeypatch.setattr("sesq.worker.stock_worker._stop", lambda *_: stage.messages.cancel(first, "ada"))
    stock_worker(stage.redis).work(burst=True, max_jobs=1)
    # Then it is not sent, and RQ says so when a worker has met it
    stage.work()
    assert [stage.state(id) for id in (first, other)] == [State.CANCELLED, State.SENT]
    assert_agreement(stage.redis)


def test_what_is_sent_already_is_not_sent_by_it(stage: BatchStage) -> None:
    id = stage.queue()
    stage.work()
    stage.redis.rpush(f"rq:queue:{QUEUES[0]}", id)
    stock_worker(stage.redis).work(burst=True, max_jobs=1)
    stage.work()
    assert len(stage.transport.tried) == 1
    assert_agreement(stage.redis)


def test_the_function_is_for_rqs_workers_alone() -> None:
    with pytest.raises(NotAWorker, match="message x is sent by `sesq worker`"):
        sesq.worker.send("x")
    with pytest.raises(AttributeError, match="no attribute 'deliver'"):
        sesq.worker.deliver  # noqa: B018


def test_rqs_data_of_a_message_is_small_enough_for_a_packed_hash(stage: BatchStage) -> None:
    id = stage.queue()
    data = stage.redis.hget(f"rq:job:{id}", "data")
    assert data == f'["sesq.worker.send", null, ["{id}"], {{}}]'.encode()
    assert len(data) <= 64


@pytest.mark.parametrize("name", ["sesq.worker", "sesq.queue.job"])
def test_what_a_job_names_is_loaded_when_it_is_asked_for(name: str) -> None:
    code = f"import sys, {name}; sys.exit('boto3' in sys.modules or 'sesq.worker.worker' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
    code = "import sys; from sesq.worker import send; sys.exit('boto3' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
