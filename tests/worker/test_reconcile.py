"""What somebody does to RQ's jobs beside sesq: what was cancelled is, and what was taken away is not lost."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest
from redis import Redis
from rq import Queue
from rq.intermediate_queue import IntermediateQueue
from rq.job import Job
from rq.serializers import JSONSerializer

from agreement import assert_agreement
from sesq.config.states import Lane, State
from sesq.worker.reconcile import SETTLED_SECONDS, restore_lost_jobs
from sesq.worker.verdicts import Kind
from stage import Stage, says


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


@pytest.mark.parametrize("state", [State.QUEUED, State.SCHEDULED, State.RETRYING, State.HELD, State.UNKNOWN])
def test_what_rqs_own_cancel_took_back_is_cancelled(stage: Stage, state: State) -> None:
    # Given a message that waits, and another one like it
    ids = [brought_to(stage, state) for _ in range(2)]
    # When somebody cancels the job of one with RQ's tools
    Job.fetch(ids[0], stage.redis, JSONSerializer).cancel()
    stage.messages.prune()
    stage.pass_time(SETTLED_SECONDS + 1)
    restore_lost_jobs(stage.redis, "default")
    # Then the message is, and no other
    assert [stage.state(id) for id in ids] == [State.CANCELLED, state]
    assert stage.status(ids[0]).reason == "cancelled by RQ's own cancel"
    assert_agreement(stage.redis)
    # and it stays so
    assert restore_lost_jobs(stage.redis, "default") == 0
    assert stage.state(ids[0]) is State.CANCELLED


def test_what_is_being_sent_is_not_cancelled_by_rqs_tools(stage: Stage) -> None:
    id = stage.queue()
    _, (begun,) = stage.claim()
    Job.fetch(id, stage.redis, JSONSerializer).cancel()
    restore_lost_jobs(stage.redis, "default")
    stage.gate.settle([stage.courier.carry(begun)])
    assert stage.state(id) is State.SENT
    assert_agreement(stage.redis)


def test_what_is_held_has_its_job_again(stage: Stage) -> None:
    id = brought_to(stage, State.HELD)
    Job.fetch(id, stage.redis, JSONSerializer).delete()
    stage.pass_time(SETTLED_SECONDS + 1)
    assert restore_lost_jobs(stage.redis, "default") == 1
    assert stage.state(id) is State.HELD
    assert_agreement(stage.redis)


@pytest.mark.parametrize("state", [State.SCHEDULED, State.RETRYING])
def test_what_waits_for_a_time_gets_its_job_back(stage: Stage, state: State) -> None:
    # Given one that waits for a time, and somebody who deletes its job with RQ's tools
    id = brought_to(stage, state)
    Job.fetch(id, stage.redis, JSONSerializer).delete()
    assert restore_lost_jobs(stage.redis, "default") == 0
    stage.pass_time(SETTLED_SECONDS + 1)
    assert restore_lost_jobs(stage.redis, "default") == 1
    # Then it is there again, and goes at its time
    assert_agreement(stage.redis)
    stage.gate.promote()
    assert stage.state(id) is (state if state is State.SCHEDULED else State.QUEUED)
    stage.pass_time(600)
    stage.gate.promote()
    stage.work()
    assert stage.state(id) is State.SENT


def test_what_rqs_scheduler_has_queued_stands_in_its_queue_once(stage: Stage, queue: Queue) -> None:
    # Given a message that RQ's own scheduler has put into its queue, where it waits
    id = brought_to(stage, State.SCHEDULED)
    stage.redis.zrem(queue.scheduled_job_registry.key, id)
    stage.redis.rpush(queue.key, id)
    stage.pass_time(600)
    # Then it is not scheduled once more
    assert restore_lost_jobs(stage.redis, "default") == 0
    assert queue.scheduled_job_registry.get_job_ids() == []
    stage.work()
    assert stage.state(id) is State.SENT


def brought_to(stage: Stage, state: State) -> str:
    answers = {
        State.RETRYING: [says(Kind.TRANSIENT)] * 3,
        State.HELD: [says(Kind.UNVERIFIED_RECIPIENT, "recipient:ada@example.org")],
        State.UNKNOWN: [says(Kind.UNKNOWN)],
    }
    if state is State.SCHEDULED:
        return stage.queue(send_at=datetime.fromtimestamp(stage.now + 600, timezone.utc))
    id = stage.queue()
    if state in answers:
        stage.transport.answer(*answers[state])
        stage.work()
    return id


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


def test_what_a_worker_of_rqs_was_taking_when_it_was_killed_is_queued_again(
    stage: Stage, queue: Queue
) -> None:
    # Given a message on its way from its queue to a worker of RQ's, as a sync sees it
    id = stage.queue()
    stage.redis.lmove(queue.key, queue.intermediate_queue_key, "LEFT", "RIGHT")
    stage.pass_time(SETTLED_SECONDS + 1)
    assert restore_lost_jobs(stage.redis, "default") == 0
    # When it is still there at a sync more than a minute later
    first_seen = IntermediateQueue(queue.key, stage.redis).get_first_seen_key(id)
    stage.redis.incrbyfloat(first_seen, -61)
    assert restore_lost_jobs(stage.redis, "default") == 1
    # Then it stands in its queue again
    assert stage.redis.llen(queue.intermediate_queue_key) == 0
    assert_agreement(stage.redis)


def test_what_a_worker_of_rqs_is_running_is_not_missing(stage: Stage, queue: Queue) -> None:
    id = stage.queue()
    stage.redis.lpop(queue.key)
    stage.redis.zadd(queue.started_job_registry.key, {f"{id}:execution": "+inf"})
    stage.pass_time(SETTLED_SECONDS + 1)
    assert restore_lost_jobs(stage.redis, "default") == 0
