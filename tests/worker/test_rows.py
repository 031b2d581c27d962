"""Batches at a worker: part of a chunk at a time, results in a line, and a record for what is not simply taken."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
from redis import Redis
from rq.job import Job
from rq.serializers import JSONSerializer

from agreement import assert_agreement
from batch_stage import BatchStage
from sesq.config.errors import InvalidMessage, TakenBefore, UnknownBatch
from sesq.producer.batch.template import TemplateRenderer
from sesq.queue.damage import read_damage
from sesq.queue.results import SendResult, put_back
from sesq.queue.rows import KEPT_SECONDS
from sesq.queue.states import Lane, State
from sesq.queue.suppression import Suppressed, SuppressionList
from sesq.worker.sending import BLIP_TRIES
from sesq.worker.verdicts import Kind
from stage import LEASE, says, used_by


@pytest.fixture
def stage(redis: Redis) -> BatchStage:
    return BatchStage(redis)


def test_a_chunk_is_granted_in_parts_and_stays_at_the_head(stage: BatchStage) -> None:
    # Given a batch of two chunks and 50 tokens
    taken = stage.take(700)
    claim, begun = stage.grant(20)
    # Then a claim gets as many recipients as it wants, and the chunk stays where it is
    assert (claim.reason, len(begun), len(stage.waiting())) == ("full", 20, 2)
    assert begun[0].envelope.to == ("p0@example.org",)
    claim, more = stage.grant(100)
    # and no more than there are tokens
    assert (claim.reason, len(more)) == ("rate", 30)
    assert stage.gate.usage().total == 50
    assert stage.counts(taken.id) == {"queued": 650, "sending": 50}


def test_all_is_sent_once_and_rq_knows(stage: BatchStage) -> None:
    taken = stage.take(1100)
    stage.send_all()
    assert stage.fates(taken.id) == {"sent": 1100}
    assert len({each.message_id for each in stage.batches.recipients(taken.id)}) == 1100
    assert {out.envelope.to[0] for out in stage.transport.sent} == {f"p{i}@example.org" for i in range(1100)}
    assert (stage.batch(taken).state, stage.waiting()) == ("done", [])
    finished = {id.decode() for id in stage.redis.zrange("rq:finished:sesq.default.bulk", 0, -1)}
    assert finished == {f"{taken.id}-{k}" for k in range(3)}
    assert stage.redis.ttl(stage.keys.batch(taken.id)) > 0
    # When its results are packed, then nothing is known less
    stage.pack()
    assert stage.redis.exists(stage.keys.log(f"{taken.id}-0")) == 0
    assert stage.fates(taken.id) == {"sent": 1100}


def test_what_is_not_simply_taken_becomes_a_message_like_any_other(stage: BatchStage) -> None:
    taken = stage.take(8)
    stage.transport.answer(
        "id-0", *[says(Kind.TRANSIENT)] * 2 * BLIP_TRIES, says(Kind.REFUSED), says(Kind.UNKNOWN)
    )
    stage.transport.answer(says(Kind.UNVERIFIED_RECIPIENT, "person"), "id-6", "id-7")
    stage.send(8)
    told = {"sent": 3, "retrying": 2, "refused": 1, "unknown": 1, "held": 1}
    assert stage.counts(taken.id) == told == stage.fates(taken.id)
    assert stage.batch(taken).state == "running"
    assert_agreement(stage.redis)
    unknown, held = (f"{taken.id}-0-{row}" for row in (4, 5))
    assert stage.status(unknown).envelope.to == ("p4@example.org",)
    # When each is settled in its own way
    stage.messages.resolve(unknown, "queued", "test")
    stage.messages.release(held, "test")
    stage.pass_time(60)
    stage.gate.promote()
    stage.work()
    # Then it is sent, under the same id, and the batch is done
    assert stage.counts(taken.id) == {"sent": 7, "refused": 1}
    assert stage.batch(taken).state == "done"
    assert [out.content.text for out in stage.transport.sent if out.id == unknown] == ["Hello P4."]  # type: ignore[union-attr]
    assert_agreement(stage.redis)


def test_what_is_told_twice_counts_once(stage: BatchStage) -> None:
    taken = stage.take(5)
    _, begun = stage.grant(4)
    stage.transport.answer("id-0", *[says(Kind.TRANSIENT)] * BLIP_TRIES)
    outcomes = [stage.sender.send_message(begun[0]), stage.sender.send_message(begun[1])]
    outcomes.append(put_back(begun[2].grant, "late"))
    stage.gate.settle(outcomes)
    # When the answer of Redis was lost, so that it is told again
    stage.gate.settle(outcomes)
    assert stage.counts(taken.id) == {"sent": 1, "retrying": 1, "queued": 2, "sending": 1}
    assert len(stage.status(begun[1].id).history) == 3
    assert_agreement(stage.redis)


def test_two_producers_of_one_batch_queue_it_once(stage: BatchStage) -> None:
    rows = [{"email": f"p{i}@example.org", "name": "P"} for i in range(700)]

    def overtaken() -> Iterable[dict[str, Any]]:
        yield from rows[:600]
        stage.take(0, rows=rows)
        yield from rows[600:]

    taken = stage.take(0, rows=overtaken())
    stage.send_all()
    assert stage.fates(taken.id) == {"sent": 700}
    assert len(stage.transport.sent) == 700


def test_a_chunk_that_another_producer_added_first_stays_as_it_is(stage: BatchStage) -> None:
    rows = [{"email": f"p{i}@example.org", "name": "P"} for i in range(700)]

    def broken_off() -> Iterable[dict[str, Any]]:
        yield from rows[:600]
        raise EOFError

    def overtaken() -> Iterable[dict[str, Any]]:
        # Given another producer of the batch, which adds the first chunk and dies, and five that are sent
        with pytest.raises(EOFError):
            stage.take(0, rows=broken_off())
        assert len(stage.send(5)) == 5
        yield from rows

    # When the first producer comes to that chunk, then nothing of it is queued once more
    taken = stage.take(0, rows=overtaken())
    assert stage.counts(taken.id) == {"sent": 5, "queued": 695}
    assert len(stage.waiting()) == 2
    stage.send_all()
    assert (stage.fates(taken.id), len(stage.transport.sent)) == ({"sent": 700}, 700)
    assert_agreement(stage.redis)


def test_rows_that_were_not_sent_in_their_turn_go_first_and_cost_nothing(stage: BatchStage) -> None:
    taken = stage.take(100)
    _, begun = stage.grant(10)
    back = [put_back(each.grant, "late") for each in begun[2:5] + begun[8:]]
    stage.gate.settle([stage.sender.send_message(each) for each in (*begun[:2], *begun[5:8])] + back)
    assert stage.gate.usage().total == 5
    assert stage.counts(taken.id) == {"sent": 5, "queued": 95}
    stage.pass_time(1)
    _, again = stage.grant(7)
    rows = [int(each.id.rpartition("-")[2]) for each in again]
    assert rows == [2, 3, 4, 8, 9, 10, 11]


def test_rows_that_came_back_are_granted_while_others_of_their_claim_are_out(stage: BatchStage) -> None:
    taken = stage.take(8)
    claim = stage.ask(8)
    # Given the first half of a claim that was not sent in its turn, and granted again
    stage.gate.start(claim.grants[:4])
    stage.gate.settle([put_back(grant, "late") for grant in claim.grants[:4]])
    _, begun = stage.grant(4)
    assert [row.id for row in begun] == list(claim.ids[:4])
    # When both are sent, then each of them is written down once
    rest = stage.gate.start(claim.grants[4:])
    stage.gate.settle([stage.sender.send_message(row) for row in (*begun, *rest)])
    assert stage.fates(taken.id) == {"sent": 8} == stage.counts(taken.id)
    assert (len(stage.transport.sent), stage.batch(taken).state) == (8, "done")
    assert stage.redis.zcard(stage.keys.leases) == 0
    assert_agreement(stage.redis)


def test_rows_that_were_judged_and_granted_anew_are_sent_by_the_new_claim_alone(stage: BatchStage) -> None:
    taken = stage.take(8)
    claim = stage.ask(8)
    # Given a worker that stood still, was judged, and claims the same rows again
    stage.pass_time(LEASE + 1)
    stage.reap("hold", max_attempts=3)
    _, begun = stage.grant(8)
    assert [row.id for row in begun] == list(claim.ids)
    # Then it may not start them by its old claim
    assert stage.gate.start(claim.grants) == []
    stage.gate.settle([stage.sender.send_message(row) for row in begun])
    assert stage.counts(taken.id) == {"sent": 8}


def test_a_batch_that_somebody_stopped_meanwhile_can_be_given_up(stage: BatchStage) -> None:
    taken = stage.take(10)
    _, started = stage.grant(5)
    stage.batches.pause(taken.id, "a wrong link")
    stage.redis.delete(stage.keys.template(taken.id))
    stage.gate.settle([stage.sender.send_message(each) for each in started])
    assert stage.transport.tried == []
    assert stage.counts(taken.id) == {"queued": 10}
    assert stage.batch(taken).reason == "a wrong link"


def test_a_last_chunk_that_comes_back_is_in_the_queue_again(stage: BatchStage) -> None:
    taken = stage.take(10)
    _, begun = stage.grant(10)
    assert stage.waiting() == []
    assert stage.redis.zrange("rq:wip:sesq.default.bulk", 0, -1) == [f"{taken.id}-0:rows".encode()]
    stage.gate.settle([put_back(each.grant, "late") for each in begun])
    assert stage.waiting() == [f"{taken.id}-0"]
    assert stage.redis.zcard("rq:wip:sesq.default.bulk") == 0
    stage.pass_time(1)
    stage.send_all()
    assert stage.fates(taken.id) == {"sent": 10}


@pytest.mark.parametrize("on_unknown", ["hold", "resend"])
def test_a_dead_worker_begun_leaves_unknown_or_sends_again(stage: BatchStage, on_unknown: str) -> None:
    taken = stage.take(30)
    _, begun = stage.grant(6)
    stage.gate.settle([stage.sender.send_message(begun[0])])
    # Given a worker that died with five on their way
    assert stage.reap(on_unknown, max_attempts=3) == {}
    stage.pass_time(LEASE + 1)
    judged = stage.reap(on_unknown, max_attempts=3)
    # Then they are unknown, or queued again where that is the policy; the one that was sent is neither
    state = "unknown" if on_unknown == "hold" else "queued"
    assert judged == {f"{taken.id}-0-{row}": state for row in range(1, 6)}
    assert stage.fates(taken.id)["sent"] == 1
    assert stage.reap(on_unknown, max_attempts=3) == {}
    assert_agreement(stage.redis)
    # When the worker was not dead after all, its MessageIds count
    stage.gate.settle([stage.sender.send_message(each) for each in begun[1:]])
    assert stage.fates(taken.id) == {"sent": 6, "queued": 24}
    assert stage.gate.usage().total == 6


def test_a_dead_worker_leaves_in_doubt_only_what_it_had_begun(stage: BatchStage) -> None:
    taken = stage.take(30)
    claim = stage.ask(6)
    # Given a worker that died with two of six rows started
    assert [row.id for row in stage.gate.start(claim.grants[:1])] == [claim.ids[0]]
    stage.gate.start(claim.grants[1:2])
    stage.pass_time(LEASE + 1)
    judged = stage.reap()
    # Then the others are in their place again, and cost nothing
    assert [id for id, state in judged.items() if state is State.UNKNOWN][::-1] == list(claim.ids[:2])
    assert stage.counts(taken.id) == {"unknown": 2, "queued": 28}
    assert stage.gate.usage().total == 2
    # and it may begin none of them any more
    assert stage.gate.start(claim.grants[2:]) == []
    stage.pass_time(1)
    assert [row.id for row in stage.grant(6)[1]] == [f"{taken.id}-0-{row}" for row in range(2, 8)]


def test_a_dead_worker_that_had_not_begun_leaves_nothing(stage: BatchStage) -> None:
    taken = stage.take(30)
    stage.ask(6)
    assert stage.gate.usage().total == 6
    stage.pass_time(LEASE + 1)
    assert set(stage.reap().values()) == {State.QUEUED}
    assert stage.counts(taken.id) == {"queued": 30}
    assert stage.gate.usage().total == 0
    stage.send_all()
    assert stage.fates(taken.id) == {"sent": 30}


def test_a_living_worker_keeps_its_rows(stage: BatchStage) -> None:
    stage.take(30)
    claim, _ = stage.grant(6)
    stage.pass_time(LEASE - 1)
    stage.gate.renew(claim.grants, stage.now + LEASE)
    stage.pass_time(LEASE - 1)
    assert stage.reap() == {}


def test_a_transactional_message_waits_behind_one_claim_only(stage: BatchStage) -> None:
    stage.take(1000)
    stage.grant(10)
    urgent = stage.queue(lane=Lane.TRANSACTIONAL)
    claim, _ = stage.grant(10)
    assert claim.ids[0] == urgent
    assert len(claim.ids) == 10


def test_the_day_and_its_reserve_hold_for_recipients(stage: BatchStage) -> None:
    simulated = [{"email": f"success+{i}@simulator.amazonses.com", "name": "S"} for i in range(3)]
    real = [{"email": f"p{i}@example.org", "name": "P"} for i in range(30)]
    stage.sync(daily=20.0)
    stage.policy.set({"reserve": "5"}, by="test")
    taken = stage.take(0, rows=[*simulated, *real])
    claim, begun = stage.grant(50)
    assert (claim.reason, len(begun)) == ("day", 15)
    # the mailbox simulator costs nothing of the day, so a chunk has it last
    assert stage.gate.usage().total == 15
    stage.policy.reset(by="test")
    stage.gate.settle([stage.sender.send_message(each) for each in begun])
    stage.sync(daily=-1.0)
    stage.send_all()
    assert stage.fates(taken.id) == {"sent": 33}
    assert stage.gate.usage().total == 30


def test_what_is_delivered_is_counted_in_a_bit(stage: BatchStage) -> None:
    taken = stage.take(20)
    stage.send(10)
    id = f"{taken.id}-0-3"
    assert stage.batches.mark_delivered(id, "m-1")
    assert not stage.batches.mark_delivered(id, "m-1")
    assert stage.counts(taken.id) == {"queued": 10, "sent": 9, "delivered": 1} == stage.fates(taken.id)
    assert (stage.status(id).state, stage.status(id).message_id) == (State.DELIVERED, "recorded-4")
    assert stage.messages.counts()[State.DELIVERED] == 0
    # When it bounces later after all
    assert stage.batches.materialize_sent_row(id)
    assert stage.counts(taken.id) == {"queued": 10, "sent": 9, "delivered": 1} == stage.fates(taken.id)
    assert stage.messages.counts()[State.DELIVERED] == 1


def test_a_producer_that_died_goes_on_and_a_finished_batch_is_known(stage: BatchStage) -> None:
    rows = [{"email": f"p{i % 1300}@example.org", "name": "P"} for i in range(1500)]

    def dying() -> Iterable[dict[str, Any]]:
        yield from rows[:1200]
        raise KeyboardInterrupt

    # Given a producer that died after two chunks, of which some have been sent
    with pytest.raises(KeyboardInterrupt):
        stage.take(0, rows=dying())
    (begun,) = stage.batches.all()
    assert (begun.chunks, begun.total, begun.filled) == (2, 1000, False)
    stage.send_all()
    assert stage.batches.get(begun.id).state == "running"
    # When the same is sent again, then it goes on, whoever is left out now
    entries = [Suppressed(f"p{i}@example.org", "manual", 0.0, "test") for i in (7, 1299)]
    SuppressionList(stage.redis).add(entries)
    again = stage.take(0, rows=rows)
    assert again.id == begun.id
    stage.send_all()
    sent = [out.envelope.to[0] for out in stage.transport.sent]
    assert len(sent) == len(set(sent)) == 1299
    done = stage.batches.get(begun.id)
    assert (done.state, done.duplicates, done.suppressed) == ("done", 200, 2)
    # When it is sent once more, then only --again does it
    with pytest.raises(TakenBefore, match="give again="):
        stage.take(0, rows=rows)
    assert stage.take(0, rows=rows, again=True).id != begun.id


def test_a_batch_that_cannot_be_printed_is_paused_and_says_why(stage: BatchStage) -> None:
    taken = stage.take(10)
    stage.redis.delete(stage.keys.template(taken.id))
    stage.send(5)
    assert stage.transport.tried == []
    assert stage.batch(taken).state == "paused"
    assert "gone from Redis" in stage.batch(taken).reason
    assert stage.counts(taken.id) == {"queued": 10}
    assert stage.gate.usage().total == 0


def test_a_batch_whose_rows_are_gone_is_paused_and_makes_no_records(stage: BatchStage) -> None:
    taken = stage.take(10)
    stage.redis.delete(stage.keys.rows(f"{taken.id}-0"))
    stage.send(5)
    assert (stage.transport.tried, stage.messages.list()) == ([], [])
    assert "gone from Redis" in stage.batch(taken).reason
    assert stage.counts(taken.id) == {"queued": 10}
    assert stage.gate.usage().total == 0


def test_what_became_of_a_row_is_written_where_nobody_can_tell_any_more_whom_it_is_for(
    stage: BatchStage,
) -> None:
    taken = stage.take(2)
    claim, _ = stage.grant(2)
    stage.redis.hset(stage.keys.batch(taken.id), "envelope", "{")
    stage.ticks += KEPT_SECONDS + 1  # what is remembered of it is forgotten
    states = stage.gate.settle([SendResult(grant, State.FAILED, "no") for grant in claim.grants])
    assert states == [State.FAILED, State.FAILED]
    assert stage.status(f"{taken.id}-0-0").reason == "no"
    assert stage.redis.hget(stage.keys.batch(taken.id), "n:failed") == b"2"


def test_rq_is_told_when_a_chunk_and_a_row_were_queued_and_how_long_both_stay(stage: BatchStage) -> None:
    taken = stage.take(3, keep_seconds=1234)
    chunk = f"{taken.id}-0"
    stage.transport.answer(says(Kind.REFUSED))
    stage.send_all()
    for id in (chunk, f"{chunk}-0"):
        job = Job.fetch(id, stage.redis, JSONSerializer)
        assert job.enqueued_at is not None
        assert job.created_at is not None
        assert 1200 < stage.redis.ttl(f"rq:job:{id}") <= 1234, id
    assert 1200 < stage.redis.ttl(stage.keys.rows(chunk)) <= 1234
    assert 1200 < stage.redis.ttl(stage.keys.message(f"{chunk}-0")) <= 1234
    assert 1200 < stage.redis.ttl(stage.keys.content(f"{chunk}-0")) <= 1234


def test_a_row_that_cannot_be_printed_fails_alone(stage: BatchStage, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [{"email": "a@example.org", "name": "fine"}, {"email": "b@example.org", "name": "two\nlines"}]
    # Given a producer that let a row through which its workers cannot print
    with monkeypatch.context() as patch:
        patch.setattr(TemplateRenderer, "content", lambda *_: None)
        taken = stage.take(0, rows=rows)
    stage.send(5)
    assert stage.fates(taken.id) == {"sent": 1, "failed": 1}
    assert "line break" in stage.status(f"{taken.id}-0-1").reason
    assert stage.gate.usage().total == 1


def test_a_report_tells_of_each_what_is_so_when_its_turn_comes(stage: BatchStage) -> None:
    taken = stage.take(600)
    for _ in range(10):
        stage.send(50)
        stage.pass_time(1)
    told = stage.batches.recipients(taken.id)
    assert next(told).state is State.SENT
    # When somebody in the second chunk comes to have a record while the first one is read
    stage.transport.answer(says(Kind.REFUSED))
    assert [result.state for result in stage.send(1)] == [State.REFUSED]
    assert [each.to for each in told if each.state is State.REFUSED] == ["p500@example.org"]


def test_unknown_batches(stage: BatchStage) -> None:
    for act in (stage.batches.get, lambda id: stage.batches.pause(id, ""), stage.batches.resume):
        with pytest.raises(UnknownBatch):
            act("0" * 20)
    assert stage.batches.find(f"{'0' * 20}-0-0") is None
    assert stage.batches.all() == []


LATE = -1.0
"""A time (monotonic) by which no tokens are good any more."""


def test_recipients_whose_tokens_are_too_old_get_new_ones(stage: BatchStage) -> None:
    # Given a session that was waited for so long that the tokens of three are too old
    taken = stage.take(3)
    _, begun = stage.grant(3)
    tokens = stage.gate.usage().tokens
    stage.pass_time(0.001)
    stage.gate.settle([stage.sender.send_message(used_by(each, LATE)) for each in begun])
    assert len(stage.transport.sent) == stage.batch(taken).counts[State.SENT] == 3
    # Then the old ones count for the first, and not for those before whom another took some
    assert stage.gate.usage().tokens == pytest.approx(tokens - 2, abs=0.2)
    assert_agreement(stage.redis)


@pytest.mark.parametrize("why", ["account", "batch", "taken over"])
def test_where_it_may_not_go_any_more_it_goes_back(stage: BatchStage, why: str) -> None:
    taken = stage.take(2)
    _, begun = stage.grant(2)
    if why == "account":
        stage.policy.pause("stop", by="ada")
    elif why == "batch":
        stage.batches.pause(taken.id, "a wrong link")
    else:
        stage.pass_time(LEASE + 1)
        stage.reap("hold", max_attempts=3)
    stage.gate.settle([stage.sender.send_message(used_by(each, LATE)) for each in begun])
    assert stage.transport.tried == []
    assert stage.batch(taken).counts[State.SENT] == 0
    assert_agreement(stage.redis)


def test_after_a_clock_was_set_back_a_dead_workers_rows_are_judged_within_a_minute(stage: BatchStage) -> None:
    taken = stage.take(3)
    stage.ask(2)
    stage.pass_time(-3600)
    for seconds in (0, 61):
        stage.pass_time(seconds)
        stage.reap()
    assert stage.counts(taken.id) == {"queued": 3}
    assert_agreement(stage.redis)


def test_what_a_batch_holds_is_told_with_and_without_records(stage: BatchStage) -> None:
    taken = stage.take(5)
    claim, _ = stage.grant(3)
    stage.gate.settle(
        [
            SendResult(claim.grants[0], State.SENT, "m-1", message_id="m-1"),
            SendResult(claim.grants[1], State.FAILED, "no"),
        ]
    )
    batch = stage.batch(taken)
    assert {state: n for state, n in batch.compact.items() if n} == {"sent": 1, "queued": 2, "sending": 1}
    assert {state: n for state, n in batch.counts.items() if n} == {
        "sent": 1,
        "queued": 2,
        "sending": 1,
        "failed": 1,
    }
    # and metrics count each as often as it came into a state
    assert stage.redis.hget(stage.keys.counters, "sent") == b"1"
    assert stage.redis.hget(stage.keys.counters, "failed") == b"1"


def test_what_is_noted_after_the_results_were_packed_is_packed_too(stage: BatchStage) -> None:
    taken = stage.take(3)
    stage.send_all()
    chunk = f"{taken.id}-0"
    stage.pack()
    before = {each.id: each.message_id for each in stage.batches.recipients(taken.id)}
    # When more is written to its log, as of a row that an event tells of
    stage.redis.append(stage.keys.log(chunk), "1700000000.000 1:m-again\n")
    stage.redis.sadd(stage.keys.unpacked, chunk)
    stage.pack()
    assert not stage.redis.exists(stage.keys.log(chunk))
    after = {each.id: each.message_id for each in stage.batches.recipients(taken.id)}
    assert after == {**before, f"{chunk}-1": "m-again"}


def test_each_recipient_is_told_by_its_id_and_address(stage: BatchStage) -> None:
    taken = stage.take(3)
    stage.transport.answer(says(Kind.REFUSED), "m-1")
    stage.send(2)
    addresses = {f"{taken.id}-0-{row}": f"p{row}@example.org" for row in range(3)}
    assert {each.id: each.to for each in stage.batches.recipients(taken.id)} == addresses
    assert {id: stage.status(id).envelope.to for id in addresses} == {
        id: (to,) for id, to in addresses.items()
    }
    for id in addresses:
        assert stage.gate.rows.envelope(id).to == (addresses[id],)
    with pytest.raises(InvalidMessage, match="rows"):
        stage.gate.rows.envelope(f"{taken.id}-0-3")
    assert Job.fetch(f"{taken.id}-0", stage.redis, JSONSerializer).args == [f"{taken.id}-0"]
    assert Job.fetch(f"{taken.id}-0-0", stage.redis, JSONSerializer).args == [f"{taken.id}-0-0"]


def test_a_chunk_that_says_more_were_granted_than_it_has_is_not_sent(stage: BatchStage) -> None:
    taken = stage.take(3)
    stage.redis.hset(stage.keys.chunk(f"{taken.id}-0"), "cursor", 4)
    stage.send(5)
    assert stage.transport.tried == []
    assert [damage.what for damage in read_damage(stage.redis, "default")] == [
        stage.keys.chunk(f"{taken.id}-0")
    ]
