"""All that changes in Redis when tenants have reached their limits: in both lanes, in batches, on another day."""

from __future__ import annotations

import pytest

from scene import Scene
from sesq.queue.results import put_back
from sesq.queue.states import Lane
from sesq.queue.tenant_limits import TenantLimits


@pytest.fixture
def limits(scene: Scene) -> TenantLimits:
    scene.sync(rate=1000.0)
    scene.pass_time(2)
    return TenantLimits(scene.redis)


@pytest.mark.parametrize(("urgent", "bulk"), [(2, 20), (20, 2)])
def test_tenants_rest_in_both_lanes_and_the_wait_is_that_of_the_sooner(
    scene: Scene, limits: TenantLimits, urgent: int, bulk: int
) -> None:
    # Given a tenant in each lane, whose next token comes after so many seconds
    for tenant, lane, seconds in (("acme", "transactional", urgent), ("zeta", "bulk", bulk)):
        limits.set(tenant, {"rate": f"1 per {seconds} seconds"}, by="ada")
        for _ in range(2):
            scene.queue(tenant=tenant, lane=lane)
    # When a worker has what may go, or asks again, Then it waits for the token that comes first
    claim = scene.ask()
    assert (claim.reason, round(claim.wait, 3), len(claim.grants)) == ("tenant", 2.0, 2)
    scene.see()
    claim = scene.ask()
    assert (claim.reason, round(claim.wait, 3), claim.ids) == ("tenant", 2.0, ())
    scene.expect("""
        ~ gate claims = 1 -> 2
    """)


def test_rows_that_count_towards_no_day_go_though_the_tenants_is_spent(
    scene: Scene, limits: TenantLimits
) -> None:
    # Given a tenant whose day is spent, and a batch of it to the mailbox simulator
    limits.set("acme", {"daily": "50"}, by="ada")
    scene.queue([f"p{n}@example.org" for n in range(50)], tenant="acme", lane="bulk")
    scene.ask()
    rows = [{"email": f"success+{n}@simulator.amazonses.com", "name": "A"} for n in range(3)]
    batch = scene.take(3, rows=rows, tenant="acme").id
    # When a worker asks, Then all of them go
    claim = scene.ask()
    assert (claim.reason, len(claim.grants)) == ("empty", 3)
    assert scene.fates(batch) == {"sending": 3}
    assert limits.of("acme").used == 50


@pytest.mark.parametrize(
    ("minutes", "before", "after"), [(1441, [1, 2], [1, 1]), (1442, [1], [1]), (2 * 1442, [1], [1])]
)
def test_what_a_tenant_gives_back_is_taken_off_its_own_day_alone(
    scene: Scene, limits: TenantLimits, minutes: int, before: list[int], after: list[int]
) -> None:
    # Given mail of a tenant in the hands of a worker, and more that goes in the same slot of another day
    limits.set("acme", {"daily": "100"}, by="ada")
    scene.pass_time(60)
    first = [scene.queue(tenant="acme") for _ in range(2)]
    grants = scene.ask().grants
    assert [grant.id for grant in grants] == first
    scene.pass_time(60 * minutes)
    scene.queue(tenant="acme")
    scene.ask(worker="x")
    assert sorted(limits.sent("acme").values()) == before
    # When one of the first comes back, Then its own minute alone has one recipient less
    scene.gate.settle([put_back(grants[0], "not in turn")])
    assert sorted(limits.sent("acme").values()) == after
    assert limits.of("acme").used == sum(after)


def test_bulk_mail_waits_for_no_urgent_mail_of_before_the_clock_was_set_back(
    scene: Scene, limits: TenantLimits
) -> None:
    # Given a tenant whose urgent mail waits for a token, and a clock that is set back after that
    limits.set("acme", {"rate": "1 per 10 seconds"}, by="ada")
    scene.queue(tenant="acme")
    scene.queue(tenant="acme")
    assert scene.ask().reason == "tenant"
    scene.pass_time(-3600)
    scene.sync(rate=1000.0)
    # When a worker for bulk mail alone asks, Then the tenant's bulk mail waits for a token, and goes
    id = scene.queue(tenant="acme", lane="bulk")
    claim = scene.ask(lanes=[Lane.BULK])
    assert (claim.reason, round(claim.wait, 3)) == ("tenant", 10.0)
    scene.pass_time(10)
    assert scene.ask(lanes=[Lane.BULK]).ids == (id,)
