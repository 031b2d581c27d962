"""All that changes in Redis when workers tidy up: lists of what has expired, and batches that have ended."""

from __future__ import annotations

from scene import Scene
from sesq.producer.batch.batch_intake import ADD_CHUNK, CLOSE_BATCH, OPEN_BATCH
from sesq.queue.batch_upkeep import KEEP, PACK
from sesq.queue.batches import BATCH_CHANGE
from sesq.queue.messages import PRUNE
from sesq.queue.states import State

URGENT = "sesq.default.transactional"


def sent(scene: Scene) -> str:
    """A mail whose entry in RQ's registry says that its record has expired."""
    grant = scene.granted()
    scene.settle(grant, State.SENT, "m-1", message_id="m-1", attempts=1)
    scene.redis.zadd(f"rq:finished:{URGENT}", {grant.id: 1})
    scene.see()
    return grant.id


def test_a_record_has_expired(scene: Scene) -> None:
    id = sent(scene)
    scene.redis.delete(scene.keys.message(id))
    scene.see()
    assert PRUNE.run(scene.redis, "default", 100, 0, URGENT) == [1, 0]
    scene.expect("""
        - rq:finished:transactional <1> = 1.0
        - state:sent <1> = now
    """)


def test_a_record_stays_longer_than_its_entry_says(scene: Scene) -> None:
    id = sent(scene)
    scene.redis.expire(scene.keys.message(id), 30 * 86_400)
    scene.see()
    assert PRUNE.run(scene.redis, "default", 1, 0, URGENT) == [0, 1]
    scene.expect("""
        ~ rq:finished:transactional <1> = 1.0 -> real+30d
    """)


def test_rq_took_the_entry_of_an_expired_record_out(scene: Scene) -> None:
    id = sent(scene)
    scene.redis.zrem(f"rq:finished:{URGENT}", id)
    scene.redis.delete(scene.keys.message(id))
    scene.see()
    assert PRUNE.run(scene.redis, "default", 100, 1, URGENT) == [1, 0]
    scene.expect("""
        + pruning bounced = 0
        + pruning cancelled = 0
        + pruning complained = 0
        + pruning delivered = 0
        + pruning expired = 0
        + pruning failed = 0
        + pruning refused = 0
        + pruning sent = 0
        + pruning suppressed = 0
        - state:sent <1> = now
    """)


def test_an_ended_batch_of_many_chunks_expires_in_two_steps(scene: Scene) -> None:
    described = ("name", "news", "envelope", "{}", "queue", "sesq.default.bulk", "keep", 3600)
    OPEN_BATCH.run(scene.redis, "default", "b", "template", "", "", "", "", "", *described)
    for number in range(101):
        rows = int(number in (0, 99, 100))
        ADD_CHUNK.run(scene.redis, "default", "b", number, "rows", rows, 0, "", "", "origin", "x")
    CLOSE_BATCH.run(scene.redis, "default", "b")
    scene.see()
    BATCH_CHANGE.run(scene.redis, "default", "b", "cancel", "a wrong link")
    scene.expect("""
        + batch:b ended = now
        + batch:b kept = 100
        + batch:b n:cancelled = 3
        ~ batch:b n:waiting = 3 -> 0
        ~ batch:b reason = '' -> a wrong link
        ~ batch:b state = running -> cancelled
        + chunk:b-0 TTL = 60min
        + chunk:b-99 TTL = 60min
        + keeping b = in it
        + rows:b-0 TTL = 60min
        + rows:b-99 TTL = 60min
        ! wake = ''
    """)
    assert KEEP.run(scene.redis, "default") == 0
    scene.expect("""
        + batch:b TTL = 60min
        - batch:b kept = 100
        + chunk:b-100 TTL = 60min
        - keeping b = in it
        + rows:b-100 TTL = 60min
        + template:b TTL = 60min
    """)
    assert KEEP.run(scene.redis, "default") == 0
    scene.expect("")


def test_a_batch_that_is_to_expire_is_gone(scene: Scene) -> None:
    scene.redis.sadd(scene.keys.keeping, "gone", "also")
    scene.see()
    assert KEEP.run(scene.redis, "default") == 1
    assert KEEP.run(scene.redis, "default") == 0
    scene.expect("""
        - keeping also = in it
        - keeping gone = in it
    """)


def test_results_are_packed_unless_there_are_new_ones(scene: Scene) -> None:
    scene.redis.set(scene.keys.log("b-0"), "1 0:m-1\n", ex=3600)
    scene.redis.sadd(scene.keys.unpacked, "b-0", "b-1")
    scene.see()
    assert PACK.run(scene.redis, "default", "b-0", 7, "packed") == 0
    scene.expect("")
    assert PACK.run(scene.redis, "default", "b-0", 8, "packed") == 1
    scene.expect("""
        - log:b-0 = 1 0:m-1
        - log:b-0 TTL = 60min
        + results:b-0 = packed
        + results:b-0 TTL = 60min
        - unpacked b-0 = in it
    """)
    # of a chunk of which nothing was sent nothing is kept
    assert PACK.run(scene.redis, "default", "b-1", 0, "packed") == 1
    scene.expect("""
        - unpacked b-1 = in it
    """)


def test_a_batch_goes_on_although_it_had_ended(scene: Scene) -> None:
    scene.take(1)
    grant = scene.started()
    scene.settle(grant, State.FAILED, attempts=8)
    scene.see()
    scene.messages.retry(grant.id, "ada")
    scene.expect("""
        - batch:<b> TTL = 14d
        - batch:<b> ended = now
        ~ batch:<b> n:failed = 1 -> 0
        + batch:<b> n:queued = 1
        ~ batch:<b> state = done -> running
        - chunk:<b>-0 TTL = 14d
        - content:<b>-0-0 TTL = 14d
        + counters queued = 1
        - materialized:<b> TTL = 14d
        - message:<b>-0-0 TTL = 14d
        ~ message:<b>-0-0 attempts = 8 -> 0
        + message:<b>-0-0 checked = now
        + message:<b>-0-0 history 3 = [now,"queued","queued again by ada"]
        ~ message:<b>-0-0 reason = Because. -> queued again by ada
        ~ message:<b>-0-0 state = failed -> queued
        - rows:<b>-0 TTL = 14d
        - rq:failed:bulk <b>-0-0 = real+14d
        - rq:job:<b>-0-0 TTL = 14d
        ~ rq:job:<b>-0-0 status = failed -> queued
        + rq:queue:bulk = <b>-0-0
        - state:failed <b>-0-0 = now
        + state:queued <b>-0-0 = now
        - template:<b> TTL = 14d
        ! wake = ''
    """)
