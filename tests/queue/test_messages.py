"""What a person may do to a message in each state, and that RQ's tools show the same after each."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timezone

import pytest
from redis import Redis
from rq.job import Job
from rq.serializers import JSONSerializer

from agreement import assert_agreement
from sesq.config.errors import InvalidMessage, UnknownMessage, WrongState
from sesq.producer import Message, Outbox
from sesq.queue.keys import CLOCK_OFFSET
from sesq.queue.messages import RETRYABLE, accounts
from sesq.queue.results import SendResult
from sesq.queue.states import SENT_STATES, WAITING_STATES, Lane, State
from sesq.worker.verdicts import Kind
from stage import START, Stage, says

HOLD = "recipient:ada@example.org"


def at(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, timezone.utc)


@pytest.fixture
def stage(redis: Redis) -> Stage:
    return Stage(redis)


def brought_to(stage: Stage, state: State) -> str:
    """A message in that state, by the way that leads there."""
    if state is State.SCHEDULED:
        return stage.queue(send_at=at(stage.now + 600))
    id = stage.queue(expires_at=at(stage.now + 60) if state is State.EXPIRED else None)
    if state is State.QUEUED:
        return id
    if state is State.CANCELLED:
        stage.messages.cancel(id, "ada")
        return id
    if state is State.EXPIRED:
        stage.pass_time(61)
    if state in (State.SENDING, State.DELIVERED, State.BOUNCED, State.COMPLAINED, State.SUPPRESSED):
        _, begun = stage.claim()
        if state is not State.SENDING:
            stage.gate.settle([SendResult(begun[0].grant, state, message_id="m")])
        return id
    answers = {
        State.RETRYING: says(Kind.TRANSIENT),
        State.HELD: says(Kind.UNVERIFIED_RECIPIENT, HOLD),
        State.UNKNOWN: says(Kind.UNKNOWN),
        State.REFUSED: says(Kind.REFUSED),
    }
    if state is State.FAILED:
        stage.redis.hset(stage.keys.message(id), "attempts", 7)
    stage.transport.answer(
        *[answers.get(state, says(Kind.TRANSIENT))] * 3 if state not in (State.SENT, State.EXPIRED) else []
    )
    stage.work()
    stage.transport._answers.clear()
    return id


@pytest.mark.parametrize("state", list(State))
def test_every_state_is_shown_by_our_lists_and_by_rqs_alike(stage: Stage, state: State) -> None:
    id = brought_to(stage, state)
    assert stage.state(id) is state
    assert assert_agreement(stage.redis)[state] == 1
    assert stage.messages.counts() == {s: int(s is state) for s in State}
    assert [record.id for record in stage.messages.list([state])] == [id]
    assert Job.fetch(id, stage.redis, JSONSerializer).description == f"sesq message {id}"


ACTS: dict[str, tuple[Callable[[Stage, str], None], frozenset[State], State]] = {
    "cancel": (lambda s, id: s.messages.cancel(id, "ada"), WAITING_STATES | {State.UNKNOWN}, State.CANCELLED),
    "retry": (lambda s, id: s.messages.retry(id, "ada"), RETRYABLE - {State.CANCELLED}, State.QUEUED),
    "release": (lambda s, id: s.messages.release(id, "ada"), frozenset({State.HELD}), State.QUEUED),
    "resolve sent": (
        lambda s, id: s.messages.resolve(id, "sent", "ada"),
        frozenset({State.UNKNOWN}),
        State.SENT,
    ),
    "resolve queued": (
        lambda s, id: s.messages.resolve(id, "queued", "ada"),
        frozenset({State.UNKNOWN}),
        State.QUEUED,
    ),
    "resolve failed": (
        lambda s, id: s.messages.resolve(id, "failed", "ada"),
        frozenset({State.UNKNOWN}),
        State.FAILED,
    ),
    "reschedule": (
        lambda s, id: s.messages.reschedule(id, s.now + 900, "ada"),
        WAITING_STATES,
        State.SCHEDULED,
    ),
}


@pytest.mark.parametrize("state", list(State))
@pytest.mark.parametrize("act", list(ACTS))
def test_an_act_is_done_whole_or_refused_with_nothing_changed(stage: Stage, act: str, state: State) -> None:
    do, allowed, becomes = ACTS[act]
    id = brought_to(stage, state)
    before = stage.status(id)
    if state in allowed:
        do(stage, id)
        after = stage.status(id)
        assert after.state is becomes
        assert after.history[:-1] == before.history
        assert "ada" in after.reason
    else:
        with pytest.raises(WrongState):
            do(stage, id)
        assert stage.status(id) == before
    assert_agreement(stage.redis)


@pytest.mark.parametrize("act", list(ACTS))
def test_an_unknown_id_is_told(stage: Stage, act: str) -> None:
    with pytest.raises(UnknownMessage):
        ACTS[act][0](stage, "nobody")


@pytest.mark.parametrize("state", sorted(SENT_STATES))
def test_what_has_a_message_id_never_comes_back(stage: Stage, state: State) -> None:
    id = brought_to(stage, state)
    # whoever puts its job into the queue again, by RQ's means
    stage.redis.rpush(f"rq:queue:{stage.keys.queue(Lane.TRANSACTIONAL)}", id)
    assert stage.claim()[1] == []
    assert stage.state(id) is state
    assert_agreement(stage.redis)


def test_retry_forgets_attempts_and_the_time_that_ran_out(stage: Stage) -> None:
    failed, expired = brought_to(stage, State.FAILED), brought_to(stage, State.EXPIRED)
    assert stage.status(failed).attempts == 8
    for id in (failed, expired):
        stage.messages.retry(id, "ada")
    stage.work()
    assert [stage.state(id) for id in (failed, expired)] == [State.SENT, State.SENT]
    assert stage.status(failed).attempts == 1
    assert_agreement(stage.redis)


def test_a_retry_sends_nothing_after_a_time_that_is_yet_to_come(stage: Stage) -> None:
    # Given two with an hour left, of which one has failed, and one waits for another try
    stage.transport.answer(says(Kind.REFUSED), *[says(Kind.TRANSIENT)] * 3)
    ids = [stage.queue(expires_at=at(stage.now + 3600)) for _ in range(2)]
    stage.work()
    assert [stage.state(id) for id in ids] == [State.REFUSED, State.RETRYING]
    # When a person has both tried again, and the hour passes before they go
    for id in ids:
        stage.messages.retry(id, "ada")
    stage.pass_time(3601)
    stage.gate.promote()
    # Then neither goes
    assert [stage.state(id) for id in ids] == [State.EXPIRED] * 2
    assert_agreement(stage.redis)


def test_a_retry_saves_nothing_that_waits_and_is_too_late_already(stage: Stage) -> None:
    stage.transport.answer(*[says(Kind.TRANSIENT)] * 3)
    id = stage.queue(expires_at=at(stage.now + 60))
    stage.work()
    stage.pass_time(61)
    stage.messages.retry(id, "ada")
    stage.work()
    assert stage.state(id) is State.EXPIRED
    assert_agreement(stage.redis)


def test_nothing_is_put_off_until_after_its_time(stage: Stage) -> None:
    id = stage.queue(expires_at=at(stage.now + 60))
    with pytest.raises(InvalidMessage, match="send_at: is not before expires_at"):
        stage.messages.reschedule(id, stage.now + 60, "ada")
    stage.messages.reschedule(id, stage.now + 59, "ada")
    assert stage.state(id) is State.SCHEDULED


def test_what_was_cancelled_has_no_content_and_cannot_be_sent_again(stage: Stage) -> None:
    id = brought_to(stage, State.CANCELLED)
    with pytest.raises(WrongState, match="is gone, so it cannot be sent again"):
        stage.messages.retry(id, "ada")


def test_released_it_is_tried_even_where_its_whole_sender_was_blocked(stage: Stage) -> None:
    # Given a sender that SES refuses as a whole
    stage.transport.answer(says(Kind.CONFIGURATION, "sender:shop@example.com"))
    id, other = stage.queue(), stage.queue()
    stage.work()
    assert [stage.state(i) for i in (id, other)] == [State.HELD, State.HELD]
    assert len(stage.transport.tried) == 1
    # When a person has cured it and releases one
    stage.messages.release(id, "ada")
    stage.rules._learnt.clear()
    stage.work()
    # Then it is tried
    assert stage.state(id) is State.SENT
    assert stage.state(other) is State.HELD
    assert_agreement(stage.redis)


def test_rescheduled_to_the_second(stage: Stage) -> None:
    id = brought_to(stage, State.HELD)
    stage.messages.reschedule(id, stage.now + 90, "ada")
    record = stage.status(id)
    assert (record.send_at, record.hold) == (stage.now + 90, None)
    stage.pass_time(89.99)
    assert stage.gate.promote() == (0, pytest.approx(0.01, abs=1e-3))
    stage.pass_time(0.01)
    assert stage.gate.promote()[0] == 1
    assert_agreement(stage.redis)


def test_freeing_lets_the_oldest_go_first(stage: Stage) -> None:
    ids = []
    for _ in range(5):
        ids.append(brought_to(stage, State.HELD))
        stage.pass_time(1)
    assert stage.messages.waiting_for(HOLD) == 5
    stage.messages.try_one(HOLD, "perhaps")
    assert assert_agreement(stage.redis)[State.QUEUED] == 1
    assert stage.messages.holds() == {HOLD: "Because."}
    assert stage.messages.free(HOLD, "cured") == 4
    assert stage.messages.holds() == {}
    tried, *others = [b.id for b in stage.claim()[1]]
    assert others == [id for id in ids if id != tried]
    assert stage.messages.free("recipient:nobody@example.org", "cured") == 0
    assert_agreement(stage.redis)


def test_more_are_freed_than_one_call_takes(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sesq.queue.messages.FREE_AT_ONCE", 2)
    for _ in range(5):
        brought_to(stage, State.HELD)
    assert stage.messages.free(HOLD, "cured") == 5
    assert_agreement(stage.redis)


def test_the_hold_goes_with_its_last_message_whatever_became_of_that(stage: Stage) -> None:
    first, second = brought_to(stage, State.HELD), brought_to(stage, State.HELD)
    stage.messages.cancel(first, "ada")
    assert stage.messages.holds() == {HOLD: "Because."}
    stage.messages.release(second, "ada")
    assert stage.messages.holds() == {}
    assert_agreement(stage.redis)


def test_the_newest_come_first_in_a_list(stage: Stage) -> None:
    ids = []
    for _ in range(4):
        ids.append(stage.queue())
        stage.pass_time(1)
    stage.messages.cancel(ids[0], "ada")
    assert [record.id for record in stage.messages.list(limit=3)] == [ids[0], ids[3], ids[2]]


def test_whoever_did_it_may_have_any_name(stage: Stage) -> None:
    id = stage.queue()
    name = 'A\u2028da\u0085 "\n" O\'Brien'
    stage.messages.cancel(id, name)
    assert stage.status(id).history[-1].reason == f"cancelled by {name}"


def test_history_and_record_tell_the_same_life(stage: Stage) -> None:
    id = stage.queue()
    stage.pass_time(5)
    stage.work()
    record = stage.status(id)
    assert [(event.at, event.state) for event in record.history] == [
        (START + 2, State.QUEUED),
        (START + 7, State.SENDING),
        (START + 7, State.SENT),
    ]
    told = record.as_json()
    assert (told["state"], told["message_id"], told["attempts"]) == ("sent", "recorded-1", 1)
    assert [event["state"] for event in told["history"]] == ["queued", "sending", "sent"]


def test_accounts_are_known_once_they_were_queued_for(redis: Redis) -> None:
    mail = {"sender": "a@example.com", "to": "b@example.org", "text": "t"}
    Outbox(redis).send(Message(**mail, account="shop"))
    Outbox(redis).send(Message(**mail))
    assert accounts(redis) == ["default", "shop"]
    assert_agreement(redis)


@pytest.mark.parametrize("state", [State.SENT, State.FAILED, State.EXPIRED, State.CANCELLED, State.REFUSED])
def test_the_end_of_a_message_is_forgotten_with_its_content_after_its_time(
    redis: Redis, state: State
) -> None:
    # Given a message whose record is kept for a second once it has ended
    stage = Stage(redis)
    stage.outbox = Outbox(redis, keep_days=1 / 86_400)
    id = brought_to(stage, state)
    assert 0 < redis.pttl(stage.keys.message(id)) <= 1000
    content = redis.pttl(stage.keys.content(id))
    assert content == -2 or 0 < content <= 1000
    # When that time is over
    for key in (stage.keys.message(id), stage.keys.content(id), f"rq:job:{id}"):
        redis.pexpire(key, 0)
    redis.zadd("rq:canceled:sesq.default.transactional", {id: 1}, xx=True)
    kept = stage.queue()
    # Then it is gone from the lists as well, and others are not
    assert stage.messages.prune() == 1
    assert stage.messages.counts() == {s: int(s is State.QUEUED) for s in State}
    assert redis.zcard("rq:canceled:sesq.default.transactional") == 0
    assert stage.state(kept) is State.QUEUED
    with pytest.raises(UnknownMessage, match="keep_days"):
        stage.messages.get(id)
    assert stage.messages.list() == [stage.status(kept)]


def test_queued_again_its_record_and_content_stay(stage: Stage) -> None:
    id = brought_to(stage, State.FAILED)
    assert stage.redis.ttl(stage.keys.content(id)) > 0
    stage.messages.retry(id, "ada")
    for key in (stage.keys.message(id), stage.keys.content(id), f"rq:job:{id}"):
        assert stage.redis.ttl(key) == -1


def test_pruning_works_through_long_lists(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sesq.queue.messages.PRUNE_AT_ONCE", 2)
    ids = [stage.queue() for _ in range(5)]
    stage.work()
    stage.redis.delete(*(stage.keys.message(id) for id in ids))
    assert stage.messages.prune() == 5
    assert stage.redis.get(CLOCK_OFFSET) is not None
