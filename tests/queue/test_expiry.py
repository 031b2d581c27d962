"""How long Redis keeps what a message leaves behind: what has ended goes by itself, and what goes on stays."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest
from redis import Redis
from rq.job import Job
from rq.serializers import JSONSerializer

from batch_stage import BatchStage
from sesq.producer import Outbox
from sesq.queue.careful_redis import SET_ASIDE
from sesq.queue.states import State
from sesq.worker.verdicts import Kind
from stage import says

KEPT = 5000
"""Seconds for which a record stays; no default is near it."""
DAY = 86_400


@pytest.fixture
def stage(redis: Redis) -> BatchStage:
    stage = BatchStage(redis)
    stage.outbox = Outbox(redis, keep_days=KEPT / DAY)
    return stage


def at(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, timezone.utc)


@pytest.mark.parametrize("state", [State.SENT, State.REFUSED])
def test_all_of_a_message_stays_as_long_as_its_record(stage: BatchStage, state: State) -> None:
    stage.sender = stage.new_sender(keep_content=True)
    id = stage.queue()
    stage.transport.answer("m-1" if state is State.SENT else says(Kind.REFUSED))
    stage.work()
    assert stage.state(id) is state
    keys = (stage.keys.message(id), stage.keys.content(id), f"rq:job:{id}", f"rq:results:{id}")
    left = {key: stage.redis.ttl(key) for key in keys}
    assert all(KEPT - 100 < seconds <= KEPT for seconds in left.values()), left
    registry = "finished" if state is State.SENT else "failed"
    ends = stage.redis.zscore(f"rq:{registry}:sesq.default.transactional", id)
    assert ends is not None
    assert (
        KEPT - 100 < ends - float(stage.redis.time()[0]) <= KEPT
    )  # by RQ's clock, which a test does not move


def test_rq_knows_who_sent_it_and_what_came_back(stage: BatchStage) -> None:
    id = stage.queue()
    _, started = stage.claim(worker="post-1")
    job = Job.fetch(id, stage.redis, JSONSerializer)
    assert (job.get_status(), job.worker_name) == ("started", "post-1")
    stage.gate.settle([stage.sender.send_message(started[0])])
    result = Job.fetch(id, stage.redis, JSONSerializer).latest_result()
    assert result is not None
    assert (result.worker_name, result.return_value) == ("post-1", stage.status(id).message_id)


@pytest.mark.parametrize("end", ["sent", "cancelled"])
def test_the_end_of_a_message_that_has_ended_is_looked_for_no_more(stage: BatchStage, end: str) -> None:
    id = stage.queue(expires_at=at(stage.now + 60))
    assert stage.redis.zscore(stage.keys.expiring, id) == stage.now + 60
    stage.work() if end == "sent" else stage.messages.cancel(id, "ada")
    assert stage.state(id) == end
    assert stage.redis.zcard(stage.keys.expiring) == 0


def test_many_that_expire_at_once_are_all_ended_and_soon(stage: BatchStage) -> None:
    for _ in range(3):
        stage.queue(expires_at=at(stage.now + 60))
    stage.pass_time(60)
    assert stage.gate.promote(most=2) == (0, 0)
    assert stage.messages.counts()[State.EXPIRED] == 2
    assert stage.gate.promote(most=2) == (0, None)
    assert stage.messages.counts()[State.EXPIRED] == 3


def test_a_history_keeps_its_newest_half_where_it_gets_long(stage: BatchStage) -> None:
    id = stage.queue(send_at=at(stage.now + 600))
    for number in range(150):
        stage.messages.reschedule(id, stage.now + 700 + number, f"somebody with a longer name, {number}")
    history = stage.redis.hget(stage.keys.message(id), "history")
    assert history is not None
    assert 3000 < len(history) < 8400
    assert stage.status(id).history[-1].reason == "rescheduled by somebody with a longer name, 149"
    assert all(event.state is State.SCHEDULED for event in stage.status(id).history)


def test_an_idempotency_key_is_kept_as_long_as_it_was_said(stage: BatchStage) -> None:
    stage.outbox = Outbox(stage.redis, key_hours=10)
    id = stage.queue(idempotency_key="order-1")
    (key,) = stage.redis.scan_iter("sesq:default:idempotency:*")
    assert 36_000 - 100 < stage.redis.ttl(key) <= 36_000
    assert stage.queue(idempotency_key="order-1") == id


@pytest.mark.parametrize("right", [False, True])
def test_what_is_set_aside_stays_two_weeks_and_what_is_right_is_not_set_aside(
    stage: BatchStage, right: bool
) -> None:
    key = stage.keys.suppression
    stage.redis.hset(key, "bob@example.org", "{}") if right else stage.redis.set(key, "no hash")
    SET_ASIDE.run(stage.redis, "default", key, "hash")
    aside = f"sesq:default:damaged:{key}"
    assert stage.redis.exists(key) == int(right)
    assert (stage.redis.ttl(aside) > 13 * DAY) is not right


def test_prune_takes_all_that_has_expired_a_page_at_a_time(
    stage: BatchStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sesq.queue.messages.PRUNE_AT_ONCE", 2)
    ids = [stage.queue() for _ in range(7)]
    stage.work()
    finished = "rq:finished:sesq.default.transactional"
    stage.redis.zadd(finished, dict.fromkeys(ids, 1))
    stage.redis.delete(*(stage.keys.message(id) for id in ids[:6]))
    assert stage.messages.prune() == 6
    # One whose record stays, because it was kept longer, stays in RQ's registry as long
    assert stage.redis.zrange(finished, 0, -1) == [ids[6].encode()]
    ends = stage.redis.zscore(finished, ids[6])
    assert ends is not None
    assert KEPT - 100 < ends - float(stage.redis.time()[0]) <= KEPT


def test_what_is_noted_after_a_batch_has_ended_goes_with_it(stage: BatchStage) -> None:
    taken = stage.take(3, keep_seconds=KEPT)
    stage.send_all()
    chunk = f"{taken.id}-0"
    assert stage.batches.mark_delivered(f"{chunk}-0", "m-1")
    assert not stage.batches.mark_delivered(f"{chunk}-0", "m-1")
    assert stage.batches.materialize_sent_row(f"{chunk}-1")
    assert not stage.batches.materialize_sent_row(f"{chunk}-1")
    stage.pack()
    keys = [
        stage.keys.arrived(chunk),
        stage.keys.results(chunk),
        stage.keys.materialized(taken.id),
        stage.keys.message(f"{chunk}-1"),
        stage.keys.batch(taken.id),
    ]
    left = {key: stage.redis.ttl(key) for key in keys}
    assert all(KEPT - 100 < seconds <= KEPT for seconds in left.values()), left
    assert not stage.redis.exists(stage.keys.log(chunk))
    assert stage.counts(taken.id) == {"sent": 2, "delivered": 1}


def test_where_nobody_has_said_otherwise_records_stay_two_weeks(stage: BatchStage) -> None:
    stage.outbox = Outbox(stage.redis)
    id, taken = stage.queue(), stage.take(1)
    stage.send_all()
    for key in (stage.keys.message(id), stage.keys.batch(taken.id), f"rq:job:{taken.id}-0"):
        assert 14 * DAY - 100 < stage.redis.ttl(key) <= 14 * DAY, key


def test_what_expired_in_the_middle_of_a_lane_is_counted_there_no_more(stage: BatchStage) -> None:
    stage.queue()
    middle = stage.queue(expires_at=at(stage.now + 60))
    stage.queue()
    stage.pass_time(60)
    stage.gate.promote()
    assert stage.state(middle) == "expired"
    assert stage.gate.usage().lanes[0]["queued"] == 2
