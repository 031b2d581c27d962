"""RQ's own worker runs `deliver`: by the same rules, and RQ's books agree with ours after each way it can end."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from typing import cast

import pytest
from redis import Redis
from rq import Queue, SimpleWorker
from rq.job import Job
from rq.serializers import JSONSerializer

from agreement import assert_agreement
from sesq.queue.states import Lane, State
from sesq.worker import deliver as module
from sesq.worker.desk import Desk
from sesq.worker.sync import AccountSync
from sesq.worker.verdicts import Kind
from stage import Stage, says


class NoSync:
    """In place of AccountSync: SES is not asked."""

    def run_if_due(self) -> bool:
        return False


@pytest.fixture
def stage(redis: Redis, monkeypatch: pytest.MonkeyPatch) -> Stage:
    stage = Stage(redis)
    desk = Desk("default", stage.gate, stage.courier, stage.rules, cast("AccountSync", NoSync()))
    monkeypatch.setattr(module, "_desk", lambda account: desk)
    monkeypatch.setattr(module, "PATIENCE_SECONDS", 0.0)
    return stage


@pytest.fixture(autouse=True)
def _signals() -> Iterator[None]:
    """RQ's worker takes them and does not give them back."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGALRM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def queues(stage: Stage) -> list[Queue]:
    return [Queue(stage.keys.queue(lane), connection=stage.redis, serializer=JSONSerializer) for lane in Lane]


def rq_works(stage: Stage, jobs: int = 1) -> None:
    """A stock worker takes so many jobs."""
    worker = SimpleWorker(queues(stage), connection=stage.redis, serializer=JSONSerializer)
    worker.work(burst=True, max_jobs=jobs)


def job(stage: Stage, id: str) -> Job:
    return Job.fetch(id, stage.redis, JSONSerializer)


HOLDS = {Kind.UNVERIFIED_RECIPIENT: "recipient:ada@example.org", Kind.UNRECOGNIZED: "person"}


def held(stage: Stage, kind: Kind) -> str:
    """A message of which SES will say so, once it goes."""
    stage.sync(production=0)
    stage.transport.answer(says(kind, HOLDS.get(kind)))
    return stage.queue()


def test_sent_its_message_id_is_the_jobs_result(stage: Stage) -> None:
    id = stage.queue()
    rq_works(stage)
    assert stage.status(id).message_id == "recorded-1"
    assert job(stage, id).return_value() == "recorded-1"
    assert_agreement(stage.redis)


@pytest.mark.parametrize("kind", [Kind.RATE, Kind.DAY_SPENT, Kind.PAUSED])
def test_what_ses_says_of_everybody_puts_it_back_to_the_head(stage: Stage, kind: Kind) -> None:
    id, other = stage.queue(), stage.queue()
    stage.transport.answer(says(kind))
    rq_works(stage)
    assert queues(stage)[0].job_ids == [id, other]
    assert (stage.state(id), stage.status(id).attempts) == (State.QUEUED, 0)
    assert stage.gate.usage().total == 0


def test_refused_it_stands_among_rqs_failed_with_the_reason(stage: Stage) -> None:
    id = stage.queue()
    stage.transport.answer(says(Kind.REFUSED, reason="SES refuses this message."))
    rq_works(stage)
    assert stage.state(id) is State.REFUSED
    assert "SES refuses this message." in (job(stage, id).latest_result().exc_string or "")
    assert_agreement(stage.redis)


@pytest.mark.parametrize("kind", [Kind.UNKNOWN, Kind.UNVERIFIED_RECIPIENT])
def test_what_is_held_stands_among_rqs_failed_with_the_reason_for_a_moment(stage: Stage, kind: Kind) -> None:
    # Given a message that is held, or unknown: to RQ its job has failed
    id = held(stage, kind)
    rq_works(stage)
    assert queues(stage)[0].failed_job_registry.get_job_ids() == [id]
    assert "Because." in (job(stage, id).latest_result().exc_string or "")
    # When a worker looks, Then RQ has it where it has what waits
    assert stage.gate.reseat() == 1
    assert_agreement(stage.redis)
    assert stage.gate.reseat() == 0


def test_while_the_account_is_paused_the_job_goes_back_untouched(stage: Stage) -> None:
    id = stage.queue()
    stage.policy.pause("stop", by="ada")
    rq_works(stage)
    assert queues(stage)[0].job_ids == [id]
    assert stage.transport.tried == []
    record = stage.status(id)
    assert (record.state, record.attempts, len(record.history)) == (State.QUEUED, 0, 1)


def test_bulk_waits_while_urgent_mail_waits(stage: Stage) -> None:
    stage.queue(lane="bulk")
    stage.queue()
    bulk = SimpleWorker(queues(stage)[1:], connection=stage.redis, serializer=JSONSerializer)
    bulk.work(burst=True, max_jobs=1)
    assert stage.transport.tried == []


@pytest.mark.parametrize("kind", [Kind.UNKNOWN, Kind.UNRECOGNIZED])
def test_run_again_by_hand_what_may_have_left_is_not_sent_and_what_is_held_is_tried(
    stage: Stage, kind: Kind
) -> None:
    id = held(stage, kind)
    stage.work()
    stage.redis.rpush(queues(stage)[0].key, id)
    rq_works(stage)
    if kind is Kind.UNKNOWN:
        assert (stage.state(id), len(stage.transport.tried)) == (State.UNKNOWN, 1)
    else:
        assert stage.state(id) is State.SENT


def test_run_again_by_hand_what_is_sent_is_not_sent_and_tells_its_message_id(stage: Stage) -> None:
    id = stage.queue()
    stage.work()
    stage.redis.rpush(queues(stage)[0].key, id)
    rq_works(stage)
    assert len(stage.transport.tried) == 1
    assert job(stage, id).return_value() == "recorded-1"
    assert_agreement(stage.redis)


def test_what_a_killed_one_was_sending_is_judged_when_the_next_job_runs(stage: Stage) -> None:
    # Given two messages of a worker that was killed, one of them on its way
    ids = [stage.queue() for _ in range(2)]
    claim = stage.gate.claim("rq:1", "x-1", want=2, lease=30)
    stage.gate.begin("x-1", claim.ids[:1])
    # When its leases have run out, and a stock worker runs another job
    stage.pass_time(31)
    other = stage.queue()
    rq_works(stage)
    # Then nobody knows of the one, and the other stands in its lane again
    assert [stage.state(id) for id in (*ids, other)] == [State.UNKNOWN, State.QUEUED, State.SENT]
    assert_agreement(stage.redis)


def test_expired_it_is_not_sent(stage: Stage) -> None:
    id = stage.queue()
    stage.redis.hset(stage.keys.message(id), "expires_at", stage.now)
    rq_works(stage)
    assert (stage.state(id), stage.transport.tried) == (State.EXPIRED, [])
    assert_agreement(stage.redis)


def test_a_record_that_is_gone_is_not_sent(stage: Stage) -> None:
    id = stage.queue()
    stage.redis.delete(stage.keys.message(id))
    rq_works(stage)
    assert stage.transport.tried == []
    assert "gone" in (job(stage, id).latest_result().exc_string or "")
