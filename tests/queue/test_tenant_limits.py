"""A tenant may be limited: its own mail waits for that, and nobody else's."""

from __future__ import annotations

import pytest
from redis import Redis

from batch_stage import BatchStage
from sesq.config.errors import InvalidPolicy
from sesq.queue.audit import audit
from sesq.queue.explain import explain
from sesq.queue.keys import Keys
from sesq.queue.policy import HISTORY_LENGTH, Policy
from sesq.queue.ramp import mind_ramp, start_ramp, stop_ramp
from sesq.queue.reputation import Standing
from sesq.queue.results import put_back
from sesq.queue.tenant_limits import TenantLimit, TenantLimits
from tenant_mail import queue

KEYS = Keys("default")


@pytest.fixture
def stage(redis: Redis) -> BatchStage:
    stage = BatchStage(redis)
    stage.sync(rate=1000, daily=-1)
    stage.pass_time(10)
    return stage


@pytest.fixture
def limits(stage: BatchStage) -> TenantLimits:
    return TenantLimits(stage.redis)


def granted(stage: BatchStage, tenant: str) -> int:
    """Messages of that tenant that are on their way."""
    ids = [id.decode() for id in stage.redis.zrange(KEYS.leases, 0, -1)]
    queues = [stage.redis.hget(KEYS.message(id), "queue") for id in ids]
    return sum(queue is not None and queue.endswith(f".{tenant}".encode()) for queue in queues)


def test_a_tenant_keeps_to_its_rate_and_stops_nobody(stage: BatchStage, limits: TenantLimits) -> None:
    limits.set("acme", {"rate": "2/second"}, by="ada")
    queue(stage, "acme", 20)
    queue(stage, "", 30)
    claim, _ = stage.claim(100)
    assert (granted(stage, "acme"), len(claim.grants)) == (2, 32)
    assert (claim.reason, claim.wait) == ("tenant", pytest.approx(0.5))
    for _ in range(10):
        stage.pass_time(0.5)
        stage.claim(100)
    assert granted(stage, "acme") == 2 + 10


def test_a_batch_of_a_tenant_keeps_to_its_rate(stage: BatchStage, limits: TenantLimits) -> None:
    limits.set("acme", {"rate": "3"}, by="ada")
    stage.take(20, tenant="acme")
    went = [len(stage.claim(100)[0].grants)]
    for _ in range(4):
        stage.pass_time(1)
        went.append(len(stage.claim(100)[0].grants))
    assert went == [3, 3, 3, 3, 3]


@pytest.mark.parametrize("as_batch", [False, True])
def test_a_tenant_keeps_to_its_day(stage: BatchStage, limits: TenantLimits, *, as_batch: bool) -> None:
    limits.set("acme", {"daily": "60/day"}, by="ada")
    if as_batch:
        stage.take(100, tenant="acme")
    else:
        queue(stage, "acme", 100)
    claim, _ = stage.claim(200)
    assert len(claim.grants) == 60
    assert claim.reason == "tenant_day"
    assert limits.of("acme") == TenantLimit(None, 60, 60)
    stage.pass_time(23 * 3600)
    assert stage.claim(200)[0].reason == "tenant_day"
    stage.pass_time(3600 + 120)
    assert len(stage.claim(200)[0].grants) == 40


def test_a_mail_to_many_goes_in_debt_by_the_rate_of_its_tenant(
    stage: BatchStage, limits: TenantLimits
) -> None:
    limits.set("acme", {"rate": "10"}, by="ada")
    queue(stage, "acme", 2, recipients=50)
    assert len(stage.claim(5)[0].grants) == 1
    stage.pass_time(4.9)
    assert stage.claim(5)[0].grants == ()
    stage.pass_time(0.2)
    assert len(stage.claim(5)[0].grants) == 1


@pytest.mark.parametrize("as_batch", [False, True])
def test_what_was_not_sent_is_given_back_to_its_tenant(
    stage: BatchStage, limits: TenantLimits, *, as_batch: bool
) -> None:
    limits.set("acme", {"daily": "50", "rate": "50"}, by="ada")
    stage.pass_time(1)
    if as_batch:
        stage.take(100, tenant="acme")
    else:
        queue(stage, "acme", 100)
    claim, _ = stage.claim(50)
    stage.gate.settle([put_back(grant, "not in turn") for grant in claim.grants[:20]])
    assert limits.of("acme").used == 30
    assert len(stage.claim(50)[0].grants) == 20


def test_what_went_before_its_day_was_limited_is_not_given_back_to_its_tenant(
    stage: BatchStage, limits: TenantLimits
) -> None:
    # Given mail that left while the rate alone limited its tenant
    limits.set("acme", {"rate": "50"}, by="ada")
    stage.pass_time(1)
    queue(stage, "acme", 100)
    before, _ = stage.claim(10)
    # When its day is limited, more leaves, and the mail from before comes back
    stage.pass_time(1)
    limits.set("acme", {"daily": "50"}, by="ada")
    stage.pass_time(1)
    stage.claim(30)
    stage.gate.settle([put_back(grant, "not in turn") for grant in before.grants])
    # Then its day has what left since
    assert (len(before.grants), limits.of("acme").used) == (10, 30)


def test_since_when_a_tenant_is_limited_is_kept_until_its_last_limit_ends(
    stage: BatchStage, limits: TenantLimits
) -> None:
    # Given a tenant that is limited since a while
    limits.set("acme", {"rate": "50", "daily": "50"}, by="ada")
    since = stage.redis.hget(KEYS.tenant_limits, "acme:since")
    stage.pass_time(60)
    # When a limit changes, or one of two ends, Then it is limited since then
    limits.set("acme", {"daily": "60"}, by="ada")
    limits.reset("acme", ["rate"], by="ada")
    assert (since is None, stage.redis.hget(KEYS.tenant_limits, "acme:since")) == (False, since)
    # When the last one ends, Then nothing is left of them
    limits.reset("acme", ["daily"], by="ada")
    assert not stage.redis.exists(KEYS.tenant_limits)


def test_a_change_holds_from_the_next_claim_on(stage: BatchStage, limits: TenantLimits) -> None:
    limits.set("acme", {"daily": "50"}, by="ada")
    queue(stage, "acme", 200)
    stage.claim(200)
    limits.set("acme", {"daily": "120"}, by="ada")
    assert len(stage.claim(200)[0].grants) == 70
    limits.reset("acme", by="bob")
    assert len(stage.claim(200)[0].grants) == 80
    changes = Policy(stage.redis).history()
    assert [(each["by"], each["tenant"], each["new"]) for each in changes] == [
        ("bob", "acme", {"rate": None, "daily": None}),
        ("ada", "acme", {"daily": "120.0"}),
        ("ada", "acme", {"daily": "50.0"}),
    ]
    assert changes[1]["old"] == {"daily": "50.0"}
    assert limits.show() == {}


def test_why_it_waits_and_when_it_goes_is_told_by_its_tenants_limits(
    stage: BatchStage, limits: TenantLimits
) -> None:
    stage.redis.sadd("rq:workers:sesq.default.bulk", "w")
    limits.set("acme", {"rate": "2", "daily": "60"}, by="ada")
    queue(stage, "acme", 100)
    stage.claim(100)
    ids = [id.decode() for id in stage.redis.lrange("rq:queue:sesq.default.bulk.acme", 0, -1)]
    soon, late = (explain(stage.redis, stage.outbox.status(ids[place])) for place in (9, 90))
    assert soon.waits_because == (
        "tenant acme may send 2/second and 60 in 24 hours, of which 2 are used; 9 recipients of the tenant go before it"
    )
    assert soon.goes_at == pytest.approx(stage.now + 5, abs=1)
    assert late.goes_at == pytest.approx(stage.now + 86_400, abs=180)


def sent_in_a_day(stage: BatchStage) -> int:
    """Of what waits now, as much as may go until a day later, asked each half an hour."""
    count = 0
    for _ in range(48):
        count += len(stage.claim(2000)[0].grants)
        stage.pass_time(1800)
    return count


def test_the_day_of_a_tenant_grows_by_its_ramp_and_stands_still_beside_bounces(
    stage: BatchStage, limits: TenantLimits
) -> None:
    start_ramp(stage.redis, "default", 50, 800, 4 * 86_400, by="ada", tenant="acme")
    queue(stage, "acme", 1500)
    queue(stage, "", 10)
    assert len(stage.claim(100)[0].grants) == 60
    first = 50 + sent_in_a_day(stage)
    assert first == 50
    assert [sent_in_a_day(stage) for _ in range(2)] == [100, 200]
    mind_ramp(stage.redis, "default", Standing(sent=1000, bounced=90, complained=0))
    assert [sent_in_a_day(stage) for _ in range(2)] == [400, 400]
    mind_ramp(stage.redis, "default", Standing(sent=1000, bounced=70, complained=3))
    ramp = limits.of("acme").ramp
    assert ramp is not None
    assert (ramp.cap, ramp.day, ramp.last) == (400, 3, 800)


def test_a_ramp_tells_when_what_waits_goes(stage: BatchStage) -> None:
    stage.redis.sadd("rq:workers:sesq.default.bulk", "w")
    start_ramp(stage.redis, "default", 50, 400, 3 * 86_400, by="ada", tenant="acme")
    queue(stage, "acme", 100)
    stage.claim(100)
    ids = [id.decode() for id in stage.redis.lrange("rq:queue:sesq.default.bulk.acme", 0, -1)]
    told = explain(stage.redis, stage.outbox.status(ids[10]))
    assert told.waits_because is not None
    assert "tenant acme may send 50 in 24 hours" in told.waits_because
    assert told.goes_at == pytest.approx(stage.now + 86_400, abs=120)


def test_a_change_wakes_those_who_wait_and_the_history_of_changes_is_bounded(
    stage: BatchStage, limits: TenantLimits
) -> None:
    # Given a worker that waits, and as many changes as are kept
    stage.redis.lpush(KEYS.policy_history, *["{}"] * HISTORY_LENGTH)
    with stage.redis.pubsub(ignore_subscribe_messages=True) as waiting:
        waiting.subscribe(KEYS.wake)
        waiting.get_message(timeout=5)
        # When one more comes
        limits.set("acme", {"daily": "50"}, by="ada")
        # Then the worker hears of it, and the oldest one is forgotten
        signal = waiting.get_message(timeout=5)
    assert signal is not None
    assert signal["data"] == b"policy"
    assert stage.redis.llen(KEYS.policy_history) == HISTORY_LENGTH


def test_what_left_more_than_a_day_ago_is_no_longer_told_as_used(
    stage: BatchStage, limits: TenantLimits
) -> None:
    limits.set("acme", {"daily": "50"}, by="ada")
    queue(stage, "acme", 50)
    stage.claim(50)
    stage.pass_time(86_400 - 60)
    assert limits.of("acme").used == 50
    stage.pass_time(3 * 60)
    assert (limits.of("acme").used, limits.sent("acme")) == (0, {})


def test_a_ramp_ends_with_what_it_limited(stage: BatchStage, limits: TenantLimits) -> None:
    start_ramp(stage.redis, "default", 50, 400, 86_400, by="ada", tenant="acme")
    queue(stage, "acme", 80)
    stage.claim(100)
    assert stop_ramp(stage.redis, "default", by="bob", tenant="acme")
    assert len(stage.claim(100)[0].grants) == 30
    assert limits.show() == {}
    assert [each["tenant"] for each in Policy(stage.redis).history()] == ["acme", "acme"]
    with pytest.raises(InvalidPolicy, match="at least 50"):
        start_ramp(stage.redis, "default", 20, 400, 86_400, by="ada", tenant="acme")


def test_books_and_queues_leave_nothing_that_stays_for_ever(stage: BatchStage, limits: TenantLimits) -> None:
    limits.set("acme", {"daily": "50", "rate": "100"}, by="ada")
    queue(stage, "acme", 60)
    stage.claim(100)
    assert 0 < stage.redis.ttl(KEYS.tenant("acme")) <= 2 * 86400
    assert 0 < stage.redis.ttl(KEYS.tenant_day("acme")) <= 2 * 86400
    assert audit(stage.redis, sleep=stage.sleep) == []


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("daily", "49", "at least 50"),
        ("daily", "60.5", "whole number"),
        ("rate", "0", "a second above 0"),
        ("burst", "9", "is no limit of a tenant"),
    ],
)
def test_what_makes_no_sense_changes_nothing(limits: TenantLimits, name: str, value: str, words: str) -> None:
    with pytest.raises(InvalidPolicy, match=words):
        limits.set("acme", {"rate": "5", name: value}, by="ada")
    assert limits.show() == {}
