"""Redis loses a chunk of a batch: the others go on, the batch ends, and nobody gets the mail twice."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable
from typing import Any, cast

import pytest
from redis import Redis
from redis.client import Pipeline

from agreement import assert_agreement
from batch_stage import QUEUE, BatchStage
from sesq.config.embedded import EmbeddedRedis
from sesq.console.batch_files import report_lines
from sesq.producer.batch.batch_intake import BatchIntake
from sesq.queue.audit import audit, repair
from sesq.queue.careful_redis import connect
from sesq.queue.rows import KEPT_SECONDS
from sesq.queue.states import State
from sesq.worker.events import Feedback
from sesq.worker.events.feedback import Handled
from sesq.worker.verdicts import Kind
from stage import LEASE, says

ROWS, CHUNK = 700, 500


@pytest.fixture
def stage(redis: Redis) -> BatchStage:
    return BatchStage(redis)


def _lose(*kinds: str) -> Callable[[BatchStage, str], None]:
    def lose(stage: BatchStage, chunk: str) -> None:
        stage.redis.delete(*(f"sesq:default:{kind}:{chunk}" for kind in kinds))

    return lose


def _lose_all(stage: BatchStage, chunk: str) -> None:
    _lose("chunk", "rows", "log")(stage, chunk)
    stage.redis.delete(f"rq:job:{chunk}")
    stage.redis.lrem(QUEUE, 0, chunk)


def _make_a_list(stage: BatchStage, chunk: str) -> None:
    stage.redis.delete(stage.keys.chunk(chunk))
    stage.redis.rpush(stage.keys.chunk(chunk), "a")


LOSSES = {
    "its hash": _lose("chunk"),
    "its hash, to another type": _make_a_list,
    "its rows too": _lose("chunk", "rows"),
    "its log too": _lose("chunk", "log"),
    "all its keys": _lose("chunk", "rows", "log"),
    "all its keys, its job and its place": _lose_all,
}


def _repair(stage: BatchStage) -> list[str]:
    repaired = repair(stage.redis, sleep=lambda _: None)
    assert [finding for finding in repaired.left if finding.repairable] == []
    return [deed for _, deed in repaired.done]


def _half_sent(stage: BatchStage) -> BatchIntake:
    """A batch of two chunks; of the first, four rows are sent, one waits for another try, and two are on their way."""
    stage.transport.answer(*[says(Kind.TRANSIENT)] * 3)
    taken = stage.take(ROWS)
    stage.send(5)
    stage.grant(2)
    return taken


def _told(stage: BatchStage, id: str) -> list[dict[str, str]]:
    return [json.loads(line) for line in report_lines(stage.batches, id, jsonl=True)]


@pytest.mark.parametrize("loss", LOSSES)
def test_the_others_go_on_and_the_batch_ends(stage: BatchStage, loss: str) -> None:
    # Given a batch that is half sent, of which Redis loses a chunk, and mail behind it
    taken = _half_sent(stage)
    before = [out.id for out in stage.transport.sent]
    LOSSES[loss](stage, f"{taken.id}-0")
    behind = stage.queue(lane="bulk")
    # When a worker works, Then what stands behind goes, and the rows of the lost chunk are counted as if they waited
    stage.send_all()
    assert stage.state(behind) is State.SENT
    assert stage.batch(taken).state == "running"
    # When that is repaired, and the leases of those on their way end
    deeds = _repair(stage)
    assert f"of its {CHUNK} rows those have failed that SES is not known to have taken" in deeds[0]
    stage.pass_time(LEASE + 600)
    stage.gate.promote()
    stage.reap(on_unknown="resend")
    stage.pass_time(600)
    stage.gate.promote()
    stage.send_all()
    # Then all rows are accounted for, those of the lost chunk with what a person can do, and the batch is done
    batch = stage.batch(taken)
    assert (batch.state, batch.total) == ("done", ROWS)
    assert stage.counts(taken.id) == stage.fates(taken.id)
    told = _told(stage, taken.id)
    assert [row["id"] for row in told] == [f"{taken.id}-{n // CHUNK}-{n % CHUNK}" for n in range(ROWS)]
    failed = [row for row in told if "rows 1 to 500 of the source" in row["reason"]]
    assert len(failed) >= CHUNK - 7
    assert {row["state"] for row in failed} == {"failed"}
    # and nobody gets it twice
    sent = [out.id for out in stage.transport.sent]
    assert len(sent) == len(set(sent))
    if "log" not in loss and "keys" not in loss:
        assert {row["id"] for row in told if row["state"] == "sent"} >= set(before)
    assert_agreement(stage.redis)
    assert _repair(stage) == []


@pytest.mark.parametrize("end", ["done", "cancelled"])
@pytest.mark.parametrize("loss", LOSSES)
def test_a_batch_that_has_ended_keeps_its_counts(stage: BatchStage, loss: str, end: str) -> None:
    # Given a batch that has ended
    taken = stage.take(ROWS)
    stage.send(5)
    if end == "cancelled":
        stage.batches.cancel(taken.id, "a wrong link")
    stage.send_all()
    counts = stage.counts(taken.id)
    # When Redis loses a chunk of it, and that is repaired
    LOSSES[loss](stage, f"{taken.id}-0")
    _repair(stage)
    # Then its counts are as they were, and nothing of it stays for ever
    assert (stage.batch(taken).state, stage.batch(taken).total) == (end, ROWS)
    if "log" not in loss and "keys" not in loss:
        assert (stage.counts(taken.id), stage.fates(taken.id)) == (counts, counts)
    _told(stage, taken.id)
    assert [key for key in stage.redis.keys(f"*{taken.id}*") if stage.redis.ttl(key) == -1] == []
    assert audit(stage.redis, sleep=lambda _: None) == []


def test_chunks_that_have_expired_before_their_batch_change_no_count(stage: BatchStage) -> None:
    taken = stage.take(ROWS)
    stage.send_all()
    stage.pack()
    LOSSES["all its keys"](stage, f"{taken.id}-0")
    stage.redis.delete(stage.keys.results(f"{taken.id}-0"))
    assert _repair(stage) == []
    assert stage.counts(taken.id) == {"sent": ROWS}


def test_a_chunk_of_which_all_rows_were_left_out_is_not_lost(stage: BatchStage) -> None:
    rows = [{"email": "nobody" if n < CHUNK else f"p{n}@example.org", "name": "N"} for n in range(ROWS)]
    taken = stage.take(0, rows=rows)
    assert_agreement(stage.redis)
    stage.send_all()
    assert stage.counts(taken.id) == {"sent": ROWS - CHUNK}
    assert_agreement(stage.redis)


def test_a_row_that_comes_back_unused_to_a_lost_chunk_is_sent(stage: BatchStage) -> None:
    # Given two rows that were granted, and not started, when their chunk was lost
    taken = stage.take(ROWS)
    stage.ask(2)
    LOSSES["its hash"](stage, f"{taken.id}-0")
    _repair(stage)
    # When their leases end
    stage.pass_time(LEASE + 1)
    stage.reap()
    # Then they go, as it is certain that they were not sent
    stage.send_all()
    assert stage.counts(taken.id) == stage.fates(taken.id) == {"sent": ROWS - CHUNK + 2, "failed": CHUNK - 2}
    assert_agreement(stage.redis)


def _event(stage: BatchStage, id: str, kind: str, message_id: str) -> Handled:
    detail = {"timestamp": "t", "smtpResponse": "250 ok", "recipients": ["p3@example.org"]}
    bounce = {"bounceType": "Permanent", "bounceSubType": "General", "feedbackId": "f",
              "bouncedRecipients": [{"emailAddress": "p3@example.org"}]}  # fmt: skip
    mail = {"messageId": message_id, "destination": ["p3@example.org"], "tags": {"sesq-id": [id]}}
    told = {"eventType": kind, "mail": mail, kind.lower(): bounce if kind == "Bounce" else detail}
    return Feedback(stage.redis, "default").handle(json.dumps(told))


@pytest.mark.parametrize(
    ("kind", "state"), [("Send", "sent"), ("Delivery", "delivered"), ("Bounce", "bounced")]
)
def test_an_event_tells_that_a_row_of_a_lost_chunk_was_sent(stage: BatchStage, kind: str, state: str) -> None:
    # Given a batch of which one row was sent, and its chunk lost, with all that was known of it
    taken = stage.take(ROWS)
    (result,) = stage.send(1)
    id, message_id = result.grant.id, str(result.message_id)
    LOSSES["its log too"](stage, f"{taken.id}-0")
    _repair(stage)
    stage.send_all()
    assert stage.state(id) is State.FAILED
    # When SES tells of it, twice
    assert [_event(stage, id, kind, message_id) for _ in range(2)] == [Handled.APPLIED] * 2
    # Then that row was sent, and is counted once
    stage.pack()
    assert stage.state(id).value == state
    assert stage.fates(taken.id)["failed"] == CHUNK - 1
    assert stage.counts(taken.id) == stage.fates(taken.id)
    assert_agreement(stage.redis)
    # and a second row's event takes nothing from the first
    assert _event(stage, f"{taken.id}-0-7", "Send", "m-7") is Handled.APPLIED
    stage.pack()
    assert stage.fates(taken.id)["failed"] == CHUNK - 2
    assert stage.counts(taken.id) == stage.fates(taken.id)


def test_an_event_of_a_row_that_waits_comes_again(stage: BatchStage) -> None:
    taken = stage.take(ROWS)
    assert _event(stage, f"{taken.id}-0-3", "Send", "m-3") is Handled.EARLY


ROWS_LOST: dict[str, Callable[[bytes], bytes | None]] = {
    "gone": lambda _: None,
    "cut short": lambda rows: rows[:-1],
    "zeros": lambda rows: b"\0" * len(rows),
    "another text": lambda _: b"\xff\xfe",
    "empty": lambda _: b"",
}


@pytest.mark.parametrize("how", ROWS_LOST)
def test_rows_that_cannot_be_read_fail_and_the_others_are_sent(stage: BatchStage, how: str) -> None:
    # Given a batch that is half sent, of which the rows of a chunk cannot be read
    taken = stage.take(ROWS)
    stage.send(5)
    key = stage.keys.rows(f"{taken.id}-0")
    rows = ROWS_LOST[how](cast("bytes", stage.redis.get(key)))
    stage.redis.delete(key) if rows is None else stage.redis.set(key, rows)
    stage.ticks += KEPT_SECONDS + 1  # what the worker remembers of them
    stage.send_all()
    # When that is repaired, and a person lets the batch go on, if it has paused itself
    deeds = _repair(stage)
    assert f"the {CHUNK - 5} who wait in it have failed" in deeds[0]
    if stage.batch(taken).state == "paused":
        stage.batches.resume(taken.id)
    stage.send_all()
    # Then the rows of the other chunk are sent, and those have failed, with what a person can do
    assert stage.batch(taken).state == "done"
    assert stage.counts(taken.id) == stage.fates(taken.id) == {"sent": ROWS - CHUNK + 5, "failed": CHUNK - 5}
    reasons = {row["reason"] for row in _told(stage, taken.id) if row["state"] == "failed"}
    assert ["was not sent" in reason and "rows 1 to 500" in reason for reason in reasons] == [True]
    assert_agreement(stage.redis)


def test_rows_of_another_version_stay_as_they_are(stage: BatchStage) -> None:
    taken = stage.take(3)
    key = stage.keys.rows(f"{taken.id}-0")
    rows = zlib.compress(b'{"v":2,"names":[],"rows":[]}')
    stage.redis.set(key, rows)
    assert _repair(stage) == []
    assert stage.redis.get(key) == rows
    assert stage.counts(taken.id) == {"queued": 3}


REPAIRS: dict[str, tuple[str, dict[str, str]]] = {
    "its hash": ("it is written anew", {"batch": "another repair wrote it"}),
    "its rows": ("who wait in it have failed", {"cursor": "7"}),
}
"""Loss -> what its repair tells, and what another one writes into the chunk."""


@pytest.mark.parametrize("moment", ["watch", "exists", "hget", "multi", "execute"])
@pytest.mark.parametrize("loss", REPAIRS)
def test_of_two_repairs_at_once_the_second_writes_nothing_over_the_first(
    stage: BatchStage, redis_server: EmbeddedRedis, monkeypatch: pytest.MonkeyPatch, loss: str, moment: str
) -> None:
    # Given a chunk that is lost, and a second repair that is faster, at any moment of the first
    told, written = REPAIRS[loss]
    taken = stage.take(ROWS)
    chunk = f"{taken.id}-0"
    _lose("chunk" if loss == "its hash" else "rows")(stage, chunk)
    other, done = connect(redis_server.url), []
    step = getattr(Pipeline, moment)

    def faster(pipeline: Any, *args: Any, **options: Any) -> Any:
        if (pipeline.watching or moment == "watch") and not done:
            done.append(other.hset(stage.keys.chunk(chunk), mapping=written))
        return step(pipeline, *args, **options)

    monkeypatch.setattr(Pipeline, moment, faster)
    # When both repair
    deeds = "; ".join(deed for _, deed in repair(stage.redis, sleep=lambda _: None).done)
    # Then the first one sees that it was late, if that moment was one of its own
    assert (told in deeds) is not done
    monkeypatch.undo()
    if done:
        kept = {name: stage.redis.hget(stage.keys.chunk(chunk), name) for name in written}
        assert {name: value.decode() for name, value in kept.items() if value} == written
    other.close()
