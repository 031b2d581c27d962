"""What a dead worker leaves behind, judged by how far it came; and answers that come late or twice."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from redis import Redis

from agreement import assert_agreement
from sesq.queue.gate import Gate
from sesq.queue.grants import Grant, Started
from sesq.queue.keys import Keys
from sesq.queue.results import SendResult, put_back
from sesq.queue.states import Lane, State
from stage import LEASE, Stage
from stage import sent as answered


@pytest.fixture
def stage(redis: Redis) -> Stage:
    return Stage(redis)


def reap(stage: Stage, on_unknown: str = "hold", max_attempts: int = 8) -> dict[str, State]:
    return stage.reap(on_unknown, max_attempts)


def sent(started: Started, message_id: str = "m-1") -> SendResult:
    return replace(answered(started.grant, message_id), drop_content=True)


def test_nobody_is_judged_while_the_lease_runs(stage: Stage) -> None:
    stage.queue()
    stage.claim()
    stage.pass_time(LEASE - 0.001)
    assert reap(stage) == {}


def test_claimed_and_not_begun_it_goes_back_to_the_head_with_all_that_it_took(stage: Stage) -> None:
    id = stage.queue(["ada@example.org", "bob@example.org"])
    other = stage.queue()
    tokens = min(stage.gate.usage().tokens, stage.gate.usage().burst)
    stage.ask(want=1)
    assert stage.gate.usage().total == 2
    stage.pass_time(LEASE)
    assert reap(stage) == {id: "queued"}
    assert stage.gate.usage().total == 0
    assert stage.gate.usage().tokens >= tokens
    assert stage.status(id).attempts == 0
    assert assert_agreement(stage.redis)[State.QUEUED] == 2
    assert [b.id for b in stage.claim()[1]] == [id, other]


@pytest.mark.parametrize(
    ("account", "own", "state"),
    [
        ("hold", None, "unknown"),
        ("hold", "resend", "queued"),
        ("resend", None, "queued"),
        ("resend", "hold", "unknown"),
    ],
)
def test_begun_it_may_have_left(stage: Stage, account: str, own: str | None, state: str) -> None:
    id = stage.queue(on_unknown=own)
    stage.claim()
    stage.pass_time(LEASE)
    assert reap(stage, account) == {id: state}
    assert stage.status(id).attempts == 1
    assert stage.gate.usage().total == 1, "SES may have counted it"
    assert "died" in stage.status(id).reason
    assert_agreement(stage.redis)


def test_out_of_attempts_it_is_still_unknown(stage: Stage) -> None:
    """`failed` would say that nobody got it, and be sent again with all the others that failed."""
    id = stage.queue(on_unknown="resend")
    for _ in range(3):
        assert [b.id for b in stage.claim()[1]] == [id]
        stage.pass_time(LEASE)
        reap(stage, max_attempts=3)
    assert (stage.state(id), stage.status(id).attempts) == (State.UNKNOWN, 3)
    assert_agreement(stage.redis)


def test_a_renewed_lease_is_not_judged_and_a_settled_one_cannot_be_renewed(stage: Stage) -> None:
    kept, _ = stage.queue(), stage.queue()
    _, begun = stage.claim()
    stage.gate.settle([sent(begun[1])])
    stage.pass_time(LEASE - 1)
    stage.gate.renew([each.grant for each in begun], stage.now + LEASE)
    stage.pass_time(LEASE - 1)
    assert reap(stage) == {}
    assert_agreement(stage.redis)
    stage.pass_time(2)
    assert reap(stage) == {kept: "unknown"}


@pytest.mark.parametrize("started", [False, True])
def test_what_a_dead_judge_had_is_as_its_claim_says_and_is_judged_by_the_next(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, started: bool
) -> None:
    id = stage.queue()
    grants = stage.ask().grants
    if started:
        stage.gate.start(grants)
    stage.pass_time(LEASE)
    # When whoever judges it dies before it can say what became of it
    with monkeypatch.context() as dying:
        dying.setattr(Gate, "settle", lambda *_: [None])
        reap(stage)
    # Then it is that one's: RQ shows it as started under that claim, for ever, and others wait for a lease
    claim_id = (stage.redis.hget(stage.keys.message(id), "claim_id") or b"").decode()
    assert claim_id != grants[0].claim_id
    wip = stage.redis.zrange("rq:wip:sesq.default.transactional", 0, -1, withscores=True)
    assert wip == [(f"{id}:{claim_id}".encode(), math.inf)]
    assert_agreement(stage.redis)
    stage.pass_time(LEASE - 1)
    assert reap(stage) == {}
    stage.pass_time(1)
    assert reap(stage) == {id: "unknown" if started else "queued"}
    assert_agreement(stage.redis)


def test_a_lease_without_a_message_being_sent_is_swept(stage: Stage) -> None:
    id = stage.queue()
    stage.redis.zadd(stage.keys.leases, {id: 1, "nobody": 1})
    assert reap(stage) == {}
    assert stage.redis.zcard(stage.keys.leases) == 0
    assert_agreement(stage.redis)


def test_the_dead_of_one_account_are_none_of_anothers(stage: Stage) -> None:
    stage.queue()
    stage.claim()
    stage.pass_time(LEASE)
    assert Gate(stage.redis, "shop").reap("w", "x", lease=LEASE, on_unknown="hold", max_attempts=8) == []
    assert not stage.redis.exists(Keys("shop").leases)


def test_where_one_goes_at_a_time_a_dead_worker_keeps_the_others_no_longer_than_its_lease(
    stage: Stage,
) -> None:
    stage.sync(rate=1.0, daily=200.0)
    stage.pass_time(1)
    first, second = stage.queue(), stage.queue()
    stage.ask()
    stage.pass_time(LEASE - 0.5)
    assert stage.claim(worker="other")[0].ids == ()
    stage.pass_time(0.5)
    reap(stage)
    stage.pass_time(1)
    assert stage.claim(worker="other")[0].ids == (first,)
    assert stage.state(second) is State.QUEUED
    assert_agreement(stage.redis)


# late and double answers --------------------------------------------------------------------------------------------


def test_settled_twice_it_is_the_same(stage: Stage) -> None:
    id = stage.queue()
    _, (begun,) = stage.claim()
    assert stage.gate.settle([sent(begun)] * 2) == [State.SENT, None]
    before = (stage.status(id), stage.gate.usage())
    assert stage.gate.settle([sent(begun, "m-2")]) == [None]
    assert (stage.status(id), stage.gate.usage()) == before
    assert_agreement(stage.redis)


def test_given_back_twice_it_gives_back_once(stage: Stage) -> None:
    stage.queue()
    claim, _ = stage.claim(want=1)
    back = put_back(claim.grants[0], "late")
    assert stage.gate.settle([back, back]) == [State.QUEUED, None]
    assert stage.gate.usage().total == 0
    assert stage.redis.llen(f"rq:queue:{stage.keys.queue(Lane.TRANSACTIONAL)}") == 1
    assert_agreement(stage.redis)


@pytest.mark.parametrize("on_unknown", ["hold", "resend"])
def test_the_answer_of_a_worker_thought_dead_wins(stage: Stage, on_unknown: str) -> None:
    id = stage.queue()
    _, (begun,) = stage.claim()
    stage.pass_time(LEASE)
    reap(stage, on_unknown)
    assert stage.gate.settle([sent(begun)]) == [State.SENT]
    assert (stage.state(id), stage.status(id).message_id) == (State.SENT, "m-1")
    assert assert_agreement(stage.redis)[State.SENT] == 1
    assert stage.claim()[0].ids == ()


def test_it_wins_over_a_person_too_and_over_a_retry(stage: Stage) -> None:
    id = stage.queue()
    _, (begun,) = stage.claim()
    stage.pass_time(LEASE)
    reap(stage)
    stage.messages.cancel(id, "ada")
    stage.gate.settle([sent(begun)])
    assert stage.state(id) is State.SENT
    assert_agreement(stage.redis)


def test_it_wins_while_another_worker_sends_it_again_and_that_answer_changes_nothing(stage: Stage) -> None:
    id = stage.queue(on_unknown="resend")
    _, (first,) = stage.claim()
    stage.pass_time(LEASE)
    reap(stage)
    _, (second,) = stage.claim()
    assert stage.gate.settle([sent(first)]) == [State.SENT]
    assert stage.gate.settle([sent(second, "m-2")]) == [None]
    assert stage.status(id).message_id == "m-1"
    assert_agreement(stage.redis)


def test_any_other_late_answer_ends_the_doubt_and_slows_nothing(stage: Stage) -> None:
    id = stage.queue()
    _, (begun,) = stage.claim()
    stage.pass_time(LEASE)
    reap(stage)
    late = SendResult(begun.grant, State.REFUSED, refund_day=True, throttled=True)
    pace = stage.gate.usage().pace
    assert stage.gate.settle([late]) == [State.REFUSED]
    assert (stage.state(id), stage.gate.ledger(), stage.gate.usage().pace) == (State.REFUSED, {}, pace)
    assert_agreement(stage.redis)


def test_any_other_late_answer_changes_nothing_once_somebody_has_judged(stage: Stage) -> None:
    id = stage.queue()
    _, (begun,) = stage.claim()
    stage.pass_time(LEASE)
    reap(stage)
    stage.messages.cancel(id, "ada")
    late = SendResult(begun.grant, State.REFUSED, refund_day=True, throttled=True)
    before = (stage.status(id), stage.gate.usage())
    assert stage.gate.settle([late]) == [None]
    assert (stage.status(id), stage.gate.usage()) == before
    assert_agreement(stage.redis)


@pytest.mark.parametrize("state", [State.QUEUED, State.REFUSED])
def test_a_late_answer_ends_no_doubt_about_an_earlier_try(stage: Stage, state: State) -> None:
    # Given a mail that is sent again, though SES may have taken the earlier try
    id = stage.queue(on_unknown="resend")
    _, (first,) = stage.claim()
    stage.gate.settle([SendResult(first.grant, State.QUEUED, "again", attempts=1, unsure=True)])
    _, (second,) = stage.claim()
    stage.pass_time(LEASE)
    reap(stage)
    stage.redis.hset(stage.keys.message(id), "on_unknown", "hold")
    if stage.state(id) is State.QUEUED:  # its policy: again
        stage.messages.cancel(id, "ada")
    assert stage.state(id) is State.UNKNOWN
    # When the worker of the later try was not dead, Then its answer says nothing of the earlier one
    assert stage.gate.settle([SendResult(second.grant, state, "Because.", refund_day=True)]) == [None]
    assert stage.state(id) is State.UNKNOWN


def test_an_answer_about_a_record_that_has_expired_is_let_go(stage: Stage) -> None:
    assert stage.gate.settle([answered(Grant("gone", "x"))]) == [None]


def test_begin_is_for_the_claim_that_has_it(stage: Stage) -> None:
    id = stage.queue()
    old = stage.ask()
    stage.pass_time(LEASE)
    reap(stage)
    assert stage.gate.start([*old.grants, Grant("nobody", "x")]) == []
    again = stage.ask()
    assert stage.gate.start(old.grants) == []
    assert [each.id for each in stage.gate.start(again.grants)] == [id]


def test_after_a_clock_was_set_back_what_a_dead_worker_left_is_judged_within_a_minute(stage: Stage) -> None:
    # Given an account at one a second, whose only token is with a worker that dies
    stage.sync(rate=1.0, daily=200.0)
    stage.pass_time(2)
    first, second = stage.queue(), stage.queue()
    assert stage.gate.claim("w", "x", want=1, lease=LEASE).ids == (first,)
    # When the clock is set back an hour
    stage.pass_time(-3600)
    stage.claim()
    stage.reap()
    stage.pass_time(61)
    stage.reap()
    # Then its mail goes again, and the other after it
    assert stage.state(first) is State.QUEUED
    for _ in range(2):
        stage.pass_time(2)
        stage.work(1)
    assert (stage.state(first), stage.state(second)) == (State.SENT, State.SENT)
    assert_agreement(stage.redis)


def test_what_goes_again_goes_before_all_that_waits(stage: Stage) -> None:
    id = stage.queue(on_unknown="resend")
    stage.claim()
    later = stage.queue()
    stage.pass_time(LEASE)
    reap(stage)
    assert stage.claim()[0].ids == (id, later)
