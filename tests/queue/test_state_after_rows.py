"""All that changes in Redis when it is settled that rows of a batch were sent, or were not needed."""

from __future__ import annotations

import pytest

from scene import Scene
from sesq.queue.grants import Grant
from sesq.queue.results import put_back
from sesq.queue.states import State


@pytest.fixture
def rows(scene: Scene) -> list[Grant]:
    """Two of three rows, started."""
    scene.take(3)
    grants = [started.grant for started in scene.claim(2)[1]]
    scene.see()
    return grants


def test_a_row_was_sent(scene: Scene, rows: list[Grant]) -> None:
    scene.settle(rows[0], State.SENT, "m-1", message_id="m-1", attempts=1)
    scene.expect("""
        ~ batch:<b> n:leaving = 2 -> 1
        + batch:<b> n:taken = 1
        ~ chunk:<b>-0 out = 2 -> 1
        + counters sent = 1
        ~ gate on_way = 2 -> 1
        ~ gate ses_at = now-1 -> now
        ~ gate ses_level = 0 -> 98.8
        - leases <b>-0-0 = now+30
        + log:<b>-0 = now 0:m-1
        - message:<b>-0-0 = all of it
    """)


def test_all_rows_were_sent(scene: Scene, rows: list[Grant]) -> None:
    for number, grant in enumerate(rows):
        scene.settle(grant, State.SENT, message_id=f"m-{number}")
    (last,) = scene.claim()[1]
    scene.see()
    scene.settle(last.grant, State.SENT, message_id="m-3")
    scene.expect("""
        + batch:<b> TTL = 14d
        + batch:<b> ended = now
        ~ batch:<b> n:leaving = 1 -> 0
        ~ batch:<b> n:taken = 2 -> 3
        ~ batch:<b> state = running -> done
        + chunk:<b>-0 TTL = 14d
        ~ chunk:<b>-0 out = 1 -> 0
        ~ chunk:<b>-0 place = sending -> sent
        ~ counters sent = 2 -> 3
        ~ gate on_way = 1 -> 0
        ~ gate ses_level = 97.8 -> 96.8
        - leases <b>-0-2 = now+30
        ~ log:<b>-0 = now 0:m-0 | now 1:m-1 -> now 0:m-0 | now 1:m-1 | now 2:m-3
        + log:<b>-0 TTL = 14d
        - message:<b>-0-2 = all of it
        + rows:<b>-0 TTL = 14d
        + rq:finished:bulk <b>-0 = real+14d
        + rq:job:<b>-0 TTL = 14d
        ~ rq:job:<b>-0 status = started -> finished
        ~ rq:job:<b>-0 worker_name = w -> ''
        - rq:wip:bulk <b>-0:rows = inf
        + template:<b> TTL = 14d
        + unpacked <b>-0 = in it
    """)
    scene.pack()
    scene.expect("""
        - log:<b>-0 = now 0:m-0 | now 1:m-1 | now 2:m-3
        - log:<b>-0 TTL = 14d
        + results:<b>-0 = now 0:m-0 | now 1:m-1 | now 2:m-3
        + results:<b>-0 TTL = 14d
        - unpacked <b>-0 = in it
    """)


def test_rows_are_put_back(scene: Scene, rows: list[Grant]) -> None:
    scene.gate.settle([put_back(rows[1], "not needed")])
    scene.expect("""
        ~ batch:<b> n:leaving = 2 -> 1
        ~ batch:<b> n:waiting = 1 -> 2
        ~ chunk:<b>-0 out = 2 -> 1
        ~ chunk:<b>-0 redo = '' -> 1-2
        ~ gate level = 48 -> 49
        ~ gate on_way = 2 -> 1
        ~ gate total = 2 -> 1
        - leases <b>-0-1 = now+30.000001
        ~ ledger minute now-22 = 2 -> 1
        - message:<b>-0-1 = all of it
        ! wake = ''
    """)
    scene.gate.settle([put_back(rows[0], "not needed")])
    scene.expect("""
        ~ batch:<b> n:leaving = 1 -> 0
        ~ batch:<b> n:waiting = 2 -> 3
        ~ chunk:<b>-0 out = 1 -> 0
        ~ chunk:<b>-0 redo = 1-2 -> 0-2
        ~ gate level = 49 -> 50
        ~ gate on_way = 1 -> 0
        ~ gate total = 1 -> 0
        - leases <b>-0-0 = now+30
        - ledger minute now-22 = 1
        - message:<b>-0-0 = all of it
        ! wake = ''
    """)
    # and go before the last one
    scene.ask(want=2)
    scene.expect("""
        ~ batch:<b> n:leaving = 0 -> 2
        ~ batch:<b> n:waiting = 3 -> 1
        ~ chunk:<b>-0 out = 0 -> 2
        ~ chunk:<b>-0 redo = 0-2 -> ''
        ~ gate claims = 1 -> 2
        ~ gate level = 50 -> 48
        ~ gate on_way = 0 -> 2
        ~ gate total = 0 -> 2
        + leases <b>-0-0 = now+30
        + leases <b>-0-1 = now+30.000001
        + ledger minute now-22 = 2
        + message:<b>-0-0 claim_id = x-2
        + message:<b>-0-0 claimed = now
        + message:<b>-0-0 day = 1
        + message:<b>-0-0 packed = 1
        + message:<b>-0-0 state = sending
        + message:<b>-0-0 worker = w
        + message:<b>-0-1 claim_id = x-2
        + message:<b>-0-1 claimed = now
        + message:<b>-0-1 day = 1
        + message:<b>-0-1 packed = 1
        + message:<b>-0-1 state = sending
        + message:<b>-0-1 worker = w
    """)


def test_a_row_is_put_back_when_all_had_gone(scene: Scene) -> None:
    scene.take(1)
    grant = scene.started()
    scene.gate.settle([put_back(grant, "not needed")])
    scene.expect("""
        ~ batch:<b> jobs = 0 -> 1
        ~ batch:<b> n:leaving = 1 -> 0
        ~ batch:<b> n:waiting = 0 -> 1
        ~ chunk:<b>-0 out = 1 -> 0
        ~ chunk:<b>-0 place = sending -> queued
        ~ chunk:<b>-0 redo = '' -> 0-1
        ~ gate level = 49 -> 50
        ~ gate on_way = 1 -> 0
        ~ gate total = 1 -> 0
        - leases <b>-0-0 = now+30
        - ledger minute now-22 = 1
        - message:<b>-0-0 = all of it
        ~ rq:job:<b>-0 status = started -> queued
        ~ rq:job:<b>-0 worker_name = w -> ''
        + rq:queue:bulk = <b>-0
        - rq:wip:bulk <b>-0:rows = inf
        ! wake = ''
    """)


def test_a_row_is_put_back_though_its_batch_is_paused(scene: Scene) -> None:
    batch = scene.take(1).id
    grant = scene.started()
    scene.batches.pause(batch, "a look")
    scene.see()
    scene.gate.settle([put_back(grant, "not needed")])
    scene.expect("""
        ~ batch:<b> n:leaving = 1 -> 0
        ~ batch:<b> n:waiting = 0 -> 1
        ~ chunk:<b>-0 out = 1 -> 0
        ~ chunk:<b>-0 place = sending -> held
        ~ chunk:<b>-0 redo = '' -> 0-1
        ~ gate level = 49 -> 50
        ~ gate on_way = 1 -> 0
        ~ gate total = 1 -> 0
        - leases <b>-0-0 = now+30
        - ledger minute now-22 = 1
        - message:<b>-0-0 = all of it
        + parked:<b> = <b>-0
        + rq:deferred:bulk <b>-0 = now
        ~ rq:job:<b>-0 status = started -> deferred
        ~ rq:job:<b>-0 worker_name = w -> ''
        - rq:wip:bulk <b>-0:rows = inf
        ! wake = ''
    """)


def test_a_row_is_put_back_though_its_batch_is_cancelled(scene: Scene, rows: list[Grant]) -> None:
    scene.batches.cancel(scene.batches.all()[0].id, "a wrong link")
    scene.see()
    scene.gate.settle([put_back(rows[0], "not needed")])
    scene.expect("""
        ~ batch:<b> jobs = 1 -> 0
        ~ batch:<b> n:cancelled = 1 -> 2
        ~ batch:<b> n:leaving = 2 -> 1
        ~ chunk:<b>-0 cursor = 2 -> 3
        ~ chunk:<b>-0 out = 2 -> 1
        ~ chunk:<b>-0 place = queued -> sending
        ~ gate level = 48 -> 49
        ~ gate on_way = 2 -> 1
        ~ gate total = 2 -> 1
        - leases <b>-0-0 = now+30
        ~ ledger minute now-22 = 2 -> 1
        - message:<b>-0-0 = all of it
        ~ rq:job:<b>-0 status = queued -> started
        + rq:job:<b>-0 worker_name = ''
        - rq:queue:bulk = <b>-0
        + rq:wip:bulk <b>-0:rows = inf
        ! wake = ''
    """)


def test_a_row_was_sent_whose_chunk_is_damaged(scene: Scene, rows: list[Grant]) -> None:
    scene.redis.hset(scene.keys.chunk(rows[0].id[:-2]), "cursor", "x")
    scene.see()
    scene.settle(rows[0], State.SENT, message_id="m-1")
    scene.expect("""
        + counters sent = 1
        + damaged sesq:default:chunk:<b>-0 = [now,"a number of it is damaged: its recipients are not sent"]
        ~ gate on_way = 2 -> 1
        ~ gate ses_at = now-1 -> now
        ~ gate ses_level = 0 -> 98.8
        - leases <b>-0-0 = now+30
        + log:<b>-0 = now 0:m-1
        - message:<b>-0-0 = all of it
    """)
    scene.gate.settle([put_back(rows[1], "not needed")])
    scene.expect("""
        ~ gate level = 48 -> 49
        ~ gate on_way = 1 -> 0
        ~ gate total = 2 -> 1
        ~ ledger minute now-22 = 2 -> 1
        ~ message:<b>-0-1 day = 1 -> 0
        + message:<b>-0-1 tokens_at = ''
    """)
