"""When a batch of a tenant ends: by the turns of others, and by the limits of its own tenant."""

from __future__ import annotations

import pytest
from redis import Redis

from batch_stage import BatchStage
from sesq.console.batch_plan import plan
from sesq.producer import Message
from sesq.queue.ramp import start_ramp
from sesq.queue.tenant_limits import TenantLimits


@pytest.fixture
def stage(redis: Redis) -> BatchStage:
    stage = BatchStage(redis)
    stage.sync(rate=10, daily=-1)
    stage.pass_time(10)
    return stage


def seconds_of(stage: BatchStage, count: int, tenant: str) -> float:
    """How long `count` more of a tenant would take."""
    told = plan(stage.redis, "default", count, tenant=tenant)
    assert told.ends_at is not None
    return told.ends_at - told.now


def test_of_other_tenants_no_more_goes_before_than_of_its_own(stage: BatchStage) -> None:
    # Given a thousand rows of acme, 30 messages of zeta, and 5 of none
    stage.take(1000, tenant="acme")
    for tenant, count in (("zeta", 30), (None, 5)):
        mail = Message(
            sender="a@example.com", to="b@example.org", subject="s", text="t", lane="bulk", tenant=tenant
        )
        stage.outbox.send_many([mail] * count)
    # Then 20 of mid wait for their turns, 20 of zeta for those before them, and 20 of acme for all
    assert seconds_of(stage, 20, "mid") == pytest.approx((20 + 20 + 20 + 5) / 10, rel=0.02)
    assert seconds_of(stage, 20, "zeta") == pytest.approx((30 + 20 + 50 + 5) / 10, rel=0.02)
    assert seconds_of(stage, 20, "acme") == pytest.approx((1000 + 20 + 30 + 5) / 10, rel=0.02)
    assert plan(stage.redis, "default", 20, tenant="mid").ahead == 45


def test_what_is_told_of_two_batches_comes_true(stage: BatchStage) -> None:
    stage.take(600, tenant="acme", key="a")
    stage.take(60, tenant="zeta", key="b")
    large, small = sorted(stage.batches.all(), key=lambda batch: -batch.total)
    told = [plan(stage.redis, "default", each.left, of=each).ends_at for each in (small, large)]
    ended: dict[str, float] = {}
    while len(ended) < 2:
        stage.send(50)
        stage.pass_time(0.2)
        for batch in stage.batches.all():
            if not batch.left:
                ended.setdefault(batch.id, stage.now)
    assert [ended[small.id], ended[large.id]] == [pytest.approx(each, abs=3) for each in told]


@pytest.mark.parametrize(("limits", "seconds"), [({"rate": "2"}, 50), ({"daily": "60"}, 86_400)])
def test_the_limits_of_its_tenant_count(stage: BatchStage, limits: dict[str, str], seconds: float) -> None:
    TenantLimits(stage.redis).set("acme", limits, by="ada")
    assert seconds_of(stage, 100, "acme") == pytest.approx(seconds, rel=0.01)
    assert seconds_of(stage, 100, "zeta") == pytest.approx(10, rel=0.01)


def test_the_ramp_of_its_tenant_counts(stage: BatchStage) -> None:
    start_ramp(stage.redis, "default", 50, 200, 2 * 86_400, by="ada", tenant="acme")
    assert seconds_of(stage, 100, "acme") == pytest.approx(86_400, rel=0.01)
