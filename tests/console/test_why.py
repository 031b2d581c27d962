"""Each condition of an account, and all that is said of why its mail waits."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timezone

import pytest
from redis import Redis
from rq.suspension import suspend

from sesq.console.overview import read_overview
from sesq.console.times import ZONE
from sesq.console.why import sentences
from sesq.queue.results import SendResult
from sesq.queue.states import State
from stage import Stage

NO_WORKER = "No worker is running: `sesq worker` starts one."
NOW = "the next one may go now."
Condition = Callable[[Stage], None]


@pytest.fixture(autouse=True)
def _in_greenwich() -> Iterator[None]:
    before = ZONE.set(timezone.utc)
    yield
    ZONE.reset(before)


def _queue(stage: Stage) -> None:
    stage.queue()


def _queue_both(stage: Stage) -> None:
    stage.queue()
    stage.queue(lane="bulk")


def _in_hand(stage: Stage) -> None:
    stage.queue()
    stage.claim()


def _paused(stage: Stage) -> None:
    _queue_both(stage)
    stage.policy.pause("a look", by="ada")


def _bulk_paused(stage: Stage) -> None:
    _queue_both(stage)
    stage.policy.pause("complaints.", by="ada", bulk_only=True)


def _bulk_alone_paused(stage: Stage) -> None:
    stage.queue(lane="bulk")
    stage.policy.pause("complaints", by="ada", bulk_only=True)


def _suspended(stage: Stage) -> None:
    _queue(stage)
    suspend(stage.redis)


def _ses_paused(stage: Stage) -> None:
    _queue(stage)
    stage.sync(sending=0, paused_because="SES has paused sending for this account (SHUTDOWN)")


def _unreadable(stage: Stage) -> None:
    stage.sync(readable=0)


def _unsynced(stage: Stage) -> None:
    stage.redis.flushall()
    stage.set_clock()
    stage.queue()


def _slow_rate(stage: Stage) -> None:
    stage.sync(rate=0.1)
    stage.queue()
    stage.work(1)
    _queue(stage)


def _day_spent(stage: Stage) -> None:
    stage.sync(daily=1)
    stage.queue()
    stage.work(1)
    _queue(stage)


def _others(stage: Stage) -> None:
    stage.sync(daily=10, sent=10)
    _queue(stage)


def _too_many(stage: Stage) -> None:
    stage.sync(daily=3, sent=1)
    stage.queue(to=[f"p{number}@example.org" for number in range(3)])


def _reserved(stage: Stage) -> None:
    stage.sync(daily=10)
    stage.policy.set({"reserve": "10"}, by="ada")
    stage.queue(lane="bulk")


def _throttled(stage: Stage) -> None:
    stage.queue()
    claim, _ = stage.claim()
    stage.gate.settle([SendResult(claim.grants[0], State.QUEUED, throttled=True, front=True)])


def _held(stage: Stage) -> None:
    for number in range(7):
        stage.queue()
        claim, _ = stage.claim(1)
        hold = {"hold": f"recipient:p{number}@example.org", "held_because": f"p{number} is not verified"}
        stage.gate.settle([SendResult(claim.grants[0], State.HELD, **hold)])


def _unknown(stage: Stage) -> None:
    for _ in range(2):
        stage.queue()
        claim, _started = stage.claim(1)
        stage.gate.settle([SendResult(claim.grants[0], State.UNKNOWN)])


def _damaged(stage: Stage) -> None:
    stage.redis.hset(stage.keys.damaged, stage.keys.batch("b"), "its state is no text")


CONDITIONS: dict[str, tuple[Condition, list[str]]] = {
    "nothing waits": (lambda _stage: None, []),
    "all is in hand": (_in_hand, []),
    "one is queued": (_queue, [NO_WORKER, f"transactional: 1 queued; {NOW}"]),
    "both lanes": (
        _queue_both,
        [
            NO_WORKER,
            f"transactional: 1 queued; {NOW}",
            "bulk: 1 queued; it goes after the transactional mail.",
        ],
    ),
    "a pause": (
        _paused,
        ["The account is paused by ada: a look. Nothing goes until `sesq quota resume`.", NO_WORKER],
    ),
    "a pause of bulk mail": (
        _bulk_paused,
        [
            "Bulk mail is paused by ada: complaints. It waits until `sesq quota resume --bulk`.",
            NO_WORKER,
            f"transactional: 1 queued; {NOW}",
        ],
    ),
    "a pause of bulk mail alone": (
        _bulk_alone_paused,
        ["Bulk mail is paused by ada: complaints. It waits until `sesq quota resume --bulk`.", NO_WORKER],
    ),
    "rq suspend": (
        _suspended,
        [
            "All workers are suspended (`rq suspend`). Nothing goes, of any account, until `rq resume`.",
            NO_WORKER,
        ],
    ),
    "a pause by SES": (
        _ses_paused,
        [
            "SES has paused sending for this account (SHUTDOWN). Workers ask again at each sync, "
            "and go on by themselves.",
            NO_WORKER,
        ],
    ),
    "an account that may not be read": (
        _unreadable,
        ["These credentials may not read the account (ses:GetAccount): the limits of sesq.toml count."],
    ),
    "an account that SES has not described": (
        _unsynced,
        [
            "SES has not described this account yet. Nothing goes before that: start a worker, or `sesq quota sync`.",
            NO_WORKER,
        ],
    ),
    "a slow rate": (
        _slow_rate,
        [
            NO_WORKER,
            "transactional: 1 queued; the rate of 1 per 10 seconds lets the next one go at 22:13:33 (in 10 s).",
        ],
    ),
    "a day that is spent": (
        _day_spent,
        [
            NO_WORKER,
            "transactional: 1 queued; the day is spent (1 of 1 recipients in 24 hours); "
            "enough of it frees up at 15 Nov 22:15:00 (in 24 h).",
        ],
    ),
    "a day spent by others": (
        _others,
        [
            NO_WORKER,
            "transactional: 1 queued; the day is spent (10 of 10 recipients in 24 hours, 10 by others); "
            "others use it too, so workers look for room at each sync.",
        ],
    ),
    "a mail larger than the rest of the day": (
        _too_many,
        [
            NO_WORKER,
            "transactional: 1 queued; the next one has more recipients than the day has room for "
            "(1 of 3 recipients in 24 hours, 1 by others); others use it too, so workers look for room at each sync.",
        ],
    ),
    "a day that is reserved": (
        _reserved,
        [
            NO_WORKER,
            "bulk: 1 queued; what is left of the day is kept for transactional mail (reserve: 10) "
            "(0 of 10 recipients in 24 hours); others use it too, so workers look for room at each sync.",
        ],
    ),
    "a throttle": (
        _throttled,
        [
            "SES throttled lately, so the pace is 90/second for a while.",
            NO_WORKER,
            f"transactional: 1 queued; {NOW}",
        ],
    ),
    "held mail": (
        _held,
        [
            *(f"1 held: p{number} is not verified." for number in range(5)),
            "2 more things are waited for: `sesq messages list --state held`.",
        ],
    ),
    "unknown mail": (
        _unknown,
        [
            "2 may have been sent, or not: SES's answer was lost. Settle them with `sesq messages resolve`.",
        ],
    ),
    "damage": (
        _damaged,
        ["Damaged in Redis, or of another version, and set aside: 1. `sesq doctor` names it."],
    ),
}


@pytest.mark.parametrize("name", CONDITIONS)
def test_all_that_is_said(redis: Redis, name: str) -> None:
    bring_about, said = CONDITIONS[name]
    stage = Stage(redis)
    bring_about(stage)
    assert sentences(read_overview(redis, "default")) == said
