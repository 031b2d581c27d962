"""Nothing stays in Redis for ever: lists do not outlive their records, and what has ended has an expiry."""

from __future__ import annotations

import json
from datetime import datetime, timezone

import pytest
from redis import Redis

from batch_stage import BatchStage
from sesq.console.audit import Audit
from sesq.queue.states import Lane, State
from sesq.worker.events.feedback import Feedback
from sesq.worker.verdicts import Kind
from stage import says

LONGEST_HISTORY_BYTES = 16_000


@pytest.fixture
def stage(redis: Redis) -> BatchStage:
    return BatchStage(redis)


def expire_records(stage: BatchStage, *ids: str) -> None:
    """As if the time had come for which they are kept: the records are gone, and RQ's registries say so."""
    stage.redis.delete(*(stage.keys.message(id) for id in ids))
    for lane in Lane:
        for registry in ("finished", "failed", "canceled"):
            for id in ids:
                stage.redis.zadd(f"rq:{registry}:{stage.keys.queue(lane)}", {id: 1}, xx=True)


def registered(stage: BatchStage, registry: str) -> list[bytes]:
    return [
        id for lane in Lane for id in stage.redis.zrange(f"rq:{registry}:{stage.keys.queue(lane)}", 0, -1)
    ]


def test_rqs_registries_are_cleaned_without_a_worker_of_rqs(stage: BatchStage) -> None:
    # Given mail that has been sent, refused and cancelled, some of which is to be kept no longer
    sent, kept, refused, cancelled = (stage.queue() for _ in range(4))
    stage.messages.cancel(cancelled, "somebody")
    stage.transport.answer("a", "b", says(Kind.REFUSED))
    stage.work()
    expire_records(stage, sent, refused, cancelled)
    # When the lists are tended
    stage.messages.prune()
    # Then neither our lists nor RQ's name it any more
    assert registered(stage, "finished") == [kept.encode()]
    assert registered(stage, "failed") == registered(stage, "canceled") == []
    assert sum(stage.messages.counts().values()) == 1


def test_a_record_that_stays_longer_than_its_job_stays_in_the_registry(stage: BatchStage) -> None:
    id = stage.queue()
    stage.work()
    stage.redis.zadd(f"rq:finished:{stage.keys.queue(Lane.TRANSACTIONAL)}", {id: 1})
    stage.messages.prune()
    assert registered(stage, "finished") == [id.encode()]
    assert stage.state(id) is State.SENT


@pytest.mark.parametrize("rq_has_cleaned", [False, True])
def test_what_is_kept_for_long_stands_in_no_ones_way(stage: BatchStage, *, rq_has_cleaned: bool) -> None:
    # Given 600 sent messages that are kept, and younger ones whose records have expired
    kept = [f"kept-{number}" for number in range(600)]
    stage.redis.zadd(stage.keys.state(State.SENT), {id: number for number, id in enumerate(kept)})
    for id in kept:
        stage.redis.hset(stage.keys.message(id), mapping={"state": "sent", "created": 1, "since": 1})
    gone = [stage.queue() for _ in range(60)]
    while stage.work():
        stage.pass_time(1)
    expire_records(stage, *gone)
    if rq_has_cleaned:
        stage.redis.delete(f"rq:finished:{stage.keys.queue(Lane.TRANSACTIONAL)}")
    # Then a list shows what is there
    assert len(stage.messages.list(limit=50)) == 50
    # and the others leave it in time
    for _ in range(10):
        stage.messages.prune()
    assert stage.messages.counts()[State.SENT] == 600


@pytest.mark.parametrize("how", ["sent", "cancelled"])
def test_what_has_ended_expires_no_more(stage: BatchStage, how: str) -> None:
    id = stage.queue(expires_at=datetime.fromtimestamp(stage.now + 600, timezone.utc))
    assert stage.redis.zcard(stage.keys.expiring) == 1
    if how == "sent":
        stage.work()
    else:
        stage.messages.cancel(id, "somebody")
    assert stage.redis.zcard(stage.keys.expiring) == 0


def test_what_was_delivered_of_a_batch_is_forgotten_with_it(stage: BatchStage) -> None:
    # Given a batch that is done, whose mail is delivered before and after its end
    id = stage.take(2).id
    stage.send(1)
    stage.batches.mark_delivered(f"{id}-0-0", "m-1")
    stage.send_all()
    assert stage.batches.get(id).ended is not None
    assert stage.redis.ttl(stage.keys.arrived(f"{id}-0")) > 0
    # and of another one all after it
    other = stage.take(1, key="other").id
    stage.send_all()
    stage.batches.mark_delivered(f"{other}-0-0", "m-1")
    assert stage.redis.ttl(stage.keys.arrived(f"{other}-0")) > 0


def test_rqs_result_of_a_run_goes_with_the_record(stage: BatchStage) -> None:
    id = stage.queue()
    stage.work()
    record, result = stage.redis.ttl(stage.keys.message(id)), stage.redis.ttl(f"rq:results:{id}")
    assert result > 0
    assert abs(record - result) < 60


def test_a_history_does_not_grow_without_end(stage: BatchStage) -> None:
    id = stage.queue()
    for number in range(400):
        stage.messages.reschedule(id, stage.now + 1000 + number, "somebody with a long name, again and again")
    history = stage.redis.hget(stage.keys.message(id), "history")
    assert history is not None
    assert len(history) < LONGEST_HISTORY_BYTES
    assert len(stage.status(id).history) > 20
    assert stage.status(id).history[-1].state is State.SCHEDULED


def test_a_batch_with_a_recipient_of_whom_nobody_knows_is_not_done(stage: BatchStage) -> None:
    # Given a batch of which one recipient is unknown
    id = stage.take(2).id
    stage.transport.answer("a", says(Kind.UNKNOWN))
    stage.send(2)
    (unknown,) = stage.messages.list([State.UNKNOWN])
    # Then it is not done, and nothing of it expires
    assert (stage.batches.get(id).state, stage.batches.get(id).ended) == ("running", None)
    assert stage.redis.ttl(stage.keys.batch(id)) == -1
    # until somebody has settled that
    stage.messages.resolve(unknown.id, "sent", "somebody")
    assert stage.batches.get(id).state == "done"
    assert stage.redis.ttl(stage.keys.batch(id)) > 0


def test_a_batch_of_which_one_is_tried_again_goes_on_and_can_be_paused(stage: BatchStage) -> None:
    # Given a batch that is done, since SES has refused one of two
    id = stage.take(2).id
    stage.transport.answer("a", says(Kind.REFUSED))
    stage.send(2)
    (refused,) = stage.messages.list([State.REFUSED])
    assert (stage.batches.get(id).state, stage.redis.ttl(stage.keys.batch(id)) > 0) == ("done", True)
    # When somebody tries that one again, then the batch goes on, none of it expires, and it can be paused
    stage.messages.retry(refused.id, "ada")
    assert (stage.batches.get(id).state, stage.batches.get(id).ended) == ("running", None)
    assert stage.redis.ttl(stage.keys.batch(id)) == -1
    stage.batches.pause(id, "a wrong link")
    stage.send(2)
    assert stage.status(refused.id).reason == "its batch is paused: a wrong link"
    # And once that has been sent too, it is done
    stage.batches.resume(id)
    stage.pack()
    stage.batches.free_resumed(id)
    stage.send(2)
    assert (stage.batches.get(id).state, stage.fates(id)) == ("done", {"sent": 2})


MOST_ENTRIES = 1000
"""Of a list that is kept for people: the newest so many."""


@pytest.mark.parametrize("key", ["policy_history", "audit", "poison"])
def test_what_is_written_down_for_people_is_kept_in_bounds(stage: BatchStage, key: str) -> None:
    # Given a list that is as long as it may become
    name = getattr(stage.keys, key)
    stage.redis.rpush(name, *(json.dumps({"number": number}) for number in range(MOST_ENTRIES)))
    # When one more is written down
    if key == "policy_history":
        stage.policy.set({"rate": "5"}, by="ada")
    elif key == "audit":
        Audit(stage.redis, "default").note("ada", "send")
    else:
        Feedback(stage.redis, "default").handle("no event")
    # Then the oldest one goes
    assert stage.redis.llen(name) == MOST_ENTRIES
    assert json.loads(stage.redis.lindex(name, 1) or b"{}") == {"number": 0}
    assert json.loads(stage.redis.lindex(name, -1) or b"{}") == {"number": MOST_ENTRIES - 2}
