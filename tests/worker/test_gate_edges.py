"""The gate at its edges: refunds, others on the account, late answers, reserves, the moment when a time runs out."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest
from redis import Redis

from batch_stage import BatchStage
from books import assert_sum, total
from sesq.queue.grants import Claim
from sesq.queue.results import SendResult, put_back
from sesq.queue.states import Lane, State
from sesq.worker.verdicts import Kind
from stage import LEASE, says, sent
from told_by_ses import tell

BULK, URGENT = Lane.BULK, Lane.TRANSACTIONAL
DAY = 1442 * 60
"""After so many seconds a minute's slot of the ledger is another minute's."""


@pytest.fixture
def stage(redis: Redis) -> BatchStage:
    """100 a second, 50,000 a day, the buckets full."""
    return BatchStage(redis)


def some(n: int) -> list[str]:
    return [f"p{i}@example.org" for i in range(n)]


def only_claim(stage: BatchStage, lanes: tuple[Lane, ...] = tuple(Lane), want: int = 10) -> Claim:
    """A claim whose worker does no more with it."""
    return stage.ask(want, lanes=lanes)


def moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, timezone.utc)


# the day ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["settled", "reaped"])
@pytest.mark.parametrize("what", ["message", "row"])
def test_a_refund_of_another_day_leaves_this_day_alone(stage: BatchStage, what: str, how: str) -> None:
    # Given a mail that was granted, and mail of a minute, a day later, whose counts stand in the same slot
    stage.take(1) if what == "row" else stage.queue()
    old = only_claim(stage)
    stage.pass_time(DAY)
    stage.queue(some(3))
    assert len(only_claim(stage).ids) == 1
    assert total(stage.redis) == 3
    # When the first one comes back
    if how == "settled":
        stage.gate.settle([put_back(old.grants[0], "late")])
    else:
        stage.reap()
    # Then those of now still count
    assert total(stage.redis) == 3
    assert_sum(stage.redis)


def test_rows_of_a_batch_leave_the_room_that_others_on_the_account_have_used(stage: BatchStage) -> None:
    stage.sync(daily=200.0, sent=197)
    taken = stage.take(10)
    claim = only_claim(stage)
    assert claim.ids == tuple(f"{taken.id}-0-{row}" for row in range(3))
    assert claim.reason == "day"


def test_what_is_on_its_way_at_a_sync_is_not_taken_for_counted_by_ses(stage: BatchStage) -> None:
    # Given 8 recipients on their way, of which SES knows nothing yet, three of them of a batch; others have sent 20
    stage.sync(daily=200.0)
    stage.queue(some(5))
    stage.take(3)
    only_claim(stage)
    usage = stage.gate.usage()
    assert (usage.total, usage.flying) == (8, 8)
    stage.sync(daily=200.0, sent=20, booked=usage.total - usage.flying)
    assert stage.gate.usage().others == 20


def test_a_day_spent_on_an_account_without_one_is_nobody_s(stage: BatchStage) -> None:
    stage.sync(daily=-1.0)
    stage.queue()
    claim = only_claim(stage)
    result = SendResult(claim.grants[0], State.QUEUED, day_spent=True, refund_day=True, front=True)
    stage.gate.settle([result])
    assert float(stage.redis.hget(stage.keys.snapshot, "others") or 0) == 0
    assert len(only_claim(stage).ids) == 1


def test_a_day_that_ses_calls_spent_takes_nothing_from_what_others_sent(stage: BatchStage) -> None:
    # Given a mail on its way, while SES says that others have sent more than a day of ours
    stage.sync(daily=200.0)
    stage.queue()
    claim = only_claim(stage)
    stage.sync(daily=200.0, sent=250, booked=0)
    # When SES refuses it, since the day is spent
    stage.gate.settle([SendResult(claim.grants[0], State.QUEUED, day_spent=True, refund_day=True)])
    # Then what the others sent is as it was
    assert float(stage.redis.hget(stage.keys.snapshot, "others") or 0) == 250


def test_a_reserve_as_large_as_the_day_holds_no_bulk_mail_for_ever(stage: BatchStage) -> None:
    stage.sync(daily=200.0)
    stage.policy.set({"reserve": "200"}, by="test")
    id = stage.queue(lane=BULK)
    assert only_claim(stage).reason == "day"
    assert stage.state(id) is State.QUEUED
    # and urgent mail has the day
    urgent = stage.queue()
    assert only_claim(stage, (URGENT,)).ids == (urgent,)


def test_bulk_mail_larger_than_what_the_reserve_leaves_of_a_day_is_held_and_stops_no_other(
    stage: BatchStage,
) -> None:
    stage.sync(daily=40.0)
    stage.policy.set({"reserve": "30"}, by="test")
    large, fits = stage.queue(some(11), lane=BULK), stage.queue(some(10), lane=BULK)
    assert only_claim(stage).ids == (fits,)
    assert (stage.state(large), stage.status(large).hold) == (State.HELD, "day")


def test_urgent_mail_larger_than_a_day_does_not_stop_bulk_mail(stage: BatchStage) -> None:
    """There are workers for urgent mail, and none of them has looked at it yet."""
    stage.sync(daily=40.0)
    stage.queue(some(41))
    small = stage.queue(lane=BULK)
    stage.redis.sadd("rq:workers:sesq.default.transactional", "rq:worker:other")
    assert only_claim(stage, (BULK,)).ids == (small,)


def test_urgent_mail_that_fits_the_day_keeps_its_room(stage: BatchStage) -> None:
    stage.sync(daily=40.0)
    stage.queue(some(40))
    stage.queue(lane=BULK)
    stage.redis.sadd("rq:workers:sesq.default.transactional", "rq:worker:other")
    assert only_claim(stage, (BULK,)).reason == "day"


# tokens -----------------------------------------------------------------------------------------------------------


def test_a_late_answer_frees_an_account_of_one_a_second(stage: BatchStage) -> None:
    # Given a mail of which an event tells before its worker does
    stage.sync(rate=1.0, daily=200.0)
    stage.pass_time(2)
    first, second = stage.queue(), stage.queue()
    claim = only_claim(stage)
    tell_of_delivery(stage, first)
    assert stage.state(first) is State.DELIVERED
    stage.pass_time(1)
    assert only_claim(stage).ids == ()
    # When the worker's answer comes, then the next one goes a second later
    stage.gate.settle([sent(claim.grants[0])])
    stage.pass_time(1.01)
    assert only_claim(stage).ids == (second,)


def test_what_moved_on_before_its_start_gives_back_all(stage: BatchStage) -> None:
    # Given a mail that was granted, at 1 a second, and an event that tells of it before it is started
    stage.sync(rate=1.0, daily=200.0)
    stage.pass_time(2)
    first, second = stage.queue(), stage.queue()
    claim = only_claim(stage)
    assert claim.ids == (first,)
    assert (level(stage), total(stage.redis)) == (0, 1)
    tell_of_delivery(stage, first)
    # When its worker begins, then nothing of it is started, and what it took is given back, once
    for _ in range(2):
        assert stage.gate.exchange((), claim.grants) == ([], [])
        assert (level(stage), total(stage.redis)) == (1, 0)
        assert stage.redis.hget(stage.keys.gate, "on_way") == b"0"
    assert stage.state(first) is State.DELIVERED
    assert_sum(stage.redis)
    # and the next one goes a second later, long before the lease ends
    stage.pass_time(1.01)
    assert only_claim(stage).ids == (second,)


def tell_of_delivery(stage: BatchStage, id: str) -> None:
    tell(stage.redis, id, "delivered", reason="r")


def level(stage: BatchStage) -> float:
    """Our bucket's tokens, as the hash `gate` has them."""
    return float(stage.redis.hget(stage.keys.gate, "level") or 0)


def test_an_answer_that_is_told_twice_is_charged_once(stage: BatchStage) -> None:
    stage.sync(rate=1.0, daily=200.0)
    stage.pass_time(2)
    _, second = stage.queue(), stage.queue()
    claim = only_claim(stage)
    stage.gate.settle([sent(claim.grants[0])])
    stage.pass_time(0.9)
    stage.gate.settle([sent(claim.grants[0])])
    stage.pass_time(0.11)
    assert only_claim(stage).ids == (second,)


def test_the_reaper_frees_an_account_of_one_a_second(stage: BatchStage) -> None:
    """Nothing had left: its tokens are there at once."""
    stage.sync(rate=1.0, daily=200.0)
    stage.pass_time(2)
    first = stage.queue()
    only_claim(stage)
    stage.pass_time(LEASE)
    assert stage.reap() == {first: State.QUEUED}
    assert only_claim(stage).ids == (first,)


def test_refunds_are_of_what_was_taken_and_no_more(stage: BatchStage) -> None:
    """A try failed, its tokens were used, and there were no new ones: nothing of the rate comes back."""
    stage.sync(rate=14.0, daily=200.0)
    stage.pass_time(2)
    stage.queue(some(14))
    claim, (begun,) = stage.claim()
    assert stage.gate.renew_tokens(begun, unused=False, lease=LEASE)[0] == "rate"
    before = stage.gate.usage().tokens
    stage.gate.settle([put_back(claim.grants[0], "no tokens")])
    assert stage.gate.usage().tokens == before


def test_tokens_that_the_bucket_would_have_lost_by_now_do_not_come_back(stage: BatchStage) -> None:
    """Half a second's worth was granted and not used; the bucket filled up since, and another mail took it all."""
    stage.sync(rate=14.0, daily=200.0)
    stage.pass_time(2)
    stage.queue(some(7))
    _, (begun,) = stage.claim()
    stage.pass_time(1)
    stage.queue(some(7))
    assert len(only_claim(stage).ids) == 1
    assert stage.gate.renew_tokens(begun, unused=True, lease=LEASE)[0] == "rate"


def test_new_tokens_renew_the_lease(stage: BatchStage) -> None:
    id = stage.queue()
    _, (begun,) = stage.claim()
    stage.pass_time(LEASE - 1)
    assert stage.gate.renew_tokens(begun, unused=True, lease=LEASE)[0] == "granted"
    assert stage.redis.zscore(stage.keys.leases, id) == pytest.approx(stage.now + LEASE, abs=0.01)
    stage.pass_time(LEASE - 1)
    assert stage.reap() == {}


@pytest.mark.parametrize("how", ["reaped", "settled"])
@pytest.mark.parametrize("what", ["message", "row"])
def test_tokens_given_back_wake_those_who_wait_for_some(stage: BatchStage, what: str, how: str) -> None:
    stage.take(1) if what == "row" else stage.queue()
    claim = only_claim(stage)
    stage.pass_time(LEASE)
    with stage.redis.pubsub() as listening:
        listening.subscribe("sesq:default:wake")
        assert listening.get_message(timeout=5)["type"] == "subscribe"
        if how == "reaped":
            stage.reap()
        else:
            stage.gate.settle([put_back(claim.grants[0], "late")])
        heard = listening.get_message(timeout=5)
    assert heard is not None
    assert heard["type"] == "message"


# what RQ sees, and times ------------------------------------------------------------------------------------------


def test_rq_s_maintenance_finds_nothing_to_judge_in_what_is_sent(stage: BatchStage) -> None:
    """A message, a chunk of a batch, and a row that became a message of its own."""
    stage.queue()
    stage.take(3)
    claim, started = stage.grant(10)
    assert len(started) == 4
    wip = {
        id.decode(): score
        for lane in ("transactional", "bulk")
        for id, score in stage.redis.zrange(f"rq:wip:sesq.default.{lane}", 0, -1, withscores=True)
    }
    assert len(wip) == 2
    assert set(wip.values()) == {float("inf")}
    assert claim.grants[0].claim_id in next(id for id in wip if not id.endswith(":rows"))


@pytest.mark.parametrize("at", ["the claim", "the start", "again"])
def test_at_the_instant_at_which_its_time_runs_out_it_does_not_go(stage: BatchStage, at: str) -> None:
    id = stage.queue(expires_at=moment(stage.now + 10))
    if at in ("the start", "again"):
        stage.pass_time(9.5)
        claim, (begun,) = stage.claim() if at == "again" else (only_claim(stage), (None,))
        assert claim.ids == (id,)
        stage.pass_time(0.5)
        if at == "again":
            assert stage.gate.renew_tokens(begun, unused=True, lease=LEASE)[0] == "expired"
            return
        assert stage.gate.start(claim.grants) == []
    else:
        stage.pass_time(10)
        assert only_claim(stage).ids == ()
    assert stage.state(id) is State.EXPIRED


@pytest.mark.parametrize("end", ["refused", "failed", "expired", "cancelled"])
def test_after_a_resend_nothing_says_that_nobody_got_it(stage: BatchStage, end: str) -> None:
    # Given a mail that may have left before its worker died, and goes again as its policy says
    id = stage.queue()
    stage.claim()
    stage.pass_time(LEASE)
    assert stage.reap("resend", max_attempts=3) == {id: State.QUEUED}
    # When its second try ends badly
    if end == "cancelled":
        stage.messages.cancel(id, "test")
    else:
        claim, _ = stage.claim()
        stage.gate.settle([SendResult(claim.grants[0], State(end), "no")])
    # Then nobody can say whether it was sent
    assert stage.state(id) is State.UNKNOWN
    assert "SES may have taken an earlier try" in stage.status(id).reason


@pytest.mark.parametrize("act", ["release", "retry", "resolve"])
def test_after_a_restored_backup_what_a_person_has_looked_at_goes(stage: BatchStage, act: str) -> None:
    # Given mail of before a backup that was restored: held, refused, or unknown
    id = stage.queue()
    answers = {
        "release": says(Kind.CONFIGURATION, "person"),
        "retry": says(Kind.REFUSED),
        "resolve": says(Kind.UNKNOWN),
    }
    stage.transport.answer(answers[act])
    stage.work()
    stage.pass_time(1)
    stage.redis.hset(stage.keys.restored, "before", stage.now)
    stage.pass_time(1)
    # When a person lets it go, then it goes, and is not held once more
    if act == "resolve":
        stage.messages.resolve(id, "queued", "ada")
    else:
        getattr(stage.messages, act)(id, "ada")
    stage.work()
    assert stage.state(id) is State.SENT
