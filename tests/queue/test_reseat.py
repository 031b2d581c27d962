"""Where RQ's own workers leave jobs, and where these stand once sesq has looked: RQ's books agree with ours again."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest
from redis import Redis
from rq.job import Job
from rq.serializers import JSONSerializer

from agreement import assert_agreement
from batch_stage import BatchStage
from sesq.queue.states import Lane, State
from sesq.worker.reconcile import SETTLED_SECONDS, restore_lost_jobs
from sesq.worker.rules import Rules
from sesq.worker.verdicts import Kind
from stage import LEASE, says


@pytest.fixture
def stage(redis: Redis) -> BatchStage:
    return BatchStage(redis)


def taken_by_rq(stage: BatchStage, id: str) -> Job:
    """The job in the hands of a worker of RQ's."""
    job = Job.fetch(id, stage.redis, JSONSerializer)
    stage.redis.lrem(f"rq:queue:{job.origin}", 0, id)
    stage.redis.hset(job.key, "status", "started")
    stage.redis.zadd(f"rq:executions:{id}", {"run": stage.now + 60})
    return job


def ended_in_rq(stage: BatchStage, job: Job, status: str) -> None:
    """RQ's worker has done with it: `finished`, `failed`, or `queued` again."""
    stage.redis.delete(f"rq:executions:{job.id}")
    stage.redis.hset(job.key, "status", status)
    if status == "queued":
        stage.redis.lpush(f"rq:queue:{job.origin}", job.id)
    else:
        stage.redis.zadd(f"rq:{status}:{job.origin}", {job.id: stage.now + 3600})
        stage.redis.expire(job.key, 3600)


def carried_by_rq(stage: BatchStage, id: str) -> None:
    """RQ's worker asks for leave, gets it, and carries the message to SES."""
    assert stage.gate.take(id, "rq", "rq-1", lease=LEASE)[0] == "granted"
    (begun,) = stage.gate.begin("rq-1", [id])
    stage.gate.settle([{**stage.courier.carry(begun), "foreign": True}])


def test_a_chunk_of_a_paused_batch_is_deferred_and_goes_on_with_it(stage: BatchStage) -> None:
    # Given a chunk that a worker of RQ's has in hand when its batch is paused
    batch = stage.take(3)
    chunk = f"{batch.id}-0"
    job = taken_by_rq(stage, chunk)
    stage.batches.pause(batch.id, "a look")
    assert stage.slices.take(chunk, "rq", "rq-1", lease=LEASE)[1] == "nothing"
    # While RQ has it, it is left alone
    assert stage.gate.reseat() == 0
    # When RQ calls it finished, Then it is deferred, as any chunk of a paused batch
    ended_in_rq(stage, job, "finished")
    assert stage.gate.reseat() == 1
    assert_agreement(stage.redis)
    # and goes on with its batch
    stage.batches.resume(batch.id)
    stage.send_all()
    assert stage.fates(batch.id) == {"sent": 3}
    assert_agreement(stage.redis)


def test_a_chunk_of_a_cancelled_batch_is_among_rqs_cancelled(stage: BatchStage) -> None:
    batch = stage.take(3)
    chunk = f"{batch.id}-0"
    job = taken_by_rq(stage, chunk)
    stage.batches.cancel(batch.id, "a wrong link")
    assert stage.slices.take(chunk, "rq", "rq-1", lease=LEASE)[1] == "nothing"
    ended_in_rq(stage, job, "finished")
    assert stage.gate.reseat() == 1
    assert_agreement(stage.redis)


def test_a_chunk_that_is_finished_for_both_is_left_there(stage: BatchStage) -> None:
    batch = stage.take(1)
    chunk = f"{batch.id}-0"
    job = taken_by_rq(stage, chunk)
    piece, _, _ = stage.slices.take(chunk, "rq", "rq-1", lease=LEASE)
    assert piece is not None
    (row,) = stage.slices.read("rq-1", [piece])
    stage.slices.settle([stage.courier.carry(each) for each in stage.slices.begin("rq-1", [row.id])])
    ended_in_rq(stage, job, "finished")
    assert stage.gate.reseat() == 0
    assert_agreement(stage.redis)


@pytest.mark.parametrize("action", ["release", "cancel"])
def test_what_a_person_does_before_rq_lets_go_holds(stage: BatchStage, action: str) -> None:
    # Given a message that is held, which a person lets go or takes back before RQ has written that its job failed
    stage.sync(production=0)
    stage.transport.answer(says(Kind.UNVERIFIED_RECIPIENT, "recipient:ada@example.org"))
    id, other = stage.queue(), stage.queue("bob@example.org")
    job = taken_by_rq(stage, id)
    carried_by_rq(stage, id)
    getattr(stage.messages, action)(id, "ada")
    ended_in_rq(stage, job, "failed")
    # Then it stands where that has put it, once
    assert stage.gate.reseat() == 1
    assert_agreement(stage.redis)
    # and a worker that has not just heard SES's refusal itself takes it from there
    stage.rules = Rules(stage.redis, "default", "eu-west-1")
    stage.courier = stage.hire()
    stage.work()
    assert [stage.state(each) for each in (id, other)] == [
        State.SENT if action == "release" else State.CANCELLED,
        State.SENT,
    ]
    assert_agreement(stage.redis)


def test_what_rq_queues_again_though_it_was_cancelled_leaves_the_queue(stage: BatchStage) -> None:
    id = stage.queue()
    job = taken_by_rq(stage, id)
    stage.policy.pause("stop", by="ada")
    assert stage.gate.take(id, "rq", "rq-1", lease=LEASE)[0] == "paused"
    stage.messages.cancel(id, "ada")
    ended_in_rq(stage, job, "queued")
    assert stage.gate.reseat() == 1
    assert_agreement(stage.redis)


def test_what_rq_was_told_to_cancel_is_not_queued_again(stage: BatchStage) -> None:
    # Given a message that went back to the head of its queue, where somebody cancels its job with RQ's tools
    id = stage.queue()
    job = taken_by_rq(stage, id)
    stage.policy.pause("stop", by="ada")
    stage.gate.take(id, "rq", "rq-1", lease=LEASE)
    ended_in_rq(stage, job, "queued")
    Job.fetch(id, stage.redis, JSONSerializer).cancel()
    # Then nobody undoes that
    assert stage.gate.reseat() == 0
    assert stage.redis.llen(f"rq:queue:{stage.keys.queue(Lane.TRANSACTIONAL)}") == 0


def test_what_is_unknown_and_queued_by_hand_stays_unknown(stage: BatchStage) -> None:
    # Given an unknown message, which somebody puts into its queue by hand
    stage.transport.answer(says(Kind.UNKNOWN))
    id = stage.queue()
    stage.work()
    stage.redis.rpush(f"rq:queue:{stage.keys.queue(Lane.TRANSACTIONAL)}", id)
    job = taken_by_rq(stage, id)
    # When RQ's worker gets no leave to send it, and calls that a failure
    assert stage.gate.take(id, "rq", "rq-1", lease=LEASE)[0] == "unknown"
    ended_in_rq(stage, job, "failed")
    # Then it waits for a person, as before
    assert stage.gate.reseat() == 1
    assert_agreement(stage.redis)


def test_what_rq_was_told_to_queue_again_is_not_taken_out(stage: BatchStage) -> None:
    # Given a message that SES has refused, and that RQ's worker calls failed
    id = stage.queue()
    job = taken_by_rq(stage, id)
    stage.transport.answer(says(Kind.REFUSED))
    carried_by_rq(stage, id)
    ended_in_rq(stage, job, "failed")
    # When somebody requeues what RQ calls failed
    stage.redis.zrem(f"rq:failed:{job.origin}", id)
    ended_in_rq(stage, job, "queued")
    # Then it goes
    assert stage.gate.reseat() == 0
    stage.work()
    assert stage.state(id) is State.SENT
    assert_agreement(stage.redis)


def test_what_is_queued_by_a_person_and_by_rq_stands_there_once(stage: BatchStage) -> None:
    # Given a message that waits in the hand of RQ's worker, and that a person puts off, until it is due
    id, other = stage.queue(), stage.queue()
    job = taken_by_rq(stage, id)
    stage.policy.pause("stop", by="ada")
    assert stage.gate.take(id, "rq", "rq-1", lease=LEASE)[0] == "paused"
    stage.messages.reschedule(id, stage.now + 1, "ada")
    stage.pass_time(2)
    stage.gate.promote()
    # When RQ puts it back as well
    ended_in_rq(stage, job, "queued")
    stage.gate.reseat()
    # Then it stands there once, and so does the other
    assert_agreement(stage.redis)
    assert stage.state(other) is State.QUEUED


def test_what_is_put_off_while_rq_has_it_is_not_sent_before(stage: BatchStage) -> None:
    id = stage.queue()
    job = taken_by_rq(stage, id)
    stage.messages.reschedule(id, stage.now + 3600, "ada")
    assert stage.gate.take(id, "rq", "rq-1", lease=LEASE)[0] == "scheduled"
    ended_in_rq(stage, job, "failed")
    assert stage.gate.reseat() == 1
    assert_agreement(stage.redis)
    assert stage.redis.zscore(f"rq:scheduled:{job.origin}", id) == stage.now + 3600


def test_rqs_cancel_of_what_is_on_its_way_leaves_it_where_it_ends(stage: BatchStage) -> None:
    id = stage.queue()
    job = taken_by_rq(stage, id)
    stage.gate.take(id, "rq", "rq-1", lease=LEASE)
    (begun,) = stage.gate.begin("rq-1", [id])
    Job.fetch(id, stage.redis, JSONSerializer).cancel()
    stage.gate.settle([{**stage.courier.carry(begun), "foreign": True}])
    ended_in_rq(stage, job, "finished")
    stage.gate.reseat()
    assert_agreement(stage.redis)


def test_what_a_killed_worker_of_rqs_ran_is_not_shown_as_running(stage: BatchStage) -> None:
    # Given a worker of RQ's that was killed with a message in hand; its lease has run out, and RQ's notes have
    id = stage.queue()
    job = taken_by_rq(stage, id)
    stage.redis.zadd(f"rq:wip:{job.origin}", {f"{id}:run": stage.now + 60, "other:run": stage.now + 60})
    stage.gate.take(id, "rq", "rq-1", lease=LEASE)
    stage.pass_time(LEASE + 1)
    stage.gate.reap(on_unknown="hold", max_attempts=3)
    stage.redis.delete(f"rq:executions:{id}")
    # When a worker looks, Then it waits in its queue, and there alone
    stage.gate.reseat()
    assert stage.redis.zrange(f"rq:wip:{job.origin}", 0, -1) == [b"other:run"]
    stage.redis.zrem(f"rq:wip:{job.origin}", "other:run")
    assert_agreement(stage.redis)


def test_a_mail_to_more_than_a_day_has_room_for_stands_in_nobodys_way(stage: BatchStage) -> None:
    stage.sync(daily=3)
    id = stage.queue([f"p{i}@example.org" for i in range(5)])
    job = taken_by_rq(stage, id)
    assert stage.gate.take(id, "rq", "rq-1", lease=LEASE)[0] == "held"
    ended_in_rq(stage, job, "failed")
    assert stage.gate.reseat() == 1
    assert stage.status(id).hold == "day"
    assert_agreement(stage.redis)


def test_a_message_that_is_gone_is_forgotten(stage: BatchStage) -> None:
    id = stage.queue()
    job = taken_by_rq(stage, id)
    stage.gate.take(id, "rq", "rq-1", lease=LEASE)
    stage.redis.delete(stage.keys.message(id))
    ended_in_rq(stage, job, "failed")
    assert stage.gate.reseat() == 0
    assert not stage.redis.exists(stage.keys.lent)
    assert stage.redis.zrange(f"rq:failed:{job.origin}", 0, -1) == [id.encode()]


def killed_in_rq(stage: BatchStage, job: Job) -> None:
    """RQ's worker has died with the job in hand: its notes of the run stay until their time is over."""
    stage.redis.zadd(f"rq:wip:{job.origin}", {f"{job.id}:run": stage.now + 90})
    stage.redis.zadd(f"rq:executions:{job.id}", {"run": stage.now + 150})


def test_what_a_killed_worker_of_rqs_was_to_send_waits_in_its_queue_again(stage: BatchStage) -> None:
    # Given a message and a chunk whose worker of RQ's has asked for leave, and was killed
    batch, id = stage.take(3), stage.queue()
    chunk = f"{batch.id}-0"
    stage.policy.pause("stop", by="ada")
    for each in (id, chunk):
        killed_in_rq(stage, taken_by_rq(stage, each))
    assert stage.gate.take(id, "rq", "rq-1", lease=LEASE)[0] == "paused"
    assert stage.slices.take(chunk, "rq", "rq-2", lease=LEASE)[1] == "paused"
    # While a living worker need not have asked again, they are left to it
    stage.pass_time(2 * LEASE - 1)
    assert stage.gate.reseat() == 0
    # When it has not for too long, Then they stand in their queues, though RQ's notes say that they run
    stage.pass_time(2)
    assert stage.gate.reseat() == 2
    assert_agreement(stage.redis)
    stage.policy.resume(by="ada")
    stage.work(1)
    stage.send_all()
    assert stage.state(id) is State.SENT
    assert stage.fates(batch.id) == {"sent": 3}


def test_what_rq_still_says_of_a_worker_that_was_only_slow_is_set_right(stage: BatchStage) -> None:
    # Given a message that was put back, since its worker of RQ's was not heard of
    id = stage.queue()
    job = taken_by_rq(stage, id)
    stage.policy.pause("stop", by="ada")
    stage.gate.take(id, "rq", "rq-1", lease=LEASE)
    stage.pass_time(2 * LEASE + 1)
    assert stage.gate.reseat() == 1
    # When that worker lives, and fails it, Then it stands in its queue all the same
    ended_in_rq(stage, job, "failed")
    assert stage.gate.reseat() == 1
    assert_agreement(stage.redis)
    assert not stage.redis.exists(stage.keys.lent)


def test_what_a_worker_of_rqs_had_that_was_killed_before_it_asked_waits_in_its_queue_again(
    stage: BatchStage,
) -> None:
    # Given a message and a chunk that a worker of RQ's has taken out, and never asked about
    batch, id = stage.take(3), stage.queue()
    for each in (id, f"{batch.id}-0"):
        killed_in_rq(stage, taken_by_rq(stage, each))
    # While it may yet ask, they are left to it
    assert stage.gate.reseat() == 0
    stage.pass_time(29)
    assert stage.gate.reseat() == 0
    # Then they stand in their queues
    stage.pass_time(2)
    assert stage.gate.reseat() == 2
    assert_agreement(stage.redis)


def test_a_retry_of_what_was_once_scheduled_waits_as_long_as_any(stage: BatchStage) -> None:
    # Given a message that was scheduled, came due, and met an SES that is away, in the hand of RQ's worker
    id = stage.queue(send_at=datetime.fromtimestamp(stage.now + 2, timezone.utc))
    stage.pass_time(3)
    stage.gate.promote()
    job = taken_by_rq(stage, id)
    assert stage.gate.take(id, "rq", "rq-1", lease=LEASE)[0] == "granted"
    stage.gate.begin("rq-1", [id])
    later = {"id": id, "execution": "rq-1", "to": "retrying", "reason": "away", "delay": 60, "attempts": 1}
    stage.gate.settle([{**later, "foreign": True}])
    stage.redis.zadd(f"rq:scheduled:{job.origin}", {id: stage.now + 60})
    stage.redis.delete(f"rq:executions:{id}")
    # Then it is due when RQ was told, not when it was to be sent first
    stage.gate.reseat()
    assert stage.redis.zscore(f"rq:scheduled:{job.origin}", id) == stage.now + 60


def test_what_a_worker_that_was_taken_for_dead_writes_down_at_last_stands_in_one_place(
    stage: BatchStage,
) -> None:
    # Given a worker of RQ's that stood still in the middle of a call, until RQ and sesq gave it up
    id = stage.queue()
    job = taken_by_rq(stage, id)
    assert stage.gate.take(id, "rq", "rq-1", lease=LEASE)[0] == "granted"
    (begun,) = stage.gate.begin("rq-1", [id])
    stage.pass_time(LEASE + 1)
    stage.gate.reap(on_unknown="hold", max_attempts=3)
    stage.redis.delete(f"rq:executions:{id}")
    stage.gate.reseat()
    assert stage.state(id) is State.UNKNOWN
    # When it goes on, and SES has taken the message
    stage.gate.settle([{**stage.courier.carry(begun), "foreign": True}])
    ended_in_rq(stage, job, "finished")
    # Then it is sent, and stands where RQ keeps what is
    stage.gate.reseat()
    assert stage.state(id) is State.SENT
    assert_agreement(stage.redis)


def test_another_try_of_what_was_judged_meanwhile_gets_no_tokens(stage: BatchStage) -> None:
    # Given a message whose worker was taken for dead, and that a person has queued again
    id = stage.queue()
    _, (begun,) = stage.claim(1)
    stage.pass_time(LEASE + 1)
    stage.gate.reap(on_unknown="hold", max_attempts=3)
    stage.messages.resolve(id, "queued", "ada")
    # When that worker lives, and asks for another try, Then the message is not its own any more
    assert stage.gate.take_again(begun, unused=False, lease=LEASE) == ("queued", 0.0)
    assert stage.state(id) is State.QUEUED
    assert_agreement(stage.redis)


def test_rqs_cancel_of_what_a_killed_worker_of_rqs_had_counts(stage: BatchStage) -> None:
    # Given a message that a worker of RQ's was taking when it was killed, and that somebody cancels with RQ's tools
    id = stage.queue()
    job = taken_by_rq(stage, id)
    killed_in_rq(stage, job)
    Job.fetch(id, stage.redis, JSONSerializer).cancel()
    stage.redis.zadd(f"rq:wip:{job.origin}", {f"{id}:run": stage.now + 90})
    stage.gate.reseat()
    stage.pass_time(SETTLED_SECONDS + 1)
    stage.gate.reseat()
    # When the account is synced, Then it is cancelled
    restore_lost_jobs(stage.redis, "default")
    assert stage.state(id) is State.CANCELLED


def test_what_killed_workers_of_rqs_had_stands_in_its_order_again(stage: BatchStage) -> None:
    ids = [stage.queue() for _ in range(6)]
    stage.policy.pause("stop", by="ada")
    for id in ids[:4]:
        killed_in_rq(stage, taken_by_rq(stage, id))
        stage.gate.take(id, "rq", f"rq-{id}", lease=LEASE)
        stage.pass_time(1)
    stage.pass_time(2 * LEASE)
    assert stage.gate.reseat() == 4
    queue = stage.redis.lrange(f"rq:queue:{stage.keys.queue(Lane.TRANSACTIONAL)}", 0, -1)
    assert [id.decode() for id in queue] == ids
