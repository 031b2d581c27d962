"""All that changes in Redis when SES tells of a row of a batch."""

from __future__ import annotations

import pytest

from scene import Scene
from sesq.queue.states import State


@pytest.fixture
def row(scene: Scene) -> str:
    """A row that was sent, and one that is on its way."""
    scene.take(0, rows=[{"email": f"{name}@example.org", "name": name} for name in ("ada", "bob", "cleo")])
    (first, _) = scene.claim(2)[1]
    scene.settle(first.grant, State.SENT, "m-1", message_id="m-1", attempts=1)
    scene.pass_time(3)
    scene.see()
    return first.id


def test_a_row_was_delivered(scene: Scene, row: str) -> None:
    scene.event(row, "Delivery")
    scene.expect("""
        + arrived:<b>-0 = 10000000
        + batch:<b> n:arrived = 1
        ~ batch:<b> n:taken = 1 -> 0
        + event:633f3dbf1cebdf3328ff1824c152be1b = 1
        + event:633f3dbf1cebdf3328ff1824c152be1b TTL = 14d
    """)
    # and an address of it complains
    scene.event(row, "Complaint")
    scene.expect("""
        ~ batch:<b> n:arrived = 1 -> 0
        + batch:<b> n:complained = 1
        + batch:<b> n:delivered = 0
        + counters complained = 1
        + event:b0b867fc83a86344ef8b31984e7c7069 = 1
        + event:b0b867fc83a86344ef8b31984e7c7069 TTL = 14d
        + materialized:<b> <b>-0-0 = in it
        + message:<b>-0-0 TTL = 14d
        + message:<b>-0-0 attempts = 1
        + message:<b>-0-0 batch = <b>
        + message:<b>-0-0 created = now-3
        + message:<b>-0-0 day = 1
        + message:<b>-0-0 history 0 = [now-3,"queued","in batch <b>"]
        + message:<b>-0-0 history 1 = [now-3,"sent","m-1"]
        + message:<b>-0-0 history 2 = [now,"complained","complaint by ada@example.org"]
        + message:<b>-0-0 keep = 1209600
        + message:<b>-0-0 kind = row
        + message:<b>-0-0 message_id = m-1
        + message:<b>-0-0 queue = bulk
        + message:<b>-0-0 rank = 5
        + message:<b>-0-0 rate = 1
        + message:<b>-0-0 reason = complaint by ada@example.org
        + message:<b>-0-0 sender = shop@example.com
        + message:<b>-0-0 since = now
        + message:<b>-0-0 state = complained
        + message:<b>-0-0 subject = News for {{ name }}
        + message:<b>-0-0 to = ["ada@example.org"]
        + message:<b>-0-0 v = 1
        + origins:domain:complained:19675 TTL = 8d
        + origins:domain:complained:19675 example.org = 1.0
        + origins:domain:sent:19675 TTL = 8d
        + origins:domain:sent:19675 example.org = 0.0
        + reputation 472222:complained = 1
        + reputation level = fine
        + rq:finished:bulk <b>-0-0 = real+14d
        + rq:job:<b>-0-0 TTL = 14d
        + rq:job:<b>-0-0 created_at = <host time>
        + rq:job:<b>-0-0 data = ["sesq.worker.send", null, ["<b>-0-0"], {}]
        + rq:job:<b>-0-0 description = sesq message <b>-0-0
        + rq:job:<b>-0-0 enqueued_at = <host time>
        + rq:job:<b>-0-0 origin = bulk
        + rq:job:<b>-0-0 status = finished
        + rq:job:<b>-0-0 worker_name = ''
        + state:complained <b>-0-0 = now
        + suppression ada@example.org = {"reason": "complaint", "at": now, "source": "event of m-1"}
    """)


def test_a_row_bounced(scene: Scene, row: str) -> None:
    scene.event(row, "Bounce")
    scene.expect("""
        + batch:<b> n:bounced = 1
        + batch:<b> n:sent = 0
        ~ batch:<b> n:taken = 1 -> 0
        + counters bounced = 1
        + event:d13d625a95d3389b77677fe444791bf9 = 1
        + event:d13d625a95d3389b77677fe444791bf9 TTL = 14d
        + materialized:<b> <b>-0-0 = in it
        + message:<b>-0-0 TTL = 14d
        + message:<b>-0-0 attempts = 1
        + message:<b>-0-0 batch = <b>
        + message:<b>-0-0 created = now-3
        + message:<b>-0-0 day = 1
        + message:<b>-0-0 history 0 = [now-3,"queued","in batch <b>"]
        + message:<b>-0-0 history 1 = [now-3,"sent","m-1"]
        + message:<b>-0-0 history 2 = [now,"bounced","Permanent bounce (General) of ada@example.org"]
        + message:<b>-0-0 keep = 1209600
        + message:<b>-0-0 kind = row
        + message:<b>-0-0 message_id = m-1
        + message:<b>-0-0 queue = bulk
        + message:<b>-0-0 rank = 4
        + message:<b>-0-0 rate = 1
        + message:<b>-0-0 reason = Permanent bounce (General) of ada@example.org
        + message:<b>-0-0 sender = shop@example.com
        + message:<b>-0-0 since = now
        + message:<b>-0-0 state = bounced
        + message:<b>-0-0 subject = News for {{ name }}
        + message:<b>-0-0 to = ["ada@example.org"]
        + message:<b>-0-0 v = 1
        + origins:domain:bounced:19675 TTL = 8d
        + origins:domain:bounced:19675 example.org = 1.0
        + origins:domain:sent:19675 TTL = 8d
        + origins:domain:sent:19675 example.org = 0.0
        + reputation 472222:bounced = 1
        + reputation level = fine
        + rq:finished:bulk <b>-0-0 = real+14d
        + rq:job:<b>-0-0 TTL = 14d
        + rq:job:<b>-0-0 created_at = <host time>
        + rq:job:<b>-0-0 data = ["sesq.worker.send", null, ["<b>-0-0"], {}]
        + rq:job:<b>-0-0 description = sesq message <b>-0-0
        + rq:job:<b>-0-0 enqueued_at = <host time>
        + rq:job:<b>-0-0 origin = bulk
        + rq:job:<b>-0-0 status = finished
        + rq:job:<b>-0-0 worker_name = ''
        + state:bounced <b>-0-0 = now
        + suppression ada@example.org = {"reason": "bounce", "at": now, "source": "event of m-1"}
    """)


def test_the_delivery_of_a_row_is_delayed(scene: Scene, row: str) -> None:
    scene.event(row, "DeliveryDelay")
    scene.expect("""
        + batch:<b> n:sent = 1
        ~ batch:<b> n:taken = 1 -> 0
        + event:543543634bdafd42b289e6933ecd8883 = noted
        + event:543543634bdafd42b289e6933ecd8883 TTL = 14d
        + materialized:<b> <b>-0-0 = in it
        + message:<b>-0-0 TTL = 14d
        + message:<b>-0-0 attempts = 1
        + message:<b>-0-0 batch = <b>
        + message:<b>-0-0 created = now-3
        + message:<b>-0-0 day = 1
        + message:<b>-0-0 delayed_because = delayed to ada@example.org (MailboxFull): the mailbox is full
        + message:<b>-0-0 history 0 = [now-3,"queued","in batch <b>"]
        + message:<b>-0-0 history 1 = [now-3,"sent","m-1"]
        + message:<b>-0-0 history 2 = [now,"sent","delayed to ada@example.org (MailboxFull): the mailbox… (76)
        + message:<b>-0-0 keep = 1209600
        + message:<b>-0-0 kind = row
        + message:<b>-0-0 message_id = m-1
        + message:<b>-0-0 queue = bulk
        + message:<b>-0-0 rate = 1
        + message:<b>-0-0 reason = m-1
        + message:<b>-0-0 sender = shop@example.com
        + message:<b>-0-0 since = now-3
        + message:<b>-0-0 state = sent
        + message:<b>-0-0 subject = News for {{ name }}
        + message:<b>-0-0 to = ["ada@example.org"]
        + message:<b>-0-0 v = 1
        + rq:finished:bulk <b>-0-0 = real+14d
        + rq:job:<b>-0-0 TTL = 14d
        + rq:job:<b>-0-0 created_at = <host time>
        + rq:job:<b>-0-0 data = ["sesq.worker.send", null, ["<b>-0-0"], {}]
        + rq:job:<b>-0-0 description = sesq message <b>-0-0
        + rq:job:<b>-0-0 enqueued_at = <host time>
        + rq:job:<b>-0-0 origin = bulk
        + rq:job:<b>-0-0 status = finished
        + rq:job:<b>-0-0 worker_name = ''
        + state:sent <b>-0-0 = now-3
    """)
    # and the same event once more changes nothing
    scene.event(row, "DeliveryDelay")
    scene.expect("")


def test_a_row_that_is_on_its_way_stays_so(scene: Scene, row: str) -> None:
    scene.event(f"{row[:-1]}1", "Delivery")
    scene.expect("""
        + event:633f3dbf1cebdf3328ff1824c152be1b = 1
        + event:633f3dbf1cebdf3328ff1824c152be1b TTL = 14d
    """)
