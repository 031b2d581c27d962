"""All that changes in Redis when a claim meets, at the head of a lane, a chunk or a record that belongs elsewhere."""

from __future__ import annotations

import pytest

from scene import Scene, at
from sesq.queue.gate import CLAIM
from sesq.queue.states import Lane, State

URGENT, BULK = "rq:queue:sesq.default.transactional", "rq:queue:sesq.default.bulk"


@pytest.fixture
def chunk(scene: Scene) -> str:
    """A chunk of two rows."""
    return f"{scene.take(2).id}-0"


def test_a_chunk_stands_in_the_other_lane_too(scene: Scene, chunk: str) -> None:
    scene.redis.rpush(URGENT, chunk)
    scene.see()
    scene.ask(lanes=(Lane.TRANSACTIONAL,))
    scene.expect("""
        + gate claims = 1
        - rq:queue:transactional = <b>-0
    """)


def test_rq_has_queued_a_chunk_that_was_sent(scene: Scene, chunk: str) -> None:
    for started in scene.claim(2)[1]:
        scene.settle(started.grant, State.SENT, message_id="m")
    scene.redis.rpush(BULK, chunk)
    scene.redis.hset(f"rq:job:{chunk}", "status", "queued")
    scene.redis.zrem("rq:finished:sesq.default.bulk", chunk)
    scene.see()
    scene.ask()
    scene.expect("""
        ~ gate claims = 1 -> 2
        + rq:finished:bulk <b>-0 = real+14d
        ~ rq:job:<b>-0 status = queued -> finished
        - rq:queue:bulk = <b>-0
    """)


def test_a_chunk_is_damaged(scene: Scene, chunk: str) -> None:
    scene.redis.hset(scene.keys.chunk(chunk), "redo", "5-1")
    scene.redis.hset(scene.keys.chunk(chunk), "cursor", 2)
    scene.redis.hset(scene.keys.chunk(chunk), "out", 1)
    scene.see()
    scene.ask()
    scene.expect("""
        ~ batch:<b> jobs = 1 -> 0
        ~ chunk:<b>-0 place = queued -> sending
        ~ chunk:<b>-0 redo = 5-1 -> ''
        + damaged sesq:default:chunk:<b>-0 = [now,"its field redo is no list of rows: those rows are not sent"]
        + gate claims = 1
        ~ rq:job:<b>-0 status = queued -> started
        + rq:job:<b>-0 worker_name = ''
        - rq:queue:bulk = <b>-0
        + rq:wip:bulk <b>-0:rows = inf
    """)


def test_the_number_of_a_chunks_rows_is_damaged(scene: Scene, chunk: str) -> None:
    scene.redis.hset(scene.keys.chunk(chunk), "n", "many")
    scene.see()
    assert scene.ask().unknown_jobs == (chunk,)
    scene.expect("""
        + damaged sesq:default:chunk:<b>-0 = [now,"a number of it is damaged: its recipients are not sent"]
        + gate claims = 1
        - rq:queue:bulk = <b>-0
    """)


def test_the_state_of_a_batch_is_lost(scene: Scene, chunk: str) -> None:
    scene.redis.hdel(scene.keys.batch(chunk[:-2]), "state")
    scene.see()
    scene.ask()
    scene.expect("""
        ~ batch:<b> jobs = 1 -> 0
        ~ chunk:<b>-0 place = queued -> held
        + damaged sesq:default:batch:<b> = [now,"its state is lost: it counts as paused"]
        + gate claims = 1
        + parked:<b> = <b>-0
        + rq:deferred:bulk <b>-0 = now
        ~ rq:job:<b>-0 status = queued -> deferred
        + rq:job:<b>-0 worker_name = ''
        - rq:queue:bulk = <b>-0
    """)


def test_tokens_gather_for_what_was_cancelled(scene: Scene) -> None:
    """Then other mail goes at once."""
    scene.sync(rate=14.0)
    scene.pass_time(10)
    scene.queue()
    scene.ask()
    scene.pass_time(0.2)
    many = scene.queue([f"p{i}@example.org" for i in range(20)])
    scene.ask()
    scene.queue()
    scene.messages.cancel(many, "ada")
    scene.see()
    assert len(scene.ask().ids) == 1
    scene.expect("""
        ~ counters sending = 1 -> 2
        ~ gate at = now-0.2 -> now
        ~ gate claims = 2 -> 3
        ~ gate folds_at = now+0.3 -> now+0.5
        ~ gate gathers = now+1.571572 20 transactional <2> -> ''
        ~ gate left:transactional = now-0.2 -> now
        ~ gate on_way = 1 -> 2
        ~ gate total = 1 -> 2
        + leases <3> = now+30
        ~ ledger minute now-33.2 = 1 -> 2
        + message:<3> claim_id = x-3
        + message:<3> claimed = now
        + message:<3> history 1 = [now,"sending","w"]
        + message:<3> reason = w
        + message:<3> started_at = ''
        ~ message:<3> state = queued -> sending
        + message:<3> tokens_at = now
        + message:<3> worker = w
        ~ rq:job:<3> status = queued -> started
        + rq:job:<3> worker_name = w
        - rq:queue:transactional = <3>
        + rq:wip:transactional <3>:x-3 = inf
        - state:queued <3> = now
        + state:sending <3> = now
        - token_waiters w = now+0.071572
    """)


def test_a_claim_for_the_other_lane_waits_for_what_tokens_gather_for(scene: Scene) -> None:
    scene.sync(rate=14.0)
    scene.pass_time(10)
    scene.queue()
    scene.ask()
    scene.pass_time(0.2)
    scene.queue([f"p{i}@example.org" for i in range(20)])
    scene.ask()
    scene.queue(lane="bulk")
    scene.see()
    claim = scene.ask(worker="bulk", lanes=(Lane.BULK,))
    assert (claim.reason, round(claim.wait, 3)) == ("rate", 1.503)
    scene.expect("""
        ~ gate claims = 2 -> 3
        + token_waiters:bulk bulk = now+1.503006
    """)


def test_more_has_to_be_moved_out_of_the_way_than_one_claim_may(scene: Scene) -> None:
    for _ in range(101):
        scene.queue(expires_at=at(scene.now + 1))
    scene.pass_time(1)
    assert (scene.ask().reason, scene.redis.llen(URGENT)) == ("more", 1)
    assert (scene.ask().reason, scene.redis.llen(URGENT)) == ("empty", 0)


def test_suppressed_addresses_are_counted_in_the_answer(scene: Scene) -> None:
    scene.redis.hset(scene.keys.suppression, "ada@example.org", "{}")
    answer = CLAIM.run(scene.redis, "default", "w", 1, 30, "x", "sesq.default.bulk")
    assert answer == [b"empty", b"0.000000", [], [], 1, 0]
