"""What somebody does to RQ's jobs beside sesq: what was cancelled is, and what was taken away is not lost."""

from __future__ import annotations

from datetime import datetime, timezone
from types import SimpleNamespace

import pytest
from redis import Redis
from rq import Queue
from rq.intermediate_queue import IntermediateQueue
from rq.job import Job
from rq.serializers import JSONSerializer

from agreement import assert_agreement
from rq_tools import kill_with_job_in_hand
from sesq.queue.explain import NO_JOB, explain
from sesq.queue.states import Lane, State
from sesq.worker import reconcile as module
from sesq.worker.reconcile import SETTLED_SECONDS, _run, reconcile
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
    assert reconcile(stage.redis, "default") == 0
    stage.pass_time(SETTLED_SECONDS + 1)
    assert reconcile(stage.redis, "default") == 3
    # Then they are there again, as RQ jobs like any other, and go
    assert queue.get_job_ids() == ids
    assert Job.fetch(ids[0], stage.redis, JSONSerializer).args == [ids[0]]
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
    reconcile(stage.redis, "default")
    # Then the message is, and no other
    assert [stage.state(id) for id in ids] == [State.CANCELLED, state]
    assert stage.status(ids[0]).reason == "cancelled by RQ's own cancel"
    assert_agreement(stage.redis)
    # and it stays so
    assert reconcile(stage.redis, "default") == 0
    assert stage.state(ids[0]) is State.CANCELLED


def test_what_is_being_sent_is_not_cancelled_by_rqs_tools(stage: Stage) -> None:
    id = stage.queue()
    _, (begun,) = stage.claim()
    Job.fetch(id, stage.redis, JSONSerializer).cancel()
    reconcile(stage.redis, "default")
    stage.gate.settle([stage.sender.send_message(begun)])
    assert stage.state(id) is State.SENT
    assert_agreement(stage.redis)


def test_what_is_held_has_its_job_again(stage: Stage) -> None:
    id = brought_to(stage, State.HELD)
    Job.fetch(id, stage.redis, JSONSerializer).delete()
    stage.pass_time(SETTLED_SECONDS + 1)
    assert reconcile(stage.redis, "default") == 1
    assert stage.state(id) is State.HELD
    assert_agreement(stage.redis)


@pytest.mark.parametrize("state", [State.SCHEDULED, State.RETRYING])
def test_what_waits_for_a_time_gets_its_job_back(stage: Stage, state: State) -> None:
    # Given one that waits for a time, and somebody who deletes its job with RQ's tools
    id = brought_to(stage, state)
    Job.fetch(id, stage.redis, JSONSerializer).delete()
    assert reconcile(stage.redis, "default") == 0
    stage.pass_time(SETTLED_SECONDS + 1)
    assert reconcile(stage.redis, "default") == 1
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
    assert reconcile(stage.redis, "default") == 0
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
    assert reconcile(stage.redis, "default") == 0
    assert queue.get_job_ids() == ids


def test_what_a_worker_of_rqs_is_just_taking_is_not_missing(stage: Stage, queue: Queue) -> None:
    stage.queue()
    stage.redis.lmove(queue.key, queue.intermediate_queue_key, "LEFT", "RIGHT")
    stage.pass_time(SETTLED_SECONDS + 1)
    assert reconcile(stage.redis, "default") == 0


def test_what_a_worker_of_rqs_was_taking_when_it_was_killed_is_queued_again(
    stage: Stage, queue: Queue
) -> None:
    # Given a message on its way from its queue to a worker of RQ's, as a sync sees it
    id = stage.queue()
    stage.redis.lmove(queue.key, queue.intermediate_queue_key, "LEFT", "RIGHT")
    stage.pass_time(SETTLED_SECONDS + 1)
    assert reconcile(stage.redis, "default") == 0
    # When it is still there at a sync more than a minute later
    first_seen = IntermediateQueue(queue.key, stage.redis).get_first_seen_key(id)
    stage.redis.incrbyfloat(first_seen, -61)
    assert reconcile(stage.redis, "default") == 1
    # Then it stands in its queue again
    assert stage.redis.llen(queue.intermediate_queue_key) == 0
    assert_agreement(stage.redis)


def test_what_a_worker_of_rqs_is_running_is_not_missing(stage: Stage, queue: Queue) -> None:
    id = stage.queue()
    stage.redis.lpop(queue.key)
    stage.redis.zadd(queue.started_job_registry.key, {f"{id}:execution": "+inf"})
    stage.pass_time(SETTLED_SECONDS + 1)
    assert reconcile(stage.redis, "default") == 0


def test_what_somebody_has_queued_twice_hides_nothing_that_is_lost(stage: Stage, queue: Queue) -> None:
    # Given three queued messages: the job of one is gone, and django-rq has enqueued another once more
    ids = [stage.queue() for _ in range(3)]
    stage.redis.lrem(queue.key, 0, ids[0])
    stage.redis.rpush(queue.key, ids[1], "a-job-of-somebody-elses")
    assert explain(stage.redis, stage.status(ids[0])).waits_because != "it may go now"
    # When the next sync compares
    stage.pass_time(SETTLED_SECONDS + 1)
    assert reconcile(stage.redis, "default") == 1
    # Then each of them is sent, once
    while stage.work():
        stage.pass_time(1)
    assert [stage.state(id) for id in ids] == [State.SENT] * 3
    assert len(stage.transport.tried) == 3


def test_what_is_in_no_lane_does_not_look_as_if_it_went_next(stage: Stage, queue: Queue) -> None:
    id = stage.queue()
    stage.redis.sadd(f"rq:workers:{queue.name}", "rq:worker:w")
    assert explain(stage.redis, stage.status(id)).waits_because == "it may go now"
    stage.redis.delete(queue.key)
    told = explain(stage.redis, stage.status(id))
    assert (told.waits_because, told.goes_at) == (NO_JOB, None)


def test_a_lane_of_more_than_200_000_jobs_is_compared(stage: Stage, queue: Queue) -> None:
    id = stage.queue()
    stage.redis.delete(queue.key)
    for first in range(0, 210_000, 10_000):
        stage.redis.rpush(queue.key, *(f"stranger-{number}" for number in range(first, first + 10_000)))
    stage.pass_time(SETTLED_SECONDS + 1)
    assert reconcile(stage.redis, "default") == 1
    assert stage.redis.lindex(queue.key, -1) == id.encode()


@pytest.mark.parametrize("state", [State.QUEUED, State.SCHEDULED, State.HELD])
def test_a_restored_job_is_known_to_rq_and_stands_in_its_own_lanes_registry_alone(
    stage: Stage, state: State
) -> None:
    # Given a message whose job stands in registries of both lanes, and a list of queues that is lost
    id, other = brought_to(stage, state), stage.keys.queue(Lane.BULK)
    Job.fetch(id, stage.redis, JSONSerializer).delete()
    stage.redis.delete("rq:queues")
    for registry in ("failed", "canceled"):
        stage.redis.zadd(f"rq:{registry}:{other}", {id: 4e9})
        stage.redis.zadd(f"rq:{registry}:{stage.keys.queue(Lane.TRANSACTIONAL)}", {id: 4e9})
    # When its job is given back
    stage.pass_time(SETTLED_SECONDS + 1)
    assert reconcile(stage.redis, "default") == 1
    # Then
    own = stage.keys.queue(Lane.TRANSACTIONAL)
    assert stage.redis.smembers("rq:queues") == {f"rq:queue:{own}".encode()}
    assert Job.fetch(id, stage.redis, JSONSerializer).origin == own
    assert_agreement(stage.redis)


def test_an_old_place_in_a_lane_hides_no_job_that_is_lost(stage: Stage, queue: Queue) -> None:
    # Given a message that has left the middle of its lane for a later time, and whose job is then taken away
    ids = [stage.queue() for _ in range(3)]
    stage.messages.reschedule(ids[1], stage.now + 600, "somebody")
    stage.redis.zrem(queue.scheduled_job_registry.key, ids[1])
    stage.pass_time(SETTLED_SECONDS + 1)
    # Then it gets it back
    assert reconcile(stage.redis, "default") == 1
    assert queue.scheduled_job_registry.get_job_ids() == [ids[1]]


def test_what_killed_workers_of_rqs_had_in_hand_is_back_in_its_place(stage: Stage, queue: Queue) -> None:
    # Given six messages, and three stock workers that were killed with the first three in hand
    ids = []
    for _ in range(6):
        ids.append(stage.queue())
        stage.pass_time(0.01)
    for id in ids[:3]:
        kill_with_job_in_hand(stage, id)
    # While a living worker could still be giving them back, they are left to it
    assert reconcile(stage.redis, "default") == 0
    assert queue.get_job_ids() == ids[3:]
    # Then they stand in their order at the front
    stage.pass_time(SETTLED_SECONDS + 1)
    assert reconcile(stage.redis, "default") == 3
    assert queue.get_job_ids() == ids
    assert queue.started_job_registry.get_job_ids(cleanup=False) == []
    stage.redis.delete(*(f"rq:executions:{id}" for id in ids))  # these run out by themselves
    assert_agreement(stage.redis)


def test_what_rq_has_called_failed_since_its_worker_was_killed_is_back_in_its_place(
    stage: Stage, queue: Queue
) -> None:
    # Given a message in the hand of a killed worker, which `rq info`, or another worker, has swept into the failed ones
    ids = [stage.queue() for _ in range(3)]
    kill_with_job_in_hand(stage, ids[0])
    stage.redis.delete(f"rq:wip:{queue.name}", f"rq:executions:{ids[0]}")
    stage.redis.hset(f"rq:job:{ids[0]}", "status", "failed")
    stage.redis.zadd(f"rq:failed:{queue.name}", {ids[0]: 4e9})
    stage.redis.expire(f"rq:job:{ids[0]}", 3600)
    stage.pass_time(SETTLED_SECONDS + 1)
    assert reconcile(stage.redis, "default") == 1
    assert queue.get_job_ids() == ids
    assert_agreement(stage.redis)


@pytest.mark.parametrize("state", [State.HELD, State.UNKNOWN, State.SENT])
def test_what_was_queued_again_and_taken_by_a_worker_that_was_killed_is_where_it_was(
    stage: Stage, queue: Queue, state: State
) -> None:
    # Given a message that somebody has queued again, and a stock worker that was killed with it in hand
    id = stage.queue()
    answers = {State.HELD: Kind.UNVERIFIED_RECIPIENT, State.UNKNOWN: Kind.UNKNOWN}
    if state in answers:
        stage.transport.answer(says(answers[state], "recipient:ada@example.org"))
    stage.work()
    queue._enqueue_job(Job.fetch(id, stage.redis, JSONSerializer))
    kill_with_job_in_hand(stage, id)
    # When a sync looks, Then RQ shows it where it belongs
    stage.pass_time(SETTLED_SECONDS + 1)
    assert reconcile(stage.redis, "default") == 1
    stage.redis.delete(f"rq:executions:{id}")
    assert stage.state(id) is state
    assert_agreement(stage.redis)


@pytest.mark.parametrize("again", [False, True])
def test_rqs_cancel_of_what_was_sent_changes_nothing(stage: Stage, queue: Queue, again: bool) -> None:
    # Given a message that was sent, whose job somebody cancels, perhaps after having queued it again
    id = stage.queue()
    stage.work()
    if again:
        queue._enqueue_job(Job.fetch(id, stage.redis, JSONSerializer))
    Job.fetch(id, stage.redis, JSONSerializer).cancel()
    # When a sync looks, Then RQ shows it as sent
    stage.pass_time(SETTLED_SECONDS + 1)
    assert reconcile(stage.redis, "default") == 1
    assert queue.finished_job_registry.get_job_ids() == [id]
    assert_agreement(stage.redis)


def test_what_stands_twice_in_its_queue_and_was_cancelled_in_rq_is_cancelled(
    stage: Stage, queue: Queue
) -> None:
    id = stage.queue()
    stage.redis.rpush(queue.key, id)
    Job.fetch(id, stage.redis, JSONSerializer).cancel()
    stage.pass_time(SETTLED_SECONDS + 1)
    reconcile(stage.redis, "default")
    stage.work()
    assert (stage.state(id), stage.transport.tried) == (State.CANCELLED, [])
    assert_agreement(stage.redis)


@pytest.mark.parametrize(("before", "moved"), [(-1.0, 0), (0.0, 1)])
def test_what_has_changed_since_it_was_looked_at_is_left_alone(
    stage: Stage, queue: Queue, before: float, moved: int
) -> None:
    """A message that came into its lane a moment ago may be in the hands of a worker."""
    id = stage.queue()
    queue.empty()
    assert _run(stage.redis, "default", [id], stage.now + before, front=False) == [moved]
    assert queue.get_job_ids() == [id] * moved


def test_a_long_pass_is_followed_by_a_pause_and_a_short_one_is_not(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given passes of half a second and of three quarters
    passes: list[str] = []
    clock = iter([0.0, 0.5, 1.0, 1.75, 2.0])
    monkeypatch.setattr(module, "reconcile", lambda _, account: passes.append(account))
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    # When the first has ended, then the next begins at once
    module.reconcile_in_turn(stage.redis, "default")
    assert not stage.redis.exists(stage.keys.reconciled)
    # And after the second nobody begins one, until it was a hundredth of the time
    module.reconcile_in_turn(stage.redis, "default")
    module.reconcile_in_turn(stage.redis, "default")
    assert passes == ["default"] * 2
    assert 15_000 < stage.redis.pttl(stage.keys.reconciled) <= 75_000


def test_what_rq_cancels_in_another_lane_is_shown_in_its_own_alone(redis: Redis) -> None:
    # Given a message that a person has queued in the other lane, where RQ is told to cancel it
    stage = Stage(redis)
    id = stage.queue(lane="transactional")
    job = Job.fetch(id, redis, JSONSerializer)
    Queue("sesq.default.bulk", connection=redis, serializer=JSONSerializer)._enqueue_job(job)
    job.cancel()
    # When what RQ was told is looked at
    stage.pass_time(SETTLED_SECONDS + 1)
    reconcile(redis, "default")
    # Then it is cancelled, and RQ shows it so once
    assert stage.state(id) is State.CANCELLED
    assert_agreement(redis)
