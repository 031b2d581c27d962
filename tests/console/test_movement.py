"""Whether a lane moves: no alarm while mail leaves it, or may not go, however old its first mail is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from redis import Redis

from batch_stage import BatchStage
from sesq.console.checkup.movement import stuck
from sesq.console.checkup.queue import judge_workers
from sesq.console.overview import read_overview
from sesq.console.workers import WorkerView
from sesq.queue.results import SendResult
from sesq.queue.states import Lane, State
from stage import sent

Condition = Callable[[BatchStage], None]
OX = WorkerView("ox", "host", 1, "idle", 0.0, 0)
LONG = 600.0


@pytest.fixture
def stage(redis: Redis) -> BatchStage:
    return BatchStage(redis)


def still(stage: BatchStage, *workers: WorkerView) -> dict[Lane, float]:
    view = replace(read_overview(stage.redis, "default"), workers=workers or (OX,))
    return {each.lane: each.seconds for each in stuck(stage.redis, view)}


def _nothing_leaves(stage: BatchStage) -> None:
    stage.queue()
    stage.pass_time(LONG)


def test_mail_that_could_go_and_does_not_is_an_alarm(stage: BatchStage) -> None:
    _nothing_leaves(stage)
    assert still(stage) == {Lane.TRANSACTIONAL: LONG}


@pytest.mark.parametrize(("seconds", "found"), [(60, {}), (60.5, {Lane.TRANSACTIONAL: 60.5})])
def test_a_minute_is_no_alarm(stage: BatchStage, seconds: float, found: dict[Lane, float]) -> None:
    stage.queue()
    stage.pass_time(seconds)
    assert still(stage) == found


def test_a_batch_of_which_nothing_leaves_is_an_alarm(stage: BatchStage) -> None:
    stage.take(5)
    stage.pass_time(LONG)
    assert still(stage) == {Lane.BULK: LONG}


def bulk_mail_goes(stage: BatchStage, every: float = LONG / 10) -> None:
    """For some minutes, by a worker that serves bulk mail alone; the last of it just now."""
    for _ in range(10):
        stage.pass_time(every)
        claim = stage.ask(1, "bulk-worker", [Lane.BULK])
        stage.gate.settle([sent(each.grant) for each in stage.gate.start(claim.grants)])


def _messages(stage: BatchStage) -> None:
    for _ in range(12):
        stage.queue(lane="bulk")


def _a_batch(stage: BatchStage) -> None:
    stage.take(12)


@pytest.mark.parametrize("bulk", [_messages, _a_batch])
def test_transactional_mail_that_hangs_beside_bulk_mail_is_an_alarm(
    stage: BatchStage, bulk: Condition
) -> None:
    # Given transactional mail that its worker does not take, and bulk mail that leaves
    bulk(stage)
    stage.queue()
    bulk_mail_goes(stage)
    # Then that is an alarm, also when bulk mail has just taken tokens
    assert still(stage) == {Lane.TRANSACTIONAL: LONG}
    stage.ask(1, "bulk-worker", [Lane.BULK])
    assert still(stage) == {Lane.TRANSACTIONAL: LONG}


def test_bulk_mail_that_hangs_beside_transactional_mail_is_an_alarm(stage: BatchStage) -> None:
    stage.take(5)
    for _ in range(10):
        stage.pass_time(LONG / 10)
        stage.queue()
        stage.work(1)
    stage.pass_time(1)
    assert still(stage) == {Lane.BULK: LONG + 1}


def test_transactional_mail_that_hangs_beside_very_much_bulk_mail_is_an_alarm(stage: BatchStage) -> None:
    # Given transactional mail that its worker does not take, and in the last minute more single bulk mails than
    # anybody could look at
    _messages(stage)
    stage.queue()
    bulk_mail_goes(stage)
    pipeline = stage.redis.pipeline()
    for number in range(6000):
        fields = {"queue": stage.keys.queue(Lane.BULK), "claimed": str(stage.now - 1), "day": "1"}
        pipeline.hset(stage.keys.message(f"b{number}"), mapping=fields)
        pipeline.zadd(stage.keys.state(State.SENT), {f"b{number}": stage.now - 1})
    pipeline.execute()
    # Then that is an alarm
    assert still(stage) == {Lane.TRANSACTIONAL: LONG}


def test_transactional_mail_that_goes_and_very_much_bulk_mail_is_no_alarm(stage: BatchStage) -> None:
    _messages(stage)
    for _ in range(2):
        stage.queue()
    bulk_mail_goes(stage)
    stage.work(1)
    bulk_mail_goes(stage, every=5.0)
    assert still(stage) == {}


def _a_batch_goes(stage: BatchStage) -> None:
    stage.take(5)
    stage.pass_time(LONG)
    stage.send(2)
    stage.pass_time(5)


def _what_is_sent_is_delivered_at_once(stage: BatchStage) -> None:
    ids = [stage.queue(), stage.queue()]
    stage.pass_time(LONG)
    stage.work(1)
    stage.redis.zrem(stage.keys.state(State.SENT), ids[0])
    stage.redis.zadd(stage.keys.state(State.DELIVERED), {ids[0]: stage.now})
    stage.pass_time(5)


def _all_of_it_is_refused(stage: BatchStage) -> None:
    for _ in range(2):
        stage.queue(to="success@simulator.amazonses.com")
    stage.pass_time(LONG)
    claim, _ = stage.claim(1)
    stage.gate.settle([SendResult(claim.grants[0], State.REFUSED, reason="no", refund_day=True)])
    stage.pass_time(5)


def _bulk_mail_behind_transactional_mail(stage: BatchStage) -> None:
    stage.take(5)
    stage.pass_time(LONG)
    stage.queue()


def _paused(stage: BatchStage) -> None:
    _nothing_leaves(stage)
    stage.policy.pause("a look", by="ada")


def _just_resumed(stage: BatchStage) -> None:
    _paused(stage)
    stage.pass_time(LONG)
    stage.policy.resume(by="ada")


def _bulk_mail_paused(stage: BatchStage) -> None:
    stage.take(5)
    stage.policy.pause("a look", by="ada", bulk_only=True)
    stage.pass_time(LONG)


def _its_batch_is_paused(stage: BatchStage) -> None:
    taken = stage.take(5)
    stage.batches.pause(taken.id, "a look")
    stage.pass_time(LONG)


def _the_day_is_nearly_spent(stage: BatchStage) -> None:
    stage.sync(daily=2)
    for _ in range(3):
        stage.queue()
    stage.work(2)
    stage.pass_time(LONG)


def _its_window_has_just_opened(stage: BatchStage) -> None:
    stage.policy.configure({}, "22:20-23:00 UTC")
    stage.take(5)
    stage.pass_time(410)  # 22:20:11


MOVES: dict[str, Condition] = {
    "a batch goes": _a_batch_goes,
    "what is sent is delivered at once": _what_is_sent_is_delivered_at_once,
    "all of it is refused": _all_of_it_is_refused,
    "bulk mail behind transactional mail": _bulk_mail_behind_transactional_mail,
    "a pause": _paused,
    "a pause that has just ended": _just_resumed,
    "a pause of bulk mail": _bulk_mail_paused,
    "a paused batch": _its_batch_is_paused,
    "a day that is nearly spent": _the_day_is_nearly_spent,
    "a send window that has just opened": _its_window_has_just_opened,
}


@pytest.mark.parametrize("name", MOVES)
def test_what_moves_or_may_not_go_is_no_alarm(stage: BatchStage, name: str) -> None:
    MOVES[name](stage)
    assert still(stage) == {}


def test_a_worker_that_has_just_started_is_given_time(stage: BatchStage) -> None:
    _nothing_leaves(stage)
    assert still(stage, replace(OX, since=stage.now - 5)) == {}
    assert still(stage, replace(OX, since=stage.now - 5), OX) == {Lane.TRANSACTIONAL: LONG}


def test_a_lane_that_no_worker_serves_is_told_as_such(stage: BatchStage) -> None:
    stage.queue(lane="bulk")
    stage.pass_time(LONG)
    only = replace(OX, lanes=(Lane.TRANSACTIONAL,))
    assert still(stage, only) == {}
    check = judge_workers(replace(read_overview(stage.redis, "default"), workers=(only,)))
    assert (check.status.value, check.detail) == ("fail", "none serves bulk, and 1 are queued there")
