"""Tenants that have reached their limits: nobody else waits for them, none gets more, and none is forgotten."""

from __future__ import annotations

import json
from datetime import datetime, timezone

import pytest
from redis import Redis

from batch_stage import BatchStage
from sesq.console.batch_plan import plan
from sesq.producer import Message
from sesq.queue.audit import repair
from sesq.queue.explain import explain
from sesq.queue.keys import Keys
from sesq.queue.messages import Messages
from sesq.queue.policy import Policy
from sesq.queue.results import put_back, unsendable
from sesq.queue.states import Lane, State
from sesq.queue.tenant_limits import TenantLimits
from tenant_mail import queue

KEYS = Keys("default")
BULK = KEYS.queue(Lane.BULK)
IN_2040 = datetime(2040, 1, 1, tzinfo=timezone.utc)
MOST_COMMANDS = 1000
"""Of one claim: some milliseconds."""


@pytest.fixture
def stage(redis: Redis) -> BatchStage:
    stage = BatchStage(redis)
    stage.sync(rate=100_000, daily=-1)
    stage.pass_time(10)
    return stage


@pytest.fixture
def limits(stage: BatchStage) -> TenantLimits:
    return TenantLimits(stage.redis)


def grants(stage: BatchStage, want: int = 500) -> list[str]:
    return [grant.id for grant in stage.claim(want)[0].grants]


def test_a_tenant_has_one_day_for_both_lanes(stage: BatchStage, limits: TenantLimits) -> None:
    limits.set("acme", {"daily": "60"}, by="ada")
    stage.pass_time(1)
    queue(stage, "acme", 100, lane="transactional")
    queue(stage, "acme", 100)
    claim, _ = stage.claim(500)
    assert len(claim.grants) == 60
    stage.gate.settle([put_back(grant, "not in turn") for grant in claim.grants[:10]])
    assert limits.of("acme").used == 50


def test_a_tenant_has_one_rate_for_both_lanes(stage: BatchStage, limits: TenantLimits) -> None:
    limits.set("acme", {"rate": "10"}, by="ada")
    queue(stage, "acme", 100, lane="transactional")
    queue(stage, "acme", 100)
    went = len(grants(stage))
    for _ in range(10):
        stage.pass_time(1)
        went += len(grants(stage))
    assert went == 110


@pytest.mark.parametrize(
    ("limit", "recipients", "each", "most"), [({"rate": "10"}, 10, 0.1, 30), ({"daily": "100"}, 50, 1800, 50)]
)
def test_urgent_mail_of_a_tenant_goes_before_its_bulk(
    stage: BatchStage,
    limits: TenantLimits,
    limit: dict[str, str],
    recipients: int,
    each: float,
    most: int,
) -> None:
    # Given bulk mail that takes each token, and each place in the day, as it comes
    limits.set("acme", limit, by="ada")
    queue(stage, "acme", 1000)
    for _ in range(48):
        grants(stage, 4)
        stage.pass_time(each)
    # When urgent mail to several waits for more than one
    (urgent,) = queue(stage, "acme", 1, recipients, lane="transactional")
    # Then it goes as soon as they are there
    for asked in range(2 * most):
        if urgent in grants(stage):
            assert asked <= most
            return
        stage.pass_time(each)
    pytest.fail("it has not gone")


def commands(redis: Redis) -> int:
    return sum(each["calls"] for each in redis.info("commandstats").values())


def test_a_claim_does_little_beside_many_at_their_limits(stage: BatchStage, limits: TenantLimits) -> None:
    tenants = [f"t{number}" for number in range(300)]
    for tenant in tenants:
        limits.set(tenant, {"daily": "50"}, by="ada")
        queue(stage, tenant, 1, recipients=50)
        queue(stage, tenant, 1)
    while grants(stage):
        pass
    last = queue(stage, "", 1)
    for tenant in tenants:
        queue(stage, tenant, 1)
    stage.pass_time(700)
    went: list[str] = []
    for _ in range(100):
        before = commands(stage.redis)
        went += grants(stage)
        assert commands(stage.redis) - before < MOST_COMMANDS
    assert went == last


@pytest.mark.parametrize("lane", ["bulk", "transactional"])
def test_what_is_given_back_goes_at_once_in_either_lane(
    stage: BatchStage, limits: TenantLimits, lane: str
) -> None:
    limits.set("acme", {"daily": "50"}, by="ada")
    stage.pass_time(1)
    queue(stage, "acme", 50)
    claim, _ = stage.claim(100)
    queue(stage, "acme", 30, lane=lane)
    assert stage.claim(100)[0].reason == "tenant_day"
    stage.gate.settle([unsendable(grant, State.EXPIRED, "too late") for grant in claim.grants[:20]])
    assert len(grants(stage)) == 20


def test_what_was_granted_before_the_limit_is_not_given_back_to_it(
    stage: BatchStage, limits: TenantLimits
) -> None:
    queue(stage, "acme", 200)
    first, _ = stage.claim(50)
    stage.pass_time(1)
    limits.set("acme", {"daily": "50"}, by="ada")
    stage.pass_time(1)
    assert len(grants(stage)) == 50
    stage.gate.settle([put_back(grant, "not in turn") for grant in first.grants])
    assert grants(stage) == []


@pytest.mark.parametrize("closed", ["paused", "out of its window", "out of its day"])
def test_urgent_mail_is_not_forgotten_while_bulk_mail_may_not_go(
    stage: BatchStage, limits: TenantLimits, closed: str
) -> None:
    if closed == "paused":
        Policy(stage.redis).pause("a look at it", by="ada", bulk_only=True)
    elif closed == "out of its window":
        window, opens = "Mon 00:00-00:01 UTC", int(stage.now) + 90_000
        stage.redis.hset(KEYS.configured, "window", window)
        stage.redis.hset(KEYS.windows, window, f"{opens} {opens + 60}")
    else:
        stage.sync(rate=1000, daily=1000)
        stage.redis.hset(KEYS.policy, "reserve", "1000")
    limits.set("acme", {"rate": "10"}, by="ada")
    queue(stage, "", 5)
    queue(stage, "acme", 20, lane="transactional")
    claim, _ = stage.claim(100)
    assert (len(claim.grants), claim.reason, claim.wait) == (10, "tenant", pytest.approx(0.1))


def test_a_clock_that_is_set_back_makes_no_tenant_wait_for_ever(
    stage: BatchStage, limits: TenantLimits
) -> None:
    limits.set("acme", {"rate": "1"}, by="ada")
    queue(stage, "acme", 3)
    grants(stage)
    stage.pass_time(-3600)
    stage.sync(rate=1000, daily=-1)
    went = 0
    for _ in range(15):
        stage.pass_time(60)
        went += len(grants(stage))
    assert went == 2


def test_mail_beside_a_limit_is_counted_once(stage: BatchStage, limits: TenantLimits) -> None:
    limits.set("acme", {"daily": "50"}, by="ada")
    queue(stage, "acme", 60)
    grants(stage)
    grants(stage)
    queue(stage, "acme", 5)
    assert [lane["queued"] for lane in stage.gate.usage().lanes] == [0, 15]


def test_a_pile_of_cancelled_mail_has_its_turn_and_no_more(stage: BatchStage) -> None:
    pile = queue(stage, "acme", 1000)
    for id in [*pile[1:-1], pile[0]]:
        stage.outbox.cancel(id)
    (one,) = queue(stage, "zeta", 1)
    assert one in [*grants(stage, 10), *grants(stage, 10)]


def test_bulk_mail_yields_to_a_tenant_behind_one_that_has_gone(stage: BatchStage) -> None:
    # Given urgent mail of two tenants that waits for tokens, of which the first is cancelled
    stage.sync(rate=10, daily=-1)
    stage.pass_time(5)
    (gone,) = queue(stage, "acme", 1, 10, lane="transactional")
    queue(stage, "zeta", 1, 10, lane="transactional")
    queue(stage, "", 100)
    stage.redis.sadd("rq:workers:sesq.default.transactional", "t")
    for _ in range(6):
        stage.ask(10, "b", [Lane.BULK])
    stage.ask(10, "t", [Lane.TRANSACTIONAL])
    stage.outbox.cancel(gone)
    # When a worker of bulk mail asks first
    stage.pass_time(0.2)
    # Then it leaves the tokens to the other
    assert stage.ask(10, "b", [Lane.BULK]).grants == ()


def test_the_time_told_counts_urgent_mail_of_the_tenant(stage: BatchStage, limits: TenantLimits) -> None:
    stage.redis.sadd(f"rq:workers:{BULK}", "w")
    limits.set("acme", {"rate": "1"}, by="ada")
    queue(stage, "acme", 100, lane="transactional")
    (id,) = queue(stage, "acme", 1)
    told = explain(stage.redis, stage.outbox.status(id))
    assert told.goes_at == pytest.approx(stage.now + 101, abs=2)


def test_rows_of_a_tenant_that_ses_has_stopped_wait_in_their_chunk(stage: BatchStage) -> None:
    # Given a batch of a tenant that SES takes no mail of
    batch = stage.take(600, tenant="acme")
    stage.redis.hset(KEYS.blocks, "tenant:acme", json.dumps([stage.now, "SES has disabled acme", False, ""]))
    other = queue(stage, "", 3)
    stage.redis.sadd(f"rq:workers:{BULK}", "w")
    # When workers ask
    # Then all other mail goes, no row becomes a record, and the row and the batch say why
    assert [grants(stage), grants(stage)] == [other, []]
    assert not stage.redis.exists(KEYS.materialized(batch.id))
    row = explain(stage.redis, stage.outbox.status(f"{batch.id}-0-7"))
    assert (row.waits_because, row.goes_at) == ("SES has disabled acme", None)
    assert plan(stage.redis, "default", 600, of=stage.batch(batch)).endless == "SES has disabled acme"
    # and all of it goes once it is let go
    Messages(stage.redis, "default").free("tenant:acme", "SES says ENABLED")
    assert len([*grants(stage), *grants(stage)]) == 600


def test_bulk_mail_of_a_tenant_is_paused_alone(stage: BatchStage, limits: TenantLimits) -> None:
    stage.redis.sadd(f"rq:workers:{BULK}", "w")
    limits.pause("acme", "a look at its list", by="ada")
    waits, row = queue(stage, "acme", 1)[0], f"{stage.take(5, tenant='acme').id}-0-2"
    goes = [*queue(stage, "acme", 1, lane="transactional"), *queue(stage, "zeta", 2)]
    assert sorted(grants(stage)) == sorted(goes)
    why = "bulk mail of tenant acme is paused by ada: a look at its list"
    for id in (waits, row):
        told = explain(stage.redis, stage.outbox.status(id))
        assert (told.waits_because, told.goes_at) == (why, None)
    (batch,) = stage.batches.all()
    assert plan(stage.redis, "default", 5, of=batch).endless == why
    limits.resume("acme", by="bob")
    assert len(grants(stage)) == 6
    assert [each["new"] for each in Policy(stage.redis).history()] == [
        {"paused:bulk": ""},
        {"paused:bulk": "a look at its list"},
    ]
    assert limits.show() == {}


@pytest.mark.parametrize("harm", ["a stranger in it", "another type", "no number"])
def test_damaged_turns_stop_nobody(stage: BatchStage, harm: str) -> None:
    ours, theirs = queue(stage, "acme", 5), queue(stage, "zeta", 5)
    shares = KEYS.shares(BULK)
    if harm == "a stranger in it":
        stage.redis.zadd(shares, {"x": -1})
    elif harm == "no number":
        stage.redis.zadd(shares, {f"{BULK}.acme": "-inf"})
    else:
        stage.redis.delete(shares)
        stage.redis.set(shares, "x")
        grants(stage)
        repair(stage.redis, sleep=stage.sleep)
    assert set(grants(stage)) == {*ours, *theirs}


def test_a_mail_that_never_was_due_leaves_no_queue(stage: BatchStage) -> None:
    mail = Message(
        sender="a@example.com", to="b@example.org", subject="s", text="t", tenant="acme", send_at=IN_2040
    )
    stage.outbox.cancel(stage.outbox.send(mail))
    assert not [queue for queue in stage.redis.smembers("rq:queues") if b"acme" in queue]
