"""A settle call that fails half-way: what was settled stays so, and nothing is given back twice."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import pytest
from redis import Redis

from agreement import assert_agreement
from batch_stage import BatchStage
from books import assert_sum, total
from redis_user import EVERYTHING, limited_client
from sesq.config.embedded import EmbeddedRedis
from sesq.config.errors import QueueUnavailable
from sesq.queue import gate
from sesq.queue.audit import repair
from sesq.queue.damage import read_damage
from sesq.queue.gate import Gate
from sesq.queue.grants import Grant
from sesq.queue.results import SendResult, put_back
from sesq.queue.scripts import Script
from sesq.queue.states import State
from sesq.worker.sending import BLIP_TRIES
from sesq.worker.verdicts import Kind
from stage import Stage, says, sent

UNREADABLE = "unreadable"
FAULT = f"""
local readable = tonumber
local tonumber = function (given)
  if given == '{UNREADABLE}' then return given + 1 end
  return readable(given)
end
"""
"""Before a script: it fails by a fault of its own as soon as it reads a field with that value as a number."""


@pytest.fixture
def stage(redis: Redis) -> Stage:
    """100 a second, of which 50 tokens are there."""
    return Stage(redis)


@pytest.fixture
def claimed(stage: Stage) -> Sequence[Grant]:
    """Three messages to two recipients each, that are on their way."""
    for number in range(3):
        stage.queue([f"a{number}@example.org", f"b{number}@example.org"])
    claim, started = stage.claim()
    assert len(started) == 3
    assert total(stage.redis) == 6
    return claim.grants


@pytest.fixture
def faulty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Settle fails by a fault of its own on a record that has the value UNREADABLE."""
    text = FAULT + gate.SETTLE.text
    digest = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()
    monkeypatch.setattr(gate, "SETTLE", Script(text, digest))


def level(redis: Redis) -> float:
    """Our bucket's tokens, as the hash `gate` has them."""
    return float(redis.hget("sesq:default:gate", "level") or 0)


FIELDS = {
    "given back": ("rate", "claimed", "created"),
    "sent": ("rate", "claimed", "created", "keep"),
    "failed": ("rate", "claimed", "created", "keep"),
}
"""By result: what settling reads as a number of a record."""


@pytest.mark.parametrize(
    ("result", "field"), [(result, field) for result in FIELDS for field in FIELDS[result]]
)
@pytest.mark.usefixtures("faulty")
def test_a_damaged_record_ends_alone(stage: Stage, claimed: Sequence[Grant], result: str, field: str) -> None:
    # Given three messages on their way, and the record of the second damaged
    first, bad, last = claimed
    before = level(stage.redis)
    stage.redis.hset(stage.keys.message(bad.id), field, UNREADABLE)
    failed = SendResult(bad, State.FAILED, "Because.", refund_rate=True, refund_day=True)
    told = {"given back": put_back(bad, "late"), "sent": sent(bad), "failed": failed}[result]
    # When all are settled at once
    states = stage.gate.settle([put_back(first, "late"), told, put_back(last, "late")])
    # Then the others have come to their states, and the damage is named
    assert states == [State.QUEUED, None, State.QUEUED]
    assert [stage.redis.hget(stage.keys.message(each.id), "state") for each in (first, last)] == [
        b"queued"
    ] * 2
    assert stage.keys.message(bad.id) in {damage.what for damage in read_damage(stage.redis, "default")}
    # and what the others took is given back, once, however often it is told
    books = level(stage.redis), total(stage.redis)
    assert before + 4 <= books[0] <= before + (4 if result == "sent" else 6)
    assert (2 if result == "sent" else 0) <= books[1] <= 2
    stage.gate.settle([put_back(first, "late"), told, put_back(last, "late")])
    assert (level(stage.redis), total(stage.redis)) == books
    assert_sum(stage.redis)


def test_a_record_of_a_damaged_batch_stops_no_other(redis: Redis) -> None:
    # Given a recipient of a batch that is on its way with a record of its own, and two messages
    stage = BatchStage(redis)
    taken = stage.take(1)
    stage.transport.answer(*[says(Kind.TRANSIENT)] * BLIP_TRIES)
    assert [result.state for result in stage.send(1)] == [State.RETRYING]
    stage.pass_time(100)
    stage.gate.promote()
    stage.queue()
    stage.queue()
    claim, _ = stage.claim()
    (bad,) = (grant for grant in claim.grants if grant.id.startswith(taken.id))
    first, last = (grant for grant in claim.grants if grant is not bad)
    before = level(redis), total(redis)
    # When its batch is cancelled, and loses why, and all come back
    stage.batches.cancel(taken.id, "a wrong link")
    redis.hdel(stage.keys.batch(taken.id), "reason")
    results = [put_back(grant, "late") for grant in (first, bad, last)]
    states = stage.gate.settle(results)
    # Then the others have come back, it is cancelled or named as damaged, and all is given back once
    assert (states[0], states[2]) == (State.QUEUED, State.QUEUED)
    damaged = {damage.what for damage in read_damage(redis, "default")}
    assert states[1] is State.CANCELLED or stage.keys.message(bad.id) in damaged
    books = level(redis), total(redis)
    assert before[0] + 2 <= books[0] <= before[0] + 3
    assert before[1] - 3 <= books[1] <= before[1] - 2
    stage.gate.settle(results)
    assert (level(redis), total(redis)) == books


DENIALS = {
    **{
        f"no {command}": (*EVERYTHING, f"-{command}")
        for command in ("hincrbyfloat", "hincrby", "zadd", "zrem")
    },
    "no expire": (*EVERYTHING, "-expire"),
    "nothing of RQ's": ("~sesq:*", "allchannels", "+@all"),
}


@pytest.mark.parametrize("denial", DENIALS)
def test_what_redis_refuses_half_way_is_given_back_once(
    stage: Stage, claimed: Sequence[Grant], redis_server: EmbeddedRedis, denial: str
) -> None:
    # Given three results, of which two give back all, and one the half of what was taken
    before = level(stage.redis)
    half = SendResult(
        claimed[1], State.SENT, "m", message_id="m", attempts=1, spared=(1, 1), drop_content=True
    )
    results = [put_back(claimed[0], "late"), half, put_back(claimed[2], "late")]
    # When a worker tells them, without a right that settling needs, and again when it has that right
    with (
        limited_client(stage.redis, redis_server.url, DENIALS[denial]) as limited,
        pytest.raises(QueueUnavailable),
    ):
        Gate(limited).settle(results)
    for _ in range(2):
        stage.gate.settle(results)
    # Then each has come to its state, and has given back what it did not use, once
    assert [stage.state(grant.id) for grant in claimed] == [State.QUEUED, State.SENT, State.QUEUED]
    assert level(stage.redis) == before + 5
    assert total(stage.redis) == 1
    assert_sum(stage.redis)
    # and the auditor mends the entries of sets that could not be written
    assert repair(stage.redis, sleep=lambda _: None).left == []
    assert_agreement(stage.redis, settled=False)
