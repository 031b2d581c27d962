"""Edges between two parts of the queue, on the raw keys: what one leaves there, the other finds."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest
from redis import Redis

from batch_stage import BatchStage
from redis_user import EVERYTHING, limited_client
from sesq.config.embedded import EmbeddedRedis
from sesq.config.errors import QueueUnavailable, WrongState
from sesq.producer import Message, Outbox
from sesq.queue.audit import audit, repair
from sesq.queue.depth_history import count_waiting
from sesq.queue.results import put_back
from sesq.queue.states import Lane, State
from sesq.worker.verdicts import Kind
from stage import says
from told_by_ses import tell

TO_SIMULATOR = "success@simulator.amazonses.com"


@pytest.fixture
def stage(redis: Redis) -> BatchStage:
    return BatchStage(redis)


def at(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, timezone.utc)


@pytest.mark.parametrize("refused", ["rpush", "sadd"])
def test_what_could_not_be_queued_leaves_nothing(
    stage: BatchStage, redis_server: EmbeddedRedis, refused: str
) -> None:
    before = sorted(stage.redis.scan_iter("sesq:default:*"))
    message = Message(
        sender="shop@example.com",
        to="ada@example.org",
        subject="Hi",
        text="Hello.",
        idempotency_key="order-1",
        expires_at=datetime(2100, 1, 1, tzinfo=timezone.utc),
    )
    with (
        limited_client(stage.redis, redis_server.url, (*EVERYTHING, f"-{refused}")) as limited,
        pytest.raises(QueueUnavailable),
    ):
        Outbox(limited).send(message)
    assert sorted(stage.redis.scan_iter("sesq:default:*")) == before
    assert list(stage.redis.scan_iter("rq:job:*")) == []
    # and the same may be queued again
    id = stage.outbox.send(message)
    assert stage.state(id) == "queued"


@pytest.mark.parametrize("seconds", [0.1, 0.5, 1, 5, 15, 60])
def test_a_wait_is_counted_within_its_bound(stage: BatchStage, seconds: float) -> None:
    stage.queue()
    stage.pass_time(seconds)
    stage.work()
    assert stage.redis.hget(stage.keys.counters, f"wait:{seconds:g}") == b"1"
    assert float(stage.redis.hget(stage.keys.counters, "wait:sum") or 0) == pytest.approx(seconds)


def test_what_was_not_to_go_before_its_time_has_not_waited_until_then(stage: BatchStage) -> None:
    stage.queue(send_at=at(stage.now + 600))
    stage.pass_time(601)
    stage.gate.promote()
    stage.work()
    assert stage.redis.hget(stage.keys.counters, "wait:1") == b"1"


def test_mail_to_the_mailbox_simulator_goes_where_the_day_is_spent(stage: BatchStage) -> None:
    stage.sync(daily=10.0, sent=10.0)
    stage.take(0, rows=[{"email": TO_SIMULATOR, "name": "S"}])
    assert len(stage.ask().ids) == 1
    stage.take(1, key="other")
    assert stage.ask().reason == "day"
    stage.queue(TO_SIMULATOR)
    assert len(stage.ask().ids) == 1


def test_another_server_begins_with_an_empty_bucket(stage: BatchStage) -> None:
    assert stage.gate.usage().tokens == 50
    stage.sync()
    assert stage.gate.usage().tokens == 50
    stage.redis.hset(stage.keys.snapshot, "server", "0123abcd")
    assert stage.gate.usage().closed == "unsynced"
    stage.sync()
    assert stage.gate.usage().closed is None
    assert stage.gate.usage().tokens == 0
    stage.pass_time(1)
    assert stage.gate.usage().tokens == 50


def test_books_that_were_lost_are_no_backup_that_was_restored(stage: BatchStage) -> None:
    stage.queue([f"p{i}@example.org" for i in range(40)])
    stage.work()
    waiting = stage.queue()
    stage.redis.delete(stage.keys.gate, stage.keys.ledger)
    assert stage.ask().reason == "unsynced"
    stage.pass_time(1)
    stage.sync(sent=40.0, on_restore="hold")
    stage.pass_time(1)
    assert stage.ask().ids == (waiting,)
    assert stage.messages.holds() == {}


def test_who_got_it_from_a_batch_is_not_waiting_in_it(stage: BatchStage) -> None:
    taken = stage.take(2)
    stage.send(1)
    with pytest.raises(WrongState, match="is sent"):
        stage.messages.cancel(f"{taken.id}-0-0", "ada")
    with pytest.raises(WrongState, match="waits in its batch"):
        stage.messages.cancel(f"{taken.id}-0-1", "ada")


def test_a_batch_that_is_lost_is_not_begun_again_and_again(stage: BatchStage) -> None:
    taken = stage.take(2, starts_at=at(stage.now + 60))
    stage.redis.delete(stage.keys.batch(taken.id))
    stage.pass_time(61)
    stage.pack()
    assert stage.redis.zcard(stage.keys.starting) == 0


def test_a_batch_begins_at_its_time(stage: BatchStage) -> None:
    taken = stage.take(2, starts_at=at(stage.now + 60))
    stage.pass_time(59)
    stage.pack()
    assert (stage.batch(taken).state, stage.send(5)) == ("paused", [])
    stage.pass_time(1)
    stage.pack()
    assert stage.redis.zcard(stage.keys.starting) == 0
    assert stage.batch(taken).starts_at is None
    assert len(stage.send(5)) == 2


def test_the_oldest_goes_first_after_a_repair_too(stage: BatchStage) -> None:
    hold = "recipient:ada@example.org"
    ids = []
    for _ in range(2):
        ids.append(stage.queue())
        stage.transport.answer(says(Kind.UNVERIFIED_RECIPIENT, hold))
        stage.work()
        stage.pass_time(10)
    key = stage.keys.hold(hold)
    before = stage.redis.zrange(key, 0, -1, withscores=True)
    stage.redis.zrem(key, ids[0])
    repair(stage.redis, sleep=lambda _: None)
    assert stage.redis.zrange(key, 0, -1, withscores=True) == before
    stage.messages.free(hold, "verified")
    assert stage.ask().ids == tuple(ids)


@pytest.mark.parametrize("lane", list(Lane))
def test_what_a_person_puts_back_into_a_lane_goes_behind_what_waits(stage: BatchStage, lane: Lane) -> None:
    first = stage.queue(lane=lane)
    stage.transport.answer(says(Kind.REFUSED))
    stage.work()
    later = stage.queue(lane=lane)
    stage.messages.retry(first, "ada")
    assert stage.ask().ids == (later, first)


def test_what_is_held_waits_in_the_order_in_which_it_was_queued(stage: BatchStage) -> None:
    ids = []
    for _ in range(2):
        ids.append(stage.queue())
        stage.pass_time(5)
    _, started = stage.claim()
    stage.transport.answer(*[says(Kind.UNVERIFIED_RECIPIENT, "recipient:ada@example.org")] * 2)
    for each in reversed(started):
        stage.gate.settle([stage.sender.send_message(each)])
        stage.pass_time(5)
    held = stage.redis.zrange(stage.keys.hold("recipient:ada@example.org"), 0, -1, withscores=True)
    assert held == [(id.encode(), stage.status(id).created) for id in ids]


def test_an_end_that_is_none_is_told(stage: BatchStage) -> None:
    taken = stage.take(2)
    stage.redis.hset(stage.keys.batch(taken.id), "ended", stage.now)
    told = [each.what for each in audit(stage.redis, sleep=lambda _: None)]
    assert told == ["it has ended, and rows are open"]


def test_the_message_id_that_ses_answered_stays_whatever_an_event_says(stage: BatchStage) -> None:
    id = stage.queue()
    stage.transport.answer("m-1")
    stage.work()
    tell(stage.redis, id, "delivered", message_id="m-2")
    assert (stage.state(id), stage.status(id).message_id) == ("delivered", "m-1")


@pytest.mark.parametrize("how", ["claim", "promote"])
def test_at_its_last_moment_a_message_is_too_late(stage: BatchStage, how: str) -> None:
    id = stage.queue(expires_at=at(stage.now + 60))
    stage.pass_time(60)
    if how == "claim":
        assert stage.ask().ids == ()
    else:
        stage.gate.promote()
    assert stage.state(id) == "expired"


def test_a_row_that_comes_back_to_a_cancelled_batch_is_cancelled(stage: BatchStage) -> None:
    taken = stage.take(2)
    claim, _ = stage.claim()
    stage.batches.cancel(taken.id, "a wrong link")
    assert stage.gate.settle([put_back(claim.grants[0], "late")]) == [State.CANCELLED]


@pytest.mark.parametrize("action", ["", "pause", "cancel"])
def test_recipients_of_a_paused_batch_wait_and_those_of_a_cancelled_one_do_not(
    stage: BatchStage, action: str
) -> None:
    taken = stage.take(3)
    if action:
        getattr(stage.batches, action)(taken.id, "a look")
    assert count_waiting(stage.redis, "default") == (0 if action == "cancel" else 3)


def test_an_event_takes_no_attempt_back(stage: BatchStage) -> None:
    id = stage.queue()
    stage.redis.hset(stage.keys.message(id), "attempts", 3)
    tell(stage.redis, id, "delivered", message_id="m-2")
    record = stage.status(id)
    assert (record.state, record.attempts, record.message_id) == ("delivered", 3, "m-2")
    assert [event.state.value for event in record.history] == ["queued", "sent", "delivered"]
