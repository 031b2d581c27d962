"""In a lane the mail of each tenant takes turns with that of the others, by recipients; RQ shows it where it waits."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis import Redis
from rq import Queue
from rq.serializers import JSONSerializer

from batch_stage import BatchStage
from sesq.config.errors import SesqError
from sesq.producer import Message
from sesq.queue.ahead import count_ahead
from sesq.queue.audit import audit, repair
from sesq.queue.keys import Keys
from sesq.queue.results import put_back
from sesq.queue.states import Lane
from sesq.worker.reconcile import reconcile

KEYS = Keys("default")
BULK = KEYS.queue(Lane.BULK)
TENANTS = ("", "acme", "zeta", "mid")


@pytest.fixture
def stage(redis: Redis) -> BatchStage:
    stage = BatchStage(redis)
    stage.sync(rate=100_000, daily=-1)
    stage.pass_time(10)
    return stage


def queue(
    stage: BatchStage, tenant: str, recipients: int = 1, lane: str = "bulk", count: int = 1
) -> list[str]:
    """Mail of a tenant; "" is none."""
    to = [f"p{number}@example.org" for number in range(recipients)]
    new = [
        Message(sender="a@example.com", to=to, subject="s", text="t", lane=lane, tenant=tenant or None)
        for _ in range(count)
    ]
    return [id for id in stage.outbox.send_many(new) if not isinstance(id, SesqError)]


def grants(stage: BatchStage, want: int) -> list[str]:
    return [grant.id for grant in stage.claim(want)[0].grants]


def waits(stage: BatchStage, tenant: str, lane: Lane = Lane.BULK) -> int:
    return int(stage.redis.llen(f"rq:queue:{KEYS.queue(lane, tenant)}"))


def test_a_tenant_with_many_delays_one_with_few_by_its_turn_alone(stage: BatchStage) -> None:
    many = queue(stage, "acme", count=50)
    few = queue(stage, "zeta", count=3)
    ours = queue(stage, "", count=2)
    assert set(grants(stage, 9)) == {*many[:4], *few, *ours}


def test_urgent_mail_of_a_tenant_goes_before_all_bulk_and_shares_its_lane(stage: BatchStage) -> None:
    queue(stage, "acme", count=9)
    urgent = [*queue(stage, "zeta", lane="transactional", count=5), *queue(stage, "", lane="transactional")]
    assert set(grants(stage, 6)) == set(urgent)


def test_turns_are_counted_in_recipients(stage: BatchStage) -> None:
    large, small = queue(stage, "acme", 50, count=3), queue(stage, "zeta", count=200)
    went = grants(stage, 102)
    assert (len(set(went) & set(large)), len(set(went) & set(small))) == (2, 100)


def test_who_comes_back_does_not_go_before_those_who_waited(stage: BatchStage) -> None:
    queue(stage, "zeta", count=200)
    for _ in range(4):
        queue(stage, "acme", 50)
        grants(stage, 20)
    assert waits(stage, "acme") == 2
    assert waits(stage, "zeta") == 200 - (4 * 20 - 2)


def test_a_batch_of_a_tenant_takes_turns_row_by_row(stage: BatchStage) -> None:
    stage.take(400, tenant="acme")
    few = queue(stage, "zeta", count=20)
    assert set(few) <= set(grants(stage, 45))


@dataclass
class Model:
    """Who has had the fewest recipients goes next; who comes anew begins with the least of the others."""

    waiting: dict[str, deque[tuple[str, int]]] = field(default_factory=dict)
    had: dict[str, int] = field(default_factory=dict)

    def queue(self, tenant: str, id: str, recipients: int) -> None:
        self.waiting.setdefault(tenant, deque()).append((id, recipients))
        if tenant:
            self._join(tenant)

    def claim(self, want: int) -> Iterator[str]:
        if self.had and self.waiting.get(""):
            self._join("")
        while want and (tenant := self._next()) is not None:
            if not self.waiting.get(tenant):
                self.had.pop(tenant)
                continue
            id, recipients = self.waiting[tenant].popleft()
            if tenant in self.had:
                self.had[tenant] += recipients
            want -= 1
            yield id

    def _join(self, tenant: str) -> None:
        self.had.setdefault(tenant, min(self.had.values(), default=0))

    def _next(self) -> str | None:
        if not self.had:
            return "" if self.waiting.get("") else None
        return min(self.had, key=lambda tenant: (self.had[tenant], tenant))


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("queue"), st.sampled_from(TENANTS), st.sampled_from([1, 1, 2, 10, 50])),
        st.tuples(st.just("claim"), st.integers(1, 6), st.just(0)),
    ),
    max_size=60,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_any_traffic_goes_as_a_plain_model_says(
    redis: Redis, steps: list[tuple[str, str | int, int]]
) -> None:
    redis.flushall()
    stage, model = BatchStage(redis), Model()
    stage.sync(rate=100_000, daily=-1)
    for kind, what, recipients in [*steps, ("claim", 200, 0)]:
        stage.pass_time(1)
        if isinstance(what, str):
            (id,) = queue(stage, what, recipients)
            model.queue(what, id, recipients)
        else:
            assert grants(stage, what) == list(model.claim(what)), kind
    assert not [id for waiting in model.waiting.values() for id in waiting]


def test_rq_shows_mail_of_a_tenant_where_it_waits_and_no_queue_stays(stage: BatchStage) -> None:
    ids = queue(stage, "acme", count=2)
    own = Queue(f"{BULK}.acme", connection=stage.redis, serializer=JSONSerializer)
    assert own in Queue.all(connection=stage.redis)
    assert own.job_ids == ids
    assert [job.id for job in own.jobs] == ids
    grants(stage, 5)
    grants(stage, 5)
    assert own not in Queue.all(connection=stage.redis)
    assert not stage.redis.keys("sesq:default:shares:*")
    assert audit(stage.redis, settled=True) == []


def test_what_comes_back_waits_in_its_tenants_queue_again(stage: BatchStage) -> None:
    (id,) = queue(stage, "acme")
    claim, _ = stage.claim(1)
    stage.gate.settle([put_back(claim.grants[0], "not in turn")])
    assert waits(stage, "acme") == 1
    assert grants(stage, 1) == [id]


def emptied(stage: BatchStage, ids: list[str]) -> None:
    Queue(f"{BULK}.acme", connection=stage.redis, serializer=JSONSerializer).empty()


def requeued_by_rq(stage: BatchStage, ids: list[str]) -> None:
    """As a stock worker hands it back: RQ knows the lane's queue alone."""
    stage.redis.delete(f"rq:queue:{BULK}.acme")
    stage.redis.rpush(f"rq:queue:{BULK}", *ids)


def left_without_turns(stage: BatchStage, ids: list[str]) -> None:
    stage.redis.delete(KEYS.shares(BULK))


@pytest.mark.parametrize("harm", [emptied, requeued_by_rq, left_without_turns])
def test_what_is_done_with_rqs_tools_loses_nothing(
    stage: BatchStage, harm: Callable[[BatchStage, list[str]], None]
) -> None:
    ids = queue(stage, "acme", count=3)
    stage.pass_time(120)
    harm(stage, ids)
    reconcile(stage.redis, "default")
    assert set(grants(stage, 9)) == set(ids)
    assert stage.claim(9)[0].reason == "empty"


def test_the_auditor_sees_a_queue_without_turns_and_gives_it_some(stage: BatchStage) -> None:
    queue(stage, "acme", count=3)
    left_without_turns(stage, [])
    (found,) = audit(stage.redis, sleep=stage.sleep)
    assert "has no turns" in found.what
    repair(stage.redis, sleep=stage.sleep)
    assert audit(stage.redis, sleep=stage.sleep) == []
    assert len(grants(stage, 9)) == 3


@pytest.mark.parametrize("gone", ["inf", "-inf"])
def test_a_queue_with_an_infinite_share_takes_turns_again(stage: BatchStage, gone: str) -> None:
    # Given a tenant whose queue would go never, or always, since its share is damaged
    ids = queue(stage, "acme", count=3)
    queue(stage, "zeta", count=3)
    stage.redis.zadd(KEYS.shares(BULK), {f"{BULK}.acme": float(gone)})
    (found,) = audit(stage.redis, sleep=stage.sleep)
    assert f"{BULK}.acme, which has no turns" in found.what
    # When a sync compares the queues with their mail, Then its mail goes in turn
    stage.pass_time(120)
    reconcile(stage.redis, "default")
    went = grants(stage, 4)
    assert sum(id in ids for id in went) == 2
    assert audit(stage.redis, sleep=stage.sleep) == []


@pytest.mark.parametrize("tenant", ["zeta", "acme", ""])
def test_what_goes_before_it_is_counted_by_turns(stage: BatchStage, tenant: str) -> None:
    for name, count in {"acme": 9, "zeta": 2, "": 4}.items():
        queue(stage, name, count=count)
    (id,) = queue(stage, tenant)
    for name in ("acme", "zeta", ""):
        queue(stage, name, count=30)
    queue(stage, "mid", lane="transactional", count=3)
    ahead = count_ahead(stage.redis, stage.outbox.status(id), Lane.BULK)
    assert ahead is not None
    assert grants(stage, 60).index(id) == pytest.approx(ahead.all, abs=len(TENANTS))
