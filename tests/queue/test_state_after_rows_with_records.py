"""All that changes in Redis when it is settled that a row of a batch becomes a message."""

from __future__ import annotations

import pytest

from scene import Scene
from sesq.queue.grants import Grant
from sesq.queue.states import State


@pytest.fixture
def rows(scene: Scene) -> list[Grant]:
    """Two of three rows, started."""
    scene.take(3)
    grants = [started.grant for started in scene.claim(2)[1]]
    scene.see()
    return grants


def test_a_row_was_refused(scene: Scene, rows: list[Grant]) -> None:
    scene.settle(rows[1], State.REFUSED, attempts=1, refund_day=True)
    scene.expect("""
        ~ batch:<b> n:leaving = 2 -> 1
        + batch:<b> n:refused = 1
        + batch:<b> n:sending = 0
        ~ chunk:<b>-0 out = 2 -> 1
        + content:<b>-0-1 = <b>-0-1
        + content:<b>-0-1 TTL = 14d
        + counters refused = 1
        ~ gate on_way = 2 -> 1
        ~ gate ses_at = now-1 -> now
        ~ gate ses_level = 0 -> 98.8
        ~ gate total = 2 -> 1
        - leases <b>-0-1 = now+30.000001
        ~ ledger minute now-22 = 2 -> 1
        + materialized:<b> <b>-0-1 = in it
        + message:<b>-0-1 TTL = 14d
        + message:<b>-0-1 attempts = 1
        + message:<b>-0-1 batch = <b>
        + message:<b>-0-1 created = now
        + message:<b>-0-1 history 0 = [now,"queued","in batch <b>"]
        + message:<b>-0-1 history 1 = [now,"sending","w"]
        + message:<b>-0-1 history 2 = [now,"refused","Because."]
        + message:<b>-0-1 keep = 1209600
        + message:<b>-0-1 kind = row
        - message:<b>-0-1 packed = 1
        + message:<b>-0-1 queue = bulk
        + message:<b>-0-1 rate = 1
        + message:<b>-0-1 reason = Because.
        + message:<b>-0-1 sender = shop@example.com
        + message:<b>-0-1 since = now
        ~ message:<b>-0-1 state = sending -> refused
        + message:<b>-0-1 subject = News for {{ name }}
        + message:<b>-0-1 to = ["p1@example.org"]
        + message:<b>-0-1 tokens_at = ''
        + message:<b>-0-1 v = 1
        + rq:failed:bulk <b>-0-1 = real+14d
        + rq:job:<b>-0-1 TTL = 14d
        + rq:job:<b>-0-1 created_at = <host time>
        + rq:job:<b>-0-1 data = ["sesq.worker.send", null, ["<b>-0-1"], {}]
        + rq:job:<b>-0-1 description = sesq message <b>-0-1
        + rq:job:<b>-0-1 enqueued_at = <host time>
        + rq:job:<b>-0-1 origin = bulk
        + rq:job:<b>-0-1 status = failed
        + rq:job:<b>-0-1 worker_name = ''
        + rq:results:<b>-0-1 0 = type 2, worker_name w, exc_string Because.
        + rq:results:<b>-0-1 TTL = 14d
        + state:refused <b>-0-1 = now
    """)


def test_a_row_is_tried_again_later(scene: Scene, rows: list[Grant]) -> None:
    scene.settle(rows[0], State.RETRYING, attempts=1, delay=60.0, refund_day=True)
    scene.expect("""
        ~ batch:<b> n:leaving = 2 -> 1
        + batch:<b> n:retrying = 1
        + batch:<b> n:sending = 0
        ~ chunk:<b>-0 out = 2 -> 1
        + content:<b>-0-0 = <b>-0-0
        + counters retrying = 1
        ~ gate on_way = 2 -> 1
        ~ gate ses_at = now-1 -> now
        ~ gate ses_level = 0 -> 98.8
        ~ gate total = 2 -> 1
        - leases <b>-0-0 = now+30
        ~ ledger minute now-22 = 2 -> 1
        + materialized:<b> <b>-0-0 = in it
        + message:<b>-0-0 attempts = 1
        + message:<b>-0-0 batch = <b>
        + message:<b>-0-0 created = now
        + message:<b>-0-0 history 0 = [now,"queued","in batch <b>"]
        + message:<b>-0-0 history 1 = [now,"sending","w"]
        + message:<b>-0-0 history 2 = [now,"retrying","Because."]
        + message:<b>-0-0 keep = 1209600
        + message:<b>-0-0 kind = row
        - message:<b>-0-0 packed = 1
        + message:<b>-0-0 queue = bulk
        + message:<b>-0-0 rate = 1
        + message:<b>-0-0 reason = Because.
        + message:<b>-0-0 sender = shop@example.com
        + message:<b>-0-0 since = now
        ~ message:<b>-0-0 state = sending -> retrying
        + message:<b>-0-0 subject = News for {{ name }}
        + message:<b>-0-0 to = ["p0@example.org"]
        + message:<b>-0-0 tokens_at = ''
        + message:<b>-0-0 v = 1
        + rq:job:<b>-0-0 created_at = <host time>
        + rq:job:<b>-0-0 data = ["sesq.worker.send", null, ["<b>-0-0"], {}]
        + rq:job:<b>-0-0 description = sesq message <b>-0-0
        + rq:job:<b>-0-0 enqueued_at = <host time>
        + rq:job:<b>-0-0 origin = bulk
        + rq:job:<b>-0-0 status = scheduled
        + rq:job:<b>-0-0 worker_name = ''
        + rq:scheduled:bulk <b>-0-0 = now+60
        + state:retrying <b>-0-0 = now
    """)


def test_a_row_is_held_and_its_batch_is_cancelled(scene: Scene, rows: list[Grant]) -> None:
    scene.batches.cancel(scene.batches.all()[0].id, "a wrong link")
    scene.see()
    scene.settle(rows[0], State.HELD, hold="recipient:p0@example.org", refund_day=True)
    scene.expect("""
        ~ batch:<b> jobs = 1 -> 0
        ~ batch:<b> n:cancelled = 1 -> 2
        ~ batch:<b> n:leaving = 2 -> 1
        + batch:<b> n:sending = 0
        ~ chunk:<b>-0 cursor = 2 -> 3
        ~ chunk:<b>-0 out = 2 -> 1
        ~ chunk:<b>-0 place = queued -> sending
        + content:<b>-0-0 = <b>-0-0
        + content:<b>-0-0 TTL = 14d
        + counters cancelled = 1
        ~ gate on_way = 2 -> 1
        ~ gate ses_at = now-1 -> now
        ~ gate ses_level = 0 -> 98.8
        ~ gate total = 2 -> 1
        - leases <b>-0-0 = now+30
        ~ ledger minute now-22 = 2 -> 1
        + materialized:<b> <b>-0-0 = in it
        + message:<b>-0-0 TTL = 14d
        + message:<b>-0-0 batch = <b>
        + message:<b>-0-0 created = now
        + message:<b>-0-0 history 0 = [now,"queued","in batch <b>"]
        + message:<b>-0-0 history 1 = [now,"sending","w"]
        + message:<b>-0-0 history 2 = [now,"cancelled","a wrong link"]
        + message:<b>-0-0 keep = 1209600
        + message:<b>-0-0 kind = row
        - message:<b>-0-0 packed = 1
        + message:<b>-0-0 queue = bulk
        + message:<b>-0-0 rate = 1
        + message:<b>-0-0 reason = a wrong link
        + message:<b>-0-0 sender = shop@example.com
        + message:<b>-0-0 since = now
        ~ message:<b>-0-0 state = sending -> cancelled
        + message:<b>-0-0 subject = News for {{ name }}
        + message:<b>-0-0 to = ["p0@example.org"]
        + message:<b>-0-0 tokens_at = ''
        + message:<b>-0-0 v = 1
        + rq:canceled:bulk <b>-0-0 = real+14d
        ~ rq:job:<b>-0 status = queued -> started
        + rq:job:<b>-0 worker_name = ''
        + rq:job:<b>-0-0 TTL = 14d
        + rq:job:<b>-0-0 created_at = <host time>
        + rq:job:<b>-0-0 data = ["sesq.worker.send", null, ["<b>-0-0"], {}]
        + rq:job:<b>-0-0 description = sesq message <b>-0-0
        + rq:job:<b>-0-0 enqueued_at = <host time>
        + rq:job:<b>-0-0 origin = bulk
        + rq:job:<b>-0-0 status = canceled
        + rq:job:<b>-0-0 worker_name = ''
        - rq:queue:bulk = <b>-0
        + rq:wip:bulk <b>-0:rows = inf
        + state:cancelled <b>-0-0 = now
    """)
