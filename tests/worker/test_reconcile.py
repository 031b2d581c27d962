"""A message whose RQ job somebody has taken away is not lost with it."""

from __future__ import annotations

import pytest
from redis import Redis
from rq import Queue
from rq.job import Job
from rq.serializers import JSONSerializer

from agreement import assert_agreement
from sesq.config.states import Lane, State
from sesq.worker.reconcile import SETTLED_SECONDS, restore_lost_jobs
from stage import Stage


@pytest.fixture
def stage(redis: Redis) -> Stage:
    return Stage(redis)


@pytest.fixture
def queue(stage: Stage) -> Queue:
    return Queue(stage.keys.queue(Lane.TRANSACTIONAL), connection=stage.redis, serializer=JSONSerializer)


def test_an_emptied_queue_gets_its_messages_back_in_their_order(stage: Stage, queue: Queue) -> None:
    # Given three queued messages, and somebody who empties the queue with RQ's tools
    ids = []
    for _ in range(3):
        ids.append(stage.queue())
        stage.pass_time(0.01)
    queue.empty()
    assert queue.get_job_ids() == []
    # When a moment has passed, in which a worker of RQ's might have been holding them
    assert restore_lost_jobs(stage.redis, "default") == 0
    stage.pass_time(SETTLED_SECONDS + 1)
    assert restore_lost_jobs(stage.redis, "default") == 3
    # Then they are there again, as RQ jobs like any other, and go
    assert queue.get_job_ids() == ids
    assert Job.fetch(ids[0], stage.redis, JSONSerializer).args == ["default", ids[0]]
    assert_agreement(stage.redis)
    stage.work()
    assert [stage.state(id) for id in ids] == [State.SENT] * 3


def test_where_nothing_is_missing_nothing_is_done(stage: Stage, queue: Queue) -> None:
    ids = [stage.queue() for _ in range(3)]
    stage.pass_time(SETTLED_SECONDS + 1)
    assert restore_lost_jobs(stage.redis, "default") == 0
    assert queue.get_job_ids() == ids


def test_what_a_worker_of_rqs_is_just_taking_is_not_missing(stage: Stage, queue: Queue) -> None:
    stage.queue()
    stage.redis.lmove(queue.key, queue.intermediate_queue_key, "LEFT", "RIGHT")
    stage.pass_time(SETTLED_SECONDS + 1)
    assert restore_lost_jobs(stage.redis, "default") == 0


def test_what_a_worker_of_rqs_is_running_is_not_missing(stage: Stage, queue: Queue) -> None:
    id = stage.queue()
    stage.redis.lpop(queue.key)
    stage.redis.zadd(queue.started_job_registry.key, {f"{id}:execution": "+inf"})
    stage.pass_time(SETTLED_SECONDS + 1)
    assert restore_lost_jobs(stage.redis, "default") == 0
