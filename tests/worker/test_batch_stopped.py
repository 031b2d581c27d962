"""A batch that is paused or cancelled, by a person or by its own bounces: what goes, what stays, and what is known."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from redis import Redis

from agreement import assert_agreement
from batch import template
from batch_stage import BatchStage
from event_rows import bounce as bounced
from event_rows import event
from sesq.config.errors import TakenBefore, WrongState
from sesq.producer.batch.request import batch_request
from sesq.queue.results import put_back
from sesq.queue.states import State
from sesq.worker.events import Feedback
from sesq.worker.sending import BLIP_TRIES
from sesq.worker.verdicts import Kind
from stage import LEASE, says


@pytest.fixture
def stage(redis: Redis) -> BatchStage:
    return BatchStage(redis)


def test_paused_no_claim_grants_and_resumed_it_goes_on_in_order(stage: BatchStage) -> None:
    first, second = stage.take(600), stage.take(10, key="other")
    stage.send(5)
    stage.batches.pause(first.id, "a wrong link")
    # Then its chunks are out of the way of what waits behind them
    assert [result.grant.id.partition("-")[0] for result in stage.send(5)] == [second.id] * 5
    assert stage.waiting() == [f"{second.id}-0"]
    assert stage.redis.zcard("rq:deferred:sesq.default.bulk") == 2
    with pytest.raises(WrongState):
        stage.batches.pause(first.id, "again")
    # When it is resumed, then it is at the head again, in its order
    stage.batches.resume(first.id)
    assert stage.waiting() == [f"{first.id}-0", f"{first.id}-1", f"{second.id}-0"]
    stage.pass_time(1)
    assert stage.send(1)[0].grant.id == f"{first.id}-0-5"
    stage.send_all()
    assert stage.fates(first.id) == {"sent": 600}


def test_cancelled_it_is_known_who_got_it(stage: BatchStage) -> None:
    taken = stage.take(1200)
    stage.transport.answer("id-0", says(Kind.UNVERIFIED_RECIPIENT, "recipient:p1@example.org"))
    stage.send(20)
    _, flying = stage.grant(10)
    stage.batches.cancel(taken.id, "a wrong link")
    # Then what was on its way ends as it ends; a row that was not sent goes no more
    late = put_back(flying[9].grant, "late")
    stage.gate.settle([*(stage.sender.send_message(each) for each in flying[:9]), late])
    assert stage.counts(taken.id) == {"sent": 28, "cancelled": 1172} == stage.fates(taken.id)
    assert stage.send(50) == []
    assert stage.waiting() == []
    assert (stage.batch(taken).state, stage.batch(taken).reason) == ("cancelled", "a wrong link")
    assert stage.batch(taken).ended is not None
    with pytest.raises(WrongState):
        stage.batches.resume(taken.id)
    assert_agreement(stage.redis)


def test_after_a_cancel_nothing_goes_that_was_to_be_tried_again(stage: BatchStage) -> None:
    taken = stage.take(30)
    _, flying = stage.grant(5)
    stage.batches.cancel(taken.id, "a wrong link")
    # Given five on their way when the batch was cancelled, that came to little
    stage.transport.answer(
        says(Kind.TRANSIENT),
        says(Kind.UNVERIFIED_RECIPIENT, "recipient:p1@example.org"),
        says(Kind.UNKNOWN),
        says(Kind.DAY_SPENT),
        "id-4",
    )
    stage.gate.settle([stage.sender.send_message(each) for each in flying])
    # Then they are cancelled, but for what SES may have taken
    told = {"cancelled": 28, "unknown": 1, "sent": 1}
    assert stage.counts(taken.id) == told == stage.fates(taken.id)
    assert stage.status(f"{taken.id}-0-0").reason == "a wrong link"
    assert_agreement(stage.redis)
    # and nobody can queue them again
    with pytest.raises(WrongState, match="of a cancelled batch"):
        stage.messages.retry(f"{taken.id}-0-0", "ada")


def test_after_a_cancel_of_what_ses_may_have_taken_the_content_stays(redis: Redis) -> None:
    # Given a row whose reply was lost, and that waits to be sent again as the policy says
    stage = BatchStage(redis, on_unknown="resend")
    taken = stage.take(1)
    stage.transport.answer(says(Kind.UNKNOWN))
    stage.send(1)
    id = f"{taken.id}-0-0"
    assert stage.state(id) is State.RETRYING
    # When its batch is cancelled, then it is unknown, and a person who knows better still has it
    stage.batches.cancel(taken.id, "a wrong link")
    assert (stage.state(id), stage.redis.exists(stage.keys.content(id))) == (State.UNKNOWN, 1)
    assert_agreement(redis)


def test_a_dead_workers_rows_of_a_cancelled_batch_are_not_sent_again(stage: BatchStage) -> None:
    taken = stage.take(30)
    stage.grant(3)
    stage.batches.cancel(taken.id, "a wrong link")
    stage.pass_time(LEASE + 1)
    stage.reap("resend", max_attempts=3)
    assert stage.fates(taken.id) == {"unknown": 3, "cancelled": 27}
    assert_agreement(stage.redis)


def test_a_paused_batch_keeps_those_back_that_have_a_record(stage: BatchStage) -> None:
    taken = stage.take(4)
    stage.transport.answer(
        *[says(Kind.TRANSIENT)] * BLIP_TRIES,
        says(Kind.UNVERIFIED_RECIPIENT, "person"),
        says(Kind.DAY_SPENT),
        "id-3",
    )
    stage.send(4)
    # Given a batch that is paused while one is to be tried again, one is held, and one waits in its lane
    stage.batches.pause(taken.id, "a wrong link")
    stage.messages.release(f"{taken.id}-0-1", "ada")
    stage.pass_time(60)
    stage.gate.promote()
    sent = len(stage.transport.sent)
    stage.sync()
    assert stage.work() == []
    assert len(stage.transport.sent) == sent
    # Then they are held, and say why
    assert stage.counts(taken.id) == {"held": 3, "sent": 1}
    assert stage.status(f"{taken.id}-0-1").hold == f"batch:{taken.id}"
    assert "a wrong link" in stage.status(f"{taken.id}-0-1").reason
    assert_agreement(stage.redis)
    # When it goes on, so do they
    stage.batches.resume(taken.id)
    stage.work()
    assert stage.counts(taken.id) == {"sent": 4}
    assert (stage.batch(taken).state, stage.messages.holds()) == ("done", {})


def test_a_cancel_that_was_cut_short_can_be_done_again(
    stage: BatchStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = stage.take(3)
    stage.transport.answer(says(Kind.UNVERIFIED_RECIPIENT, "recipient:p0@example.org"))
    stage.send(1)
    with monkeypatch.context() as patch:
        patch.setattr("sesq.queue.batches._in_parts", lambda *_: iter(()))
        stage.batches.cancel(taken.id, "a wrong link")
    assert stage.counts(taken.id) == {"held": 1, "cancelled": 2}
    stage.batches.cancel(taken.id, "once more")
    assert stage.counts(taken.id) == {"cancelled": 3}
    assert (stage.batch(taken).reason, stage.batch(taken).ended is not None) == ("a wrong link", True)


def test_cancelled_before_all_its_rows_were_here_it_has_ended(stage: BatchStage) -> None:
    taken = stage.take(3)
    stage.redis.hset(stage.keys.batch(taken.id), "filled", 0)
    stage.batches.cancel(taken.id, "a wrong link")
    assert stage.batch(taken).ended is not None
    # and whoever gives it again is told so, and that nothing was queued
    with pytest.raises(TakenBefore, match="is cancelled"):
        stage.take(3)


def test_cancelled_while_its_rows_are_queued_the_others_are_not(stage: BatchStage) -> None:
    id = batch_request(template(), "shop@example.com", "k").id()

    def rows() -> Iterator[dict[str, str]]:
        for i in range(1500):
            if i == 1000:
                stage.batches.cancel(id, "a wrong link")
            yield {"email": f"p{i}@example.org", "name": "P"}

    with pytest.raises(WrongState, match="was cancelled while its rows were queued"):
        stage.take(0, rows=rows())
    assert stage.counts(id) == {"cancelled": 1000}


def test_the_last_stop_conditions_hold_when_a_producer_that_died_goes_on(stage: BatchStage) -> None:
    taken = stage.take(3, stop_bounces=5.0)
    stage.redis.hset(stage.keys.batch(taken.id), "filled", 0)
    stage.take(3, stop_bounces=1.0, stop_complaints=0.1)
    batch = stage.batch(taken)
    assert (batch.stop_bounces, batch.stop_complaints) == (1.0, 0.1)


@pytest.mark.parametrize(("bad", "state"), [("bounces", State.BOUNCED), ("complaints", State.COMPLAINED)])
def test_a_batch_with_too_many_bounces_pauses_itself(stage: BatchStage, bad: str, state: State) -> None:
    taken = stage.take(200, **{f"stop_{bad}": 5})
    stage.send(50)
    stage.pass_time(1)
    stage.send(50)
    got = [each.id for each in stage.batches.recipients(taken.id) if each.state is State.SENT]
    # When feedback comes in for recipients that have no record
    for id in got[:5]:
        stage.messages._change(id, {State.SENT}, state, "SES said so")
    assert stage.batch(taken).state == "running"
    stage.messages._change(got[5], {State.SENT}, state, "SES said so")
    # Then above 5 % it is paused, and says why
    assert stage.batch(taken).state == "paused"
    assert stage.batch(taken).reason.startswith(f"{bad}: 6 of 100 recipients, 6 %")
    assert stage.counts(taken.id) == {"queued": 100, "sent": 94, state.value: 6} == stage.fates(taken.id)
    assert_agreement(stage.redis)


def test_what_ses_did_not_try_to_send_pauses_no_batch(stage: BatchStage) -> None:
    # Given a batch that is to stop above 5 % of bounces
    taken, feedback = stage.take(200, stop_bounces=5), Feedback(stage.redis, "default")
    for _ in range(2):
        stage.send(50)
        stage.pass_time(1)
    got = [each.id for each in stage.batches.recipients(taken.id) if each.state is State.SENT]
    # When many of its recipients are on a tenant's list, then it goes on
    for id in got[:10]:
        feedback.handle(event("Bounce", id, bounced("Permanent", "OnTenantSuppressionList")))
    assert stage.batch(taken).state == "running"
    # And above 5 % of those who were tried and bounced it is paused
    for id in got[10:15]:
        feedback.handle(event("Bounce", id, bounced("Permanent", "NoEmail")))
    assert stage.batch(taken).state == "running"
    feedback.handle(event("Bounce", got[15], bounced("Permanent", "NoEmail")))
    assert stage.batch(taken).state == "paused"
    assert stage.batch(taken).reason.startswith("bounces: 6 of 100 recipients, 6 %")
    assert_agreement(stage.redis)


def bounce(stage: BatchStage, id: str, count: int) -> None:
    got = [each.id for each in stage.batches.recipients(id) if each.state is State.SENT]
    for each in got[:count]:
        stage.messages._change(each, {State.SENT}, State.BOUNCED, "SES said so")


def test_bounces_that_came_before_enough_was_sent_count_when_it_is(stage: BatchStage) -> None:
    taken = stage.take(200, stop_bounces=5)
    stage.send(40)
    bounce(stage, taken.id, 10)
    assert stage.batch(taken).state == "running"
    stage.pass_time(1)
    stage.send(9)
    assert stage.batch(taken).state == "running"
    stage.send(1)
    assert stage.batch(taken).state == "paused"


def test_what_a_person_let_go_on_is_paused_again_when_it_is_a_step_worse(stage: BatchStage) -> None:
    taken = stage.take(300, stop_bounces=5)
    for _ in range(2):
        stage.send(50)
        stage.pass_time(1)
    bounce(stage, taken.id, 10)
    assert stage.batch(taken).state == "paused"
    bounce(stage, taken.id, 2)
    # Given a person who lets it go on at 12 %
    stage.batches.resume(taken.id)
    # Then it goes on, and one more bounce of a hundred more is no reason to stop
    stage.send(50)
    stage.pass_time(1)
    stage.send(50)
    bounce(stage, taken.id, 13)
    assert stage.batch(taken).state == "running"
    # and 13 % are
    bounce(stage, taken.id, 1)
    assert (stage.batch(taken).state, "26 of 200" in stage.batch(taken).reason) == ("paused", True)


def test_who_is_cancelled_with_their_batch_is_since_then(stage: BatchStage) -> None:
    taken = stage.take(2)
    stage.pass_time(60)
    stage.batches.cancel(taken.id, "enough")
    record = stage.messages.get(f"{taken.id}-0-1")
    assert (record.state, record.since) == (State.CANCELLED, stage.now)
    assert [(event.state, event.reason) for event in record.history][1:] == [(State.CANCELLED, "enough")]


def test_why_nobody_gets_it_is_told_of_each_recipient(stage: BatchStage) -> None:
    taken = stage.take(3)

    def told() -> set[tuple[str, str]]:
        return {(each.state.value, each.reason) for each in stage.batches.recipients(taken.id)}

    assert told() == {("queued", "")}
    stage.batches.pause(taken.id, "a wrong link")
    assert told() == {("queued", "the batch is paused: a wrong link")}
    assert stage.status(f"{taken.id}-0-1").reason == "the batch is paused: a wrong link"
    stage.batches.cancel(taken.id, "the wrong list")
    assert told() == {("cancelled", "the wrong list")}
    cancelled = stage.status(f"{taken.id}-0-1")
    assert [(event.state.value, event.at) for event in cancelled.history] == [
        ("queued", stage.batch(taken).created),
        ("cancelled", stage.batch(taken).ended),
    ]
