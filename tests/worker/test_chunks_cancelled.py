"""RQ's own cancel of a chunk's job: who waits in that chunk is cancelled, whatever comes before a sync has looked."""

from __future__ import annotations

import pytest
from redis import Redis
from rq.job import Job
from rq.serializers import JSONSerializer

from agreement import assert_agreement
from batch_stage import BatchStage
from sesq.queue.results import put_back
from sesq.queue.states import State
from sesq.worker.reconcile import SETTLED_SECONDS, reconcile
from sesq.worker.verdicts import Kind
from stage import LEASE, says


@pytest.fixture
def stage(redis: Redis) -> BatchStage:
    return BatchStage(redis)


def cancel_in_rq(stage: BatchStage, chunk: str) -> None:
    Job.fetch(chunk, stage.redis, JSONSerializer).cancel()


def look(stage: BatchStage) -> None:
    stage.pass_time(SETTLED_SECONDS + 1)
    assert reconcile(stage.redis, "default") == 0
    assert_agreement(stage.redis)


def test_the_chunk_that_rqs_own_cancel_took_back_is_cancelled_and_no_other(stage: BatchStage) -> None:
    # Given a batch of three chunks, of which the first is on its way in part
    taken = stage.take(1200)
    first = f"{taken.id}-0"
    _, flying = stage.grant(5)
    late = [put_back(each.grant, "late") for each in flying[3:]]
    stage.gate.settle(late[:1])
    # When somebody cancels its job with RQ's tools, and a sync looks
    cancel_in_rq(stage, first)
    look(stage)
    # Then who waited in it is cancelled; who is on their way is not, unless they come back
    stage.gate.settle([*(stage.sender.send_message(each) for each in flying[:3]), *late[1:]])
    assert_agreement(stage.redis)
    stage.send_all()
    assert stage.fates(taken.id) == {"sent": 703, "cancelled": 497}
    assert stage.counts(taken.id) == {"sent": 703, "cancelled": 497}
    assert (stage.batch(taken).state, stage.waiting()) == ("done", [])
    reasons = {each.reason for each in stage.batches.recipients(taken.id) if each.state is State.CANCELLED}
    assert reasons == {"cancelled by RQ's own cancel"}
    assert [id.decode() for id in stage.redis.zrange("rq:canceled:sesq.default.bulk", 0, -1)] == [first]
    assert_agreement(stage.redis)


def test_recipients_of_other_chunks_who_have_a_record_are_not_cancelled(stage: BatchStage) -> None:
    # Given two chunks, and a recipient of the second who is held
    taken = stage.take(700)
    while len(stage.waiting()) == 2:
        stage.send(50)
        stage.pass_time(1)
    stage.transport.answer(says(Kind.UNVERIFIED_RECIPIENT, "recipient:x@example.org"))
    stage.send(1)
    held = [each.id for each in stage.batches.recipients(taken.id) if each.state is State.HELD]
    assert len(held) == 1
    assert held[0].startswith(f"{taken.id}-1-")
    # When the first one is cancelled
    stage.batches.cancel_chunk(f"{taken.id}-0")
    # Then the one of the second still waits
    assert stage.state(held[0]) is State.HELD


def test_a_chunk_that_rqs_own_cancel_took_back_does_not_go_when_its_batch_goes_on(stage: BatchStage) -> None:
    # Given a paused batch, one of whose chunks waits aside
    taken = stage.take(700)
    stage.batches.pause(taken.id, "a look")
    assert stage.send(5) == []
    first = f"{taken.id}-0"
    cancel_in_rq(stage, first)
    look(stage)
    # When it is resumed
    stage.batches.resume(taken.id)
    stage.send_all()
    # Then that one does not go; and to cancel the rest counts nobody twice
    assert stage.fates(taken.id) == {"sent": 200, "cancelled": 500}
    assert stage.counts(taken.id) == {"sent": 200, "cancelled": 500}
    assert stage.batch(taken).state == "done"


def test_who_is_cancelled_with_the_batch_is_not_counted_again_with_the_chunk(stage: BatchStage) -> None:
    taken = stage.take(700)
    _, flying = stage.grant(5)
    cancel_in_rq(stage, f"{taken.id}-1")
    stage.batches.cancel(taken.id, "enough")
    look(stage)
    stage.gate.settle([stage.sender.send_message(each) for each in flying])
    assert stage.counts(taken.id) == {"sent": 5, "cancelled": 695}
    assert stage.fates(taken.id) == {"sent": 5, "cancelled": 695}


def test_what_comes_back_before_a_sync_has_looked_is_cancelled_too(stage: BatchStage) -> None:
    # Given a chunk that is on its way as a whole, whose job somebody cancels
    taken = stage.take(10)
    _, flying = stage.grant(10)
    cancel_in_rq(stage, f"{taken.id}-0")
    # When it comes back
    stage.gate.settle([put_back(each.grant, "late") for each in flying])
    # Then nobody of it goes
    assert stage.send(10) == []
    assert stage.fates(taken.id) == stage.counts(taken.id) == {"cancelled": 10}
    assert_agreement(stage.redis)


def test_a_batch_that_goes_on_before_a_sync_has_looked_leaves_it_cancelled(stage: BatchStage) -> None:
    taken = stage.take(10)
    stage.batches.pause(taken.id, "a look")
    assert stage.send(5) == []
    cancel_in_rq(stage, f"{taken.id}-0")
    stage.batches.resume(taken.id)
    assert stage.send(10) == []
    assert stage.fates(taken.id) == stage.counts(taken.id) == {"cancelled": 10}
    assert_agreement(stage.redis)


def test_who_was_to_be_tried_again_is_cancelled_with_the_chunk(stage: BatchStage) -> None:
    # Given three of a chunk: one waits for another try, two are on their way
    taken = stage.take(10)
    stage.transport.answer(*[says(Kind.TRANSIENT)] * 3)
    stage.send(1)
    _, flying = stage.grant(2)
    # When it is cancelled, one of the latter is to be tried again, and the worker of the other dies
    cancel_in_rq(stage, f"{taken.id}-0")
    look(stage)
    assert stage.counts(taken.id) == {"cancelled": 8, "sending": 2}
    stage.transport.answer(says(Kind.THROTTLED))
    stage.gate.settle([stage.sender.send_message(flying[0])])
    stage.pass_time(LEASE + 1)
    stage.reap("resend", max_attempts=3)
    stage.pass_time(600)
    stage.gate.promote()
    stage.work()
    # Then nobody of it goes any more; of the last one nobody can say whether it went
    assert stage.transport.sent == []
    assert stage.fates(taken.id) == stage.counts(taken.id)
    assert stage.counts(taken.id)["cancelled"] >= 9
    assert {each.state for each in stage.batches.recipients(taken.id)} <= {State.CANCELLED, State.UNKNOWN}
    assert_agreement(stage.redis)


def test_one_that_is_cancelled_in_rq_and_then_with_its_batch_is_cancelled_for_both(stage: BatchStage) -> None:
    taken = stage.take(700)
    cancel_in_rq(stage, f"{taken.id}-0")
    stage.batches.cancel(taken.id, "enough")
    stage.work()
    look(stage)
