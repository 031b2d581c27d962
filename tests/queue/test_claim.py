"""Who gets the next token: workers of different lanes beside each other, and mail to many."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from redis import Redis

from sesq.queue.gate import Claim
from sesq.queue.states import Lane, State
from stage import Stage, sent

BULK, URGENT = (Lane.BULK,), (Lane.TRANSACTIONAL,)

Ask = Callable[..., Claim]


@pytest.fixture
def stage(redis: Redis) -> Stage:
    """An account with one a second, whose token is out of the bucket."""
    stage = Stage(redis)
    stage.sync(rate=1.0, daily=200.0)
    return stage


@pytest.fixture
def ask(stage: Stage) -> Ask:
    """`ask("w1", BULK)`: what one worker, for these lanes, gets of the gate; SES has answered its mail at once."""

    def ask(worker: str, lanes: tuple[Lane, ...] = tuple(Lane), want: int = 10) -> Claim:
        claim = stage.ask(want, worker, lanes)
        stage.gate.settle([sent(grant) for grant in claim.grants])
        return claim

    return ask


def bulk(stage: Stage, count: int = 1, **options: Any) -> list[str]:
    return [stage.queue(lane=Lane.BULK, **options) for _ in range(count)]


def drain(
    stage: Stage, ask: Ask, workers: dict[str, tuple[Lane, ...]], seconds: float
) -> list[tuple[str, str]]:
    """Each worker asks when it was told to, the first of those that are due first: who got what, in order."""
    ends, at = stage.now + seconds, dict.fromkeys(workers, stage.now)
    got = []
    while (name := min(at, key=lambda each: at[each])) and at[name] < ends:
        stage.pass_time(max(0.0, at[name] - stage.now))
        claim = ask(name, workers[name])
        got += [(name, id) for id in claim.ids]
        at[name] = stage.now + (claim.wait or 1.0)
    return got


def test_a_worker_for_urgent_mail_waits_behind_no_worker_for_bulk_alone(stage: Stage, ask: Ask) -> None:
    # Given six workers for bulk mail that wait for a token each
    bulk(stage, 30)
    workers = {f"bulk-{i}": BULK for i in range(6)}
    drain(stage, ask, workers, 8.0)
    # When urgent mail comes, with a worker of its own
    urgent = [stage.queue() for _ in range(3)]
    got = drain(stage, ask, {**workers, "urgent": URGENT}, 3.5)
    # Then each coming token is for that
    assert got == [("urgent", id) for id in urgent]
    # and after it those of bulk mail go on
    assert len(drain(stage, ask, workers, 3.5)) >= 3


def test_where_nobody_serves_urgent_mail_bulk_mail_goes(stage: Stage, ask: Ask) -> None:
    stage.queue()
    bulk(stage, 3)
    assert len(drain(stage, ask, {"w": BULK}, 3.5)) == 3


def test_a_worker_for_urgent_mail_that_died_is_waited_for_a_moment_only(stage: Stage, ask: Ask) -> None:
    stage.queue()
    (first,) = bulk(stage)
    assert ask("urgent", URGENT, want=1).reason == "full"
    stage.queue()
    assert ask("urgent", URGENT).reason == "rate"
    stage.pass_time(1.5)
    assert ask("w", BULK).reason == "rate"
    stage.pass_time(1.0)
    assert ask("w", BULK).ids == (first,)


def test_workers_of_all_lanes_are_told_of_a_token_each(stage: Stage, ask: Ask) -> None:
    bulk(stage, 20)
    waits = [ask(f"w{i}", lanes).wait for i, lanes in enumerate([BULK, tuple(Lane), BULK, tuple(Lane)])]
    assert ask("first").ids == ()
    assert [round(wait - waits[1]) for wait in waits[1:]] == [0, 1, 2]


def test_bulk_mail_leaves_the_reserve_whoever_serves_it(stage: Stage, ask: Ask) -> None:
    stage.policy.set({"daily": "3", "reserve": "2"}, by="ada")
    bulk(stage, 3)
    assert len(drain(stage, ask, {"w": BULK}, 5.0)) == 1
    assert ask("w", BULK).reason == "day"


def test_bulk_mail_leaves_the_day_to_the_urgent_mail_that_waits_for_it(stage: Stage, ask: Ask) -> None:
    # Given urgent mail for which the day has no room yet, and room for bulk mail
    stage.redis.sadd(f"rq:workers:{stage.keys.queue(Lane.TRANSACTIONAL)}", "rq:worker:urgent")
    stage.policy.set({"daily": "3"}, by="ada")
    bulk(stage, 2)
    assert len(drain(stage, ask, {"w": BULK}, 5.0)) == 2
    stage.queue(["ada@example.org", "bob@example.org"])
    assert ask("urgent", URGENT).reason == "day"
    (other,) = bulk(stage)
    assert ask("w", BULK).reason == "day"
    assert stage.state(other) is State.QUEUED


def test_it_says_for_whose_tokens_it_waits(stage: Stage, ask: Ask) -> None:
    bulk(stage, 2)
    ask("w", want=1)
    assert (ask("w").reason, ask("w").for_bulk) == ("rate", True)
    stage.queue()
    assert (ask("w").reason, ask("w").for_bulk) == ("rate", False)


@pytest.mark.parametrize("n", [2, 10, 14, 50])
def test_mail_to_many_goes_at_the_rate_that_we_set_where_ses_allows_more(
    stage: Stage, ask: Ask, n: int
) -> None:
    stage.sync(rate=14.0, daily=50_000.0)
    stage.policy.set({"rate": "1"}, by="ada")
    to = [f"p{i}@example.org" for i in range(n)]
    for _ in range(12):
        stage.queue(to)
    stage.pass_time(60)
    ask("w", want=1)
    got = drain(stage, ask, {"w": URGENT}, 10.01 * n / stage.gate.usage().pace)
    assert len(got) == 10


@pytest.mark.parametrize("limit", [{"rate": "0.01"}, {"daily": "1"}])
def test_a_wait_ends_with_the_limit_that_was_set_for_a_time(
    stage: Stage, ask: Ask, limit: dict[str, str]
) -> None:
    stage.pass_time(5)
    for _ in range(2):
        stage.queue()
    stage.policy.set(limit, by="ada", for_seconds=10)
    assert len(ask("w").ids) == 1
    stage.pass_time(3)
    assert ask("w").wait == pytest.approx(7.0, abs=0.01)
    stage.pass_time(7)
    assert len(ask("w").ids) == 1


def test_where_nobody_serves_urgent_mail_the_day_is_for_bulk_mail(stage: Stage, ask: Ask) -> None:
    stage.policy.set({"daily": "3"}, by="ada")
    stage.queue(["ada@example.org", "bob@example.org", "cleo@example.org"])
    bulk(stage, 3)
    assert len(drain(stage, ask, {"w": BULK}, 5.0)) == 3


def test_a_clock_set_back_leaves_no_dead_worker_to_be_waited_for(stage: Stage, ask: Ask) -> None:
    # Given a worker for urgent mail that waits for a token, and dies; and a clock that is set back an hour
    stage.pass_time(2)
    stage.queue()
    stage.queue()
    assert ask("urgent", URGENT, want=1).reason == "full"
    assert ask("urgent", URGENT).reason == "rate"
    bulk(stage, 3)
    stage.pass_time(-3600)
    assert len(drain(stage, ask, {"w": BULK}, 4.0)) == 3
