"""All that changes in Redis when a script meets something that is damaged, or lost."""

from __future__ import annotations

import pytest

from scene import Scene
from sesq.producer.batch.batch_intake import ADD_CHUNK, OPEN_BATCH
from sesq.queue.careful_redis import SET_ASIDE


def test_a_key_of_another_type_is_set_aside(scene: Scene) -> None:
    scene.redis.set(scene.keys.holds, "no hash")
    scene.see()
    SET_ASIDE.run(scene.redis, "default", scene.keys.holds, "string")
    SET_ASIDE.run(scene.redis, "default", scene.keys.blocks, "hash")
    scene.expect("")
    SET_ASIDE.run(scene.redis, "default", scene.keys.holds, "hash")
    scene.expect("""
        + damaged sesq:default:holds = [now,"it is a string, which sesq does not keep there"]
        + damaged:sesq:default:holds = no hash
        + damaged:sesq:default:holds TTL = 14d
        - holds = no hash
    """)


def test_a_record_of_another_type_is_set_aside_and_shown_as_failed(scene: Scene) -> None:
    id = scene.queue()
    scene.redis.delete(scene.keys.message(id))
    scene.redis.set(scene.keys.message(id), "no hash")
    scene.see()
    scene.ask()
    scene.expect("""
        + content:<1> TTL = 14d
        + counters failed = 1
        + damaged sesq:default:message:<1> = [now,"it is a string, which sesq does not keep there"]
        + damaged:sesq:default:message:<1> = no hash
        + damaged:sesq:default:message:<1> TTL = 14d
        + gate claims = 1
        ~ message:<1> = no hash -> all of it
        + message:<1> TTL = 14d
        + message:<1> created = now
        + message:<1> history 0 = [now,"failed","its record in Redis was damaged: it is a string, wh… (96)
        + message:<1> keep = 1209600
        + message:<1> queue = transactional
        + message:<1> reason = its record in Redis was damaged: it is a string, which sesq does n… (79)
        + message:<1> since = now
        + message:<1> state = failed
        + rq:failed:transactional <1> = real+14d
        + rq:job:<1> TTL = 14d
        ~ rq:job:<1> status = queued -> failed
        + rq:job:<1> worker_name = ''
        - rq:queue:transactional = <1>
        + state:failed <1> = now
        - state:queued <1> = now
    """)


def test_the_books_are_of_another_type(scene: Scene) -> None:
    scene.queue()
    scene.redis.delete(scene.keys.gate)
    scene.redis.set(scene.keys.gate, "no hash")
    scene.redis.hset(scene.keys.sync, "until", scene.now)
    scene.see()
    assert scene.ask().reason == "unsynced"
    scene.expect("""
        + damaged sesq:default:gate = [now,"it is a string, which sesq does not keep there"]
        + damaged:sesq:default:gate = no hash
        + damaged:sesq:default:gate TTL = 14d
        ~ gate = no hash -> all of it
        + gate at = now
        + gate born = now
        + gate folded = 0
        + gate folded_before = 0
        + gate folds_at = now
        + gate gathers = ''
        + gate level = 0
        + gate minute = now-22
        + gate on_way = 0
        + gate ses_at = now
        + gate ses_level = 0
        + gate total = 0
        ~ snapshot server = <run> -> lost
        - sync = all of it
    """)


def test_a_counter_is_no_number(scene: Scene) -> None:
    scene.redis.hset(scene.keys.gate, "claims", "many")
    scene.see()
    scene.ask()
    scene.expect("""
        + damaged sesq:default:gate = [now,"its field claims is no number, or too large a one"]
        ~ gate claims = many -> 1
    """)


def test_the_ledger_was_deleted(scene: Scene) -> None:
    """What is granted next is all that the books know; SES is asked before more goes."""
    scene.queue(["ada@example.org", "bob@example.org"])
    scene.ask()
    scene.queue()
    scene.redis.hset(scene.keys.sync, "until", scene.now)
    scene.redis.delete(scene.keys.ledger)
    scene.see()
    scene.ask()
    scene.expect("""
        ~ counters sending = 1 -> 2
        ~ gate claims = 1 -> 2
        ~ gate level = 48 -> 47
        ~ gate on_way = 2 -> 3
        ~ gate total = 2 -> 1
        + leases <2> = now+30
        + ledger minute now-22 = 1
        + message:<2> claim_id = x-2
        + message:<2> claimed = now
        + message:<2> history 1 = [now,"sending","w"]
        + message:<2> reason = w
        + message:<2> started_at = ''
        ~ message:<2> state = queued -> sending
        + message:<2> tokens_at = now
        + message:<2> worker = w
        ~ rq:job:<2> status = queued -> started
        + rq:job:<2> worker_name = w
        - rq:queue:transactional = <2>
        + rq:wip:transactional <2>:x-2 = inf
        ~ snapshot server = <run> -> lost
        - state:queued <2> = now
        + state:sending <2> = now
        - sync = all of it
    """)


@pytest.mark.parametrize(("field", "again"), [("minute", "now-22"), ("total", "0")])
def test_the_books_are_no_numbers(scene: Scene, field: str, again: str) -> None:
    scene.redis.hset(scene.keys.gate, field, "many")
    scene.see()
    scene.ask()
    scene.expect(f"""
        + damaged sesq:default:gate = [now,"minute or total is no number"]
        ~ gate {field} = many -> {again}
        ~ snapshot server = <run> -> lost
    """)


def test_the_number_of_a_batchs_chunks_is_damaged(scene: Scene) -> None:
    batch = scene.take(1).id
    scene.redis.hset(scene.keys.batch(batch), "chunks", "many")
    scene.see()
    assert OPEN_BATCH.run(scene.redis, "default", batch, "", "", "", "", "", "", "name", "news")[0] == -1
    assert ADD_CHUNK.run(scene.redis, "default", batch, 1, "rows", 1, 0, "", "", "origin", "x") == b"damaged"
    scene.expect("""
        + damaged sesq:default:batch:<b> = [now,"its field chunks is no number: no rows are added to it"]
    """)


def test_the_state_of_a_batch_and_the_place_of_a_chunk_are_unknown(scene: Scene) -> None:
    first, second = scene.take(1, key="1").id, scene.take(1, key="2").id
    scene.state_of_redis.names[second] = "<c>"
    scene.redis.hset(scene.keys.batch(first), "state", "dreaming")
    scene.redis.hset(scene.keys.chunk(f"{second}-0"), "place", "elsewhere")
    scene.see()
    scene.ask()
    scene.expect("""
        ~ batch:<b> jobs = 1 -> 0
        ~ chunk:<b>-0 place = queued -> held
        + damaged sesq:default:batch:<b> = [now,"its state is dreaming, which this version of sesq does not k… (92)
        + damaged sesq:default:chunk:<c>-0 = [now,"its place is elsewhere, which this version of sesq does not … (72)
        + gate claims = 1
        + parked:<b> = <b>-0
        + rq:deferred:bulk <b>-0 = now
        ~ rq:job:<b>-0 status = queued -> deferred
        + rq:job:<b>-0 worker_name = ''
        - rq:queue:bulk = <b>-0, <c>-0
    """)
