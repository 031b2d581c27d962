"""What Redis, or somebody with RQ's tools, loses of a batch: nobody is lost with it, and nothing else suffers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import cast

import pytest
from redis import Redis
from rq.job import Job
from rq.serializers import JSONSerializer

from agreement import assert_agreement
from batch_stage import QUEUE, BatchStage
from books import assert_sum, total
from sesq.config.errors import TakenBefore, WrongState
from sesq.queue.audit import audit, repair
from sesq.queue.chunks import read_results
from sesq.queue.damage import read_damage
from sesq.queue.results import put_back
from sesq.queue.rows import KEPT_SECONDS
from sesq.queue.states import State
from sesq.worker.reconcile import SETTLED_SECONDS, reconcile
from sesq.worker.verdicts import Kind
from stage import LEASE, says


@pytest.fixture
def stage(redis: Redis) -> BatchStage:
    return BatchStage(redis)


def test_whoever_queues_a_finished_chunk_again_sends_nothing(stage: BatchStage) -> None:
    taken = stage.take(3)
    stage.send_all()
    stage.redis.rpush(QUEUE, f"{taken.id}-0")
    assert stage.send(5) == []
    assert stage.waiting() == []
    assert len(stage.transport.sent) == 3


def test_a_queue_that_somebody_emptied_loses_nobody(stage: BatchStage) -> None:
    taken = stage.take(1200)
    stage.send(5)
    # Given a queue that RQ's tools have emptied, jobs and all
    stage.redis.delete(QUEUE, *(f"rq:job:{id}" for id in stage.waiting()))
    assert stage.send(5) == []
    # When a sync looks, then the chunks are in their queue again
    assert reconcile(stage.redis, "default") == 3
    assert reconcile(stage.redis, "default") == 0
    assert_agreement(stage.redis)
    stage.send_all()
    assert stage.fates(taken.id) == {"sent": 1200}


def test_chunks_do_not_hide_a_message_that_lost_its_job(stage: BatchStage) -> None:
    stage.take(1500)
    id = stage.queue()
    stage.redis.delete("rq:queue:sesq.default.transactional")
    stage.pass_time(SETTLED_SECONDS + 1)
    assert reconcile(stage.redis, "default") == 1
    assert [each.grant.id for each in stage.work(1)] == [id]


def test_parked_chunks_do_not_hide_it_either(stage: BatchStage) -> None:
    taken = stage.take(1500)
    stage.batches.pause(taken.id, "a look")
    stage.grant(1)
    assert stage.redis.llen(stage.keys.parked(taken.id)) == 3
    id = stage.queue()
    stage.transport.answer(says(Kind.UNVERIFIED_RECIPIENT, "person"))
    stage.work(1)
    Job.fetch(id, stage.redis, JSONSerializer).cancel()
    stage.pass_time(SETTLED_SECONDS + 1)
    reconcile(stage.redis, "default")
    assert stage.state(id) is State.CANCELLED


def test_who_is_on_their_way_when_redis_loses_their_chunk_has_a_record_all_the_same(
    stage: BatchStage,
) -> None:
    # Given two of a batch on their way, whose worker dies, and a chunk that Redis has lost
    taken = stage.take(5)
    _, begun = stage.grant(2)
    own = stage.queue()
    stage.redis.delete(stage.keys.rows(f"{taken.id}-0"))
    stage.pass_time(LEASE + 1)
    # When another worker judges them
    stage.reap("hold", max_attempts=8)
    # Then they are unknown, and can be looked at as any other
    assert {stage.state(each.id) for each in begun} == {State.UNKNOWN}
    assert own in {record.id for record in stage.messages.list()}
    # and when their jobs are lost as well, a sync gives them back
    stage.redis.delete("rq:deferred:sesq.default.bulk")
    stage.pass_time(SETTLED_SECONDS + 1)
    assert reconcile(stage.redis, "default") == 2


def test_rows_whose_chunk_redis_has_lost_are_judged_once(stage: BatchStage) -> None:
    taken = stage.take(5)
    stage.grant(3)
    stage.redis.delete(stage.keys.chunk(f"{taken.id}-0"))
    stage.pass_time(LEASE + 1)
    stage.reap()
    assert stage.redis.zcard(stage.keys.leases) == 0
    assert stage.reap() == {}


def test_a_batch_that_redis_has_lost_breaks_no_list(stage: BatchStage) -> None:
    taken = stage.take(5)
    _, begun = stage.grant(3)
    stage.redis.delete(stage.keys.batch(taken.id))
    stage.gate.settle([stage.sender.send_message(each) for each in begun])
    assert stage.batches.all() == []
    assert reconcile(stage.redis, "default") == 0


def test_a_chunk_that_somebody_put_into_another_lane_harms_nobody_there(stage: BatchStage) -> None:
    # Given a paused batch whose chunk stands in the transactional lane as well, and mail behind it in both
    taken = stage.take(3)
    bulk, urgent = stage.queue(lane="bulk"), stage.queue()
    stage.redis.lpush("rq:queue:sesq.default.transactional", f"{taken.id}-0")
    stage.batches.pause(taken.id, "a look")
    # When a worker takes what there is, Then both go, and the chunk waits where its batch does
    stage.work(10)
    assert [stage.state(id) for id in (bulk, urgent)] == [State.SENT, State.SENT]
    assert_agreement(stage.redis)


def test_another_batch_under_the_same_name_goes_to_its_own_recipients(stage: BatchStage) -> None:
    # Given a batch that is sent, and that Redis has forgotten, as it does after a while
    first = stage.take(3)
    stage.send(3)
    stage.redis.delete(*stage.redis.keys(f"sesq:default:*{first.id}*"))
    # When another one with the same key comes, then the worker that sent the first sends it to its own
    stage.ticks += KEPT_SECONDS + 1
    stage.pass_time(5)
    second = stage.take(3, rows=[{"email": f"new{i}@example.org", "name": "N"} for i in range(3)])
    assert second.id == first.id
    stage.send(3)
    assert [out.envelope.to[0] for out in stage.transport.sent[3:]] == [
        f"new{i}@example.org" for i in range(3)
    ]


@pytest.mark.parametrize("redo", ["abc", "nan", "3", "- -", "2-1", "1-1", "0-1-2", "0-900"])
def test_rows_that_nobody_can_read_stop_no_lane(stage: BatchStage, redo: str) -> None:
    # Given a chunk whose rows are all on their way, and a damaged list of those that came back
    first = stage.take(3)
    stage.grant(3)
    chunk = f"{first.id}-0"
    stage.redis.hset(stage.keys.chunk(chunk), mapping={"redo": redo, "place": "queued"})
    stage.redis.lpush(QUEUE, chunk)
    second = stage.take(2, key="other")
    # When the lane is worked off, Then what stands behind it goes
    stage.send(5)
    assert stage.fates(second.id) == {"sent": 2}


def _forget_hash(stage: BatchStage, id: str) -> None:
    stage.redis.delete(stage.keys.batch(id))


def _lose_state(stage: BatchStage, id: str) -> None:
    stage.redis.hdel(stage.keys.batch(id), "state")


def _lose_to_another_type(stage: BatchStage, id: str) -> None:
    stage.redis.set(stage.keys.batch(id), b"\xff")


def _repair(stage: BatchStage) -> None:
    repair(stage.redis, sleep=lambda _: None)


def _damage(stage: BatchStage) -> dict[str, str]:
    return {damage.what: damage.why for damage in read_damage(stage.redis, "default")}


@pytest.mark.parametrize("lose", [_forget_hash, _lose_state, _lose_to_another_type])
def test_a_batch_whose_state_is_lost_waits_is_named_and_goes_on_once_a_person_resumes_it(
    stage: BatchStage, lose: Callable[[BatchStage, str], None]
) -> None:
    # Given a batch of which some are sent, one is on its way, and one has a record that waits for another try
    stage.transport.answer(*[says(Kind.TRANSIENT)] * 3)
    taken = stage.take(700)
    stage.send(5)
    _, started = stage.grant(1)
    behind = stage.queue(lane="bulk")
    # When its state is lost, Then nothing more of it goes, and the lane goes on without it
    lose(stage, taken.id)
    stage.gate.settle([stage.sender.send_message(each) for each in started])
    stage.pass_time(600)
    stage.gate.promote()
    stage.work(20)
    assert len(stage.transport.tried) == 3 + 4 + 1 + 1
    assert stage.state(behind) is State.SENT
    assert "it counts as paused" in _damage(stage)[stage.keys.batch(taken.id)]
    reconcile(stage.redis, "default")
    stage.pass_time(600)
    stage.gate.promote()
    assert stage.send(5) == []
    # and nobody is taken back, or lost: a repair builds it anew, and a person sees it as paused
    _repair(stage)
    assert (stage.batch(taken).state, stage.batch(taken).total) == ("paused", 700)
    assert stage.counts(taken.id) == {"queued": 694, "held": 1, "sent": 5}
    assert "was lost" in stage.batch(taken).reason
    assert _damage(stage) == {}
    # When the same batch is given again, which restores its sender and adds nobody, and is resumed
    with suppress(TakenBefore):
        stage.take(700)
    stage.batches.resume(taken.id)
    stage.pass_time(600)
    stage.gate.promote()
    stage.send_all()
    # Then all are sent, nobody twice
    assert stage.fates(taken.id) == {"sent": 700}
    assert stage.batch(taken).state == "done"
    recipients = [out.envelope.to[0] for out in stage.transport.sent]
    assert len(recipients) == len(set(recipients))
    assert_agreement(stage.redis)


def test_a_batch_of_a_newer_version_waits_and_a_person_may_let_it_go_on(stage: BatchStage) -> None:
    taken = stage.take(3)
    stage.redis.hset(stage.keys.batch(taken.id), "state", "archived")
    assert stage.send(3) == []
    assert (
        "its state is archived, which this version of sesq does not know"
        in _damage(stage)[stage.keys.batch(taken.id)]
    )
    (finding,) = audit(stage.redis, sleep=lambda _: None)
    assert (finding.repairable, f"sesq batch resume {taken.id}" in finding.cure) == (False, True)
    stage.batches.resume(taken.id)
    stage.send(3)
    assert stage.fates(taken.id) == {"sent": 3}


def test_a_batch_that_expired_is_no_damage(stage: BatchStage) -> None:
    # Given a batch that is sent, and that Redis has forgotten as it does after a while, but for a late record
    stage.transport.answer(says(Kind.UNVERIFIED_SENDER, "person"))
    taken = stage.take(3)
    stage.send_all()
    (held,) = stage.messages.list([State.HELD])
    stage.messages.cancel(held.id, "too late")
    assert stage.batch(taken).state == "done"
    assert stage.redis.ttl(stage.keys.batch(taken.id)) > 0
    keys = {key.decode() for key in stage.redis.keys(f"sesq:default:*{taken.id}*")}
    stage.redis.delete(*keys - {stage.keys.message(held.id)})
    stage.redis.rpush(QUEUE, f"{taken.id}-0")
    stage.work()
    reconcile(stage.redis, "default")
    stage.pack()
    assert _damage(stage) == {}
    assert audit(stage.redis, sleep=lambda _: None) == []


@pytest.mark.parametrize("chunks", ["abc", "", "-1", "1e300", b"\xff", None])
def test_a_batch_that_does_not_know_its_chunks_takes_no_rows_until_they_are_counted(
    stage: BatchStage, chunks: str | bytes | None
) -> None:
    # Given a batch whose producer died after the first chunk, and whose count of them is damaged
    with pytest.raises(RuntimeError):
        stage.take(0, rows=_ends_in_an_error(500))
    (batch,) = stage.batches.all()
    key = stage.keys.batch(batch.id)
    stage.redis.hdel(key, "chunks") if chunks is None else stage.redis.hset(key, "chunks", chunks)
    # When the batch is given again, Then no row is added, and it says what to do
    with pytest.raises(WrongState, match="sesq doctor --deep --repair"):
        stage.take(700)
    assert stage.batches.get(batch.id).total == 500
    assert "chunks" in _damage(stage)[key]
    # When that is done, Then the others are added, and everybody is sent once
    _repair(stage)
    stage.take(700)
    stage.send_all()
    assert len(stage.transport.sent) == len({out.envelope.to[0] for out in stage.transport.sent}) == 700
    assert _damage(stage) == {}
    assert_agreement(stage.redis)


@pytest.mark.parametrize("value", ["-7", "1.5", "abc", "900"])
@pytest.mark.parametrize("field", ["n", "counted", "cursor", "out"])
def test_a_chunk_that_cannot_count_sends_nobody_twice_and_stops_no_lane(
    stage: BatchStage, field: str, value: str
) -> None:
    # Given a chunk of which some are sent and one is on its way, and one of its numbers is damaged
    first = stage.take(6)
    stage.send(2)
    _, started = stage.grant(1)
    stage.redis.hset(stage.keys.chunk(f"{first.id}-0"), field, value)
    second = stage.take(2, key="other")
    # When the lane is worked off, Then what stands behind it goes, and nobody gets it twice
    stage.gate.settle([stage.sender.send_message(each) for each in started])
    for _ in range(3):
        stage.send(10)
        stage.pass_time(1)
    assert stage.fates(second.id) == {"sent": 2}
    recipients = [(out.id.rpartition("-")[0], out.envelope.to) for out in stage.transport.sent]
    assert len(recipients) == len(set(recipients))
    # And what SES took is written down
    log = cast("bytes", stage.redis.get(stage.keys.log(f"{first.id}-0")))
    assert read_results(log).keys() >= {0, 1, 2}


@pytest.mark.parametrize(
    ("field", "value"),
    [("n", "abc"), ("counted", "1.5"), ("cursor", "-7"), ("cursor", "900"), ("out", "abc")],
)
def test_a_row_of_a_chunk_that_cannot_count_comes_back_and_is_not_lost(
    stage: BatchStage, field: str, value: str
) -> None:
    # Given a row on its way, and its chunk, of which a number is damaged meanwhile
    taken = stage.take(6)
    _, (row,) = stage.grant(1)
    level = _level(stage)
    assert total(stage.redis) == 1
    stage.redis.hset(stage.keys.chunk(f"{taken.id}-0"), field, value)
    # When it comes back unused, and its worker tells that again
    for _ in range(3):
        stage.gate.settle([put_back(row.grant, "late")])
        # Then it still has a record, and what it took is given back, once
        assert stage.redis.exists(stage.keys.message(row.id))
        assert (_level(stage), total(stage.redis)) == (level + 1, 0)
    assert_sum(stage.redis)


def _level(stage: BatchStage) -> float:
    """Our bucket's tokens, as the hash `gate` has them."""
    return float(stage.redis.hget(stage.keys.gate, "level") or 0)


@pytest.mark.parametrize("field", ["keep", "queue", "batch"])
def test_a_chunk_that_lost_what_its_batch_knows_is_sent(stage: BatchStage, field: str) -> None:
    taken = stage.take(3)
    stage.redis.hdel(stage.keys.chunk(f"{taken.id}-0"), field)
    stage.send(3)
    assert stage.fates(taken.id) == {"sent": 3}


def test_a_batch_that_is_lost_while_its_rows_are_queued_says_so(stage: BatchStage) -> None:
    def rows() -> Iterator[dict[str, str]]:
        for number in range(1200):
            if number == 1100:
                (batch,) = stage.batches.all()
                stage.redis.delete(stage.keys.batch(batch.id))
            yield {"email": f"p{number}@example.org", "name": "N"}

    with pytest.raises(WrongState, match="damaged in Redis"):
        stage.take(0, rows=rows())
    with pytest.raises(WrongState, match="sesq doctor --deep --repair"):
        stage.take(1200)
    _repair(stage)
    stage.take(1200)
    (batch,) = stage.batches.all()
    assert (batch.state, batch.total) == ("paused", 1200)


def _ends_in_an_error(count: int) -> Iterator[dict[str, str]]:
    for number in range(count):
        yield {"email": f"p{number}@example.org", "name": f"P{number}"}
    raise RuntimeError("the producer died")
