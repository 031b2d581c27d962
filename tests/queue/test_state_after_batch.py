"""All that changes in Redis when a batch is paused, resumed and cancelled."""

from __future__ import annotations

from scene import Scene, at
from sesq.queue.batches import BATCH_CHANGE
from sesq.queue.states import State

ROWS = [
    {"email": "ada@example.org", "name": "Ada"},
    {"email": "success@simulator.amazonses.com", "name": "Sim"},
    {"email": "ADA@example.org", "name": "Ada"},
    {"email": "ada@example.org", "name": "Ada"},
    {"email": "nobody", "name": "N"},
    {"email": "bob@example.org", "name": "Bob"},
]


def test_it_is_paused_and_resumed(scene: Scene) -> None:
    batch = scene.take(2).id
    scene.settle(scene.started(), State.RETRYING, attempts=1, delay=1.0)
    scene.see()
    scene.batches.pause(batch, "a look")
    scene.expect("""
        ~ batch:<b> reason = '' -> a look
        ~ batch:<b> state = running -> paused
    """)
    scene.pass_time(1)
    scene.gate.promote()
    scene.see()
    scene.ask()
    scene.expect("""
        ~ batch:<b> jobs = 1 -> 0
        + batch:<b> n:held = 1
        ~ batch:<b> n:queued = 1 -> 0
        ~ chunk:<b>-0 place = queued -> held
        + counters held = 1
        ~ gate claims = 1 -> 2
        + hold:batch:<b> <b>-0-0 = now
        + holds batch:<b> = batch <b> is paused
        + message:<b>-0-0 history 4 = [now,"held","its batch is paused: a look"]
        + message:<b>-0-0 hold = batch:<b>
        ~ message:<b>-0-0 reason = due -> its batch is paused: a look
        ~ message:<b>-0-0 state = queued -> held
        + parked:<b> = <b>-0
        + rq:deferred:bulk <b>-0 = now
        + rq:deferred:bulk <b>-0-0 = now
        ~ rq:job:<b>-0 status = queued -> deferred
        + rq:job:<b>-0 worker_name = ''
        ~ rq:job:<b>-0-0 status = queued -> deferred
        - rq:queue:bulk = <b>-0-0, <b>-0
        + state:held <b>-0-0 = now
        - state:queued <b>-0-0 = now
    """)
    scene.batches.resume(batch)
    scene.expect("""
        ~ batch:<b> jobs = 0 -> 1
        ~ batch:<b> n:held = 1 -> 0
        ~ batch:<b> n:queued = 0 -> 1
        ~ batch:<b> reason = a look -> ''
        ~ batch:<b> state = paused -> running
        ~ chunk:<b>-0 place = held -> queued
        ~ counters queued = 1 -> 2
        - hold:batch:<b> <b>-0-0 = now
        - holds = all of it
        + message:<b>-0-0 history 5 = [now,"queued","its batch goes on"]
        ~ message:<b>-0-0 hold = batch:<b> -> ''
        ~ message:<b>-0-0 reason = its batch is paused: a look -> its batch goes on
        ~ message:<b>-0-0 state = held -> queued
        - parked:<b> = <b>-0
        - rq:deferred:bulk <b>-0 = now
        - rq:deferred:bulk <b>-0-0 = now
        ~ rq:job:<b>-0 status = deferred -> queued
        ~ rq:job:<b>-0-0 status = deferred -> queued
        + rq:queue:bulk = <b>-0, <b>-0-0
        - state:held <b>-0-0 = now
        + state:queued <b>-0-0 = now
        ! wake = ''
        ! wake = ''
        ! wake = urgent
    """)


def test_it_is_paused_beyond_its_time(scene: Scene) -> None:
    batch = scene.take(1, starts_at=at(scene.now + 60)).id
    scene.see()
    scene.batches.pause(batch, "a look")
    scene.expect("""
        ~ batch:<b> reason = its time has not come -> a look
        - batch:<b> starts_at = now+60
        - starting <b> = now+60
    """)


def test_it_is_cancelled(scene: Scene) -> None:
    batch = scene.take(3).id
    grant = scene.started()
    scene.settle(grant, State.RETRYING, attempts=1, delay=1.0)
    scene.see()
    scene.batches.cancel(batch, "a wrong link")
    scene.expect("""
        + batch:<b> TTL = 14d
        + batch:<b> ended = now
        + batch:<b> n:cancelled = 3
        ~ batch:<b> n:retrying = 1 -> 0
        ~ batch:<b> n:waiting = 2 -> 0
        ~ batch:<b> reason = '' -> a wrong link
        ~ batch:<b> state = running -> cancelled
        + chunk:<b>-0 TTL = 14d
        - content:<b>-0-0 = <b>-0-0
        + counters cancelled = 1
        + materialized:<b> TTL = 14d
        + message:<b>-0-0 TTL = 14d
        + message:<b>-0-0 history 3 = [now,"cancelled","a wrong link"]
        ~ message:<b>-0-0 reason = Because. -> a wrong link
        ~ message:<b>-0-0 state = retrying -> cancelled
        + rows:<b>-0 TTL = 14d
        + rq:canceled:bulk <b>-0-0 = real+14d
        + rq:job:<b>-0-0 TTL = 14d
        ~ rq:job:<b>-0-0 status = scheduled -> canceled
        - rq:scheduled:bulk <b>-0-0 = now+1
        + state:cancelled <b>-0-0 = now
        - state:retrying <b>-0-0 = now
        + template:<b> TTL = 14d
        ! wake = ''
        ! wake = ''
    """)
    # the claim takes its chunk out of its lane
    scene.ask()
    scene.expect("""
        ~ batch:<b> jobs = 1 -> 0
        ~ chunk:<b>-0 cursor = 1 -> 3
        ~ chunk:<b>-0 place = queued -> cancelled
        ~ gate claims = 1 -> 2
        + rq:canceled:bulk <b>-0 = real+14d
        + rq:job:<b>-0 TTL = 14d
        ~ rq:job:<b>-0 status = queued -> canceled
        + rq:job:<b>-0 worker_name = ''
        - rq:queue:bulk = <b>-0
        + unpacked <b>-0 = in it
    """)


def test_it_is_cancelled_while_it_is_paused(scene: Scene) -> None:
    batch = scene.take(2).id
    scene.batches.pause(batch, "a look")
    scene.ask()
    scene.see()
    scene.batches.cancel(batch, "a wrong link")
    scene.expect("""
        + batch:<b> TTL = 14d
        + batch:<b> ended = now
        + batch:<b> n:cancelled = 2
        ~ batch:<b> n:waiting = 2 -> 0
        ~ batch:<b> reason = a look -> a wrong link
        ~ batch:<b> state = paused -> cancelled
        + chunk:<b>-0 TTL = 14d
        ~ chunk:<b>-0 cursor = 0 -> 2
        ~ chunk:<b>-0 place = held -> cancelled
        - parked:<b> = <b>-0
        + rows:<b>-0 TTL = 14d
        + rq:canceled:bulk <b>-0 = real+14d
        - rq:deferred:bulk <b>-0 = now
        + rq:job:<b>-0 TTL = 14d
        ~ rq:job:<b>-0 status = deferred -> canceled
        + template:<b> TTL = 14d
        + unpacked <b>-0 = in it
        ! wake = ''
        ! wake = ''
    """)


def test_a_record_of_a_cancelled_batch_stands_at_the_head(scene: Scene) -> None:
    batch = scene.take(2).id
    scene.settle(scene.started(), State.RETRYING, attempts=1, delay=1.0)
    scene.pass_time(1)
    scene.gate.promote()
    BATCH_CHANGE.run(scene.redis, "default", batch, "cancel", "a wrong link")
    scene.see()
    scene.ask()
    scene.expect("""
        + batch:<b> TTL = 14d
        + batch:<b> ended = now
        ~ batch:<b> jobs = 1 -> 0
        ~ batch:<b> n:cancelled = 1 -> 2
        ~ batch:<b> n:queued = 1 -> 0
        + chunk:<b>-0 TTL = 14d
        ~ chunk:<b>-0 cursor = 1 -> 2
        ~ chunk:<b>-0 place = queued -> cancelled
        + content:<b>-0-0 TTL = 14d
        + counters cancelled = 1
        ~ gate claims = 1 -> 2
        + materialized:<b> TTL = 14d
        + message:<b>-0-0 TTL = 14d
        + message:<b>-0-0 history 4 = [now,"cancelled","a wrong link"]
        ~ message:<b>-0-0 reason = due -> a wrong link
        ~ message:<b>-0-0 state = queued -> cancelled
        + rows:<b>-0 TTL = 14d
        + rq:canceled:bulk <b>-0 = real+14d
        + rq:canceled:bulk <b>-0-0 = real+14d
        + rq:job:<b>-0 TTL = 14d
        ~ rq:job:<b>-0 status = queued -> canceled
        + rq:job:<b>-0 worker_name = ''
        + rq:job:<b>-0-0 TTL = 14d
        ~ rq:job:<b>-0-0 status = queued -> canceled
        - rq:queue:bulk = <b>-0-0, <b>-0
        + state:cancelled <b>-0-0 = now
        - state:queued <b>-0-0 = now
        + template:<b> TTL = 14d
        + unpacked <b>-0 = in it
    """)


def test_rq_was_told_to_cancel_a_chunk(scene: Scene) -> None:
    scene.take(2)
    scene.started()
    scene.redis.hset(f"rq:job:{scene.batches.all()[0].id}-0", "status", "canceled")
    scene.see()
    assert scene.batches.cancel_chunk(f"{scene.batches.all()[0].id}-0") == 1
    scene.expect("""
        ~ batch:<b> jobs = 1 -> 0
        + batch:<b> n:cancelled = 1
        ~ batch:<b> n:waiting = 1 -> 0
        + chunk:<b>-0 cancelled = cancelled by RQ's own cancel
        ~ chunk:<b>-0 cursor = 1 -> 2
        ~ chunk:<b>-0 place = queued -> sending
        ~ rq:job:<b>-0 status = canceled -> started
        + rq:job:<b>-0 worker_name = ''
        - rq:queue:bulk = <b>-0
        + rq:wip:bulk <b>-0:rows = inf
    """)


def test_too_many_bounce(scene: Scene) -> None:
    batch = scene.take(60, stop_bounces=2.0).id
    scene.redis.hset(scene.keys.batch(batch), mapping={"n:taken": 99, "n:bounced": 2, "n:waiting": 59})
    scene.settle(scene.started(), State.RETRYING, attempts=1, delay=1.0)
    scene.see()
    scene.event(f"{batch}-0-0", "Send")
    scene.event(f"{batch}-0-0", "Bounce", to="p0@example.org")
    scene.expect("""
        ~ batch:<b> n:bounced = 2 -> 3
        ~ batch:<b> n:retrying = 1 -> 0
        + batch:<b> n:sent = 0
        ~ batch:<b> reason = '' -> bounces: 3 of 102 recipients, 2.9 %; it was to stop above 2.… (69)
        ~ batch:<b> state = running -> paused
        - content:<b>-0-0 = <b>-0-0
        + counters bounced = 1
        + counters sent = 1
        + counters wait:0.1 = 1
        + counters wait:sum = 0
        + event:4456ac5554e9ac190d1338a5f91cb54b = 1
        + event:4456ac5554e9ac190d1338a5f91cb54b TTL = 60min
        + event:d13d625a95d3389b77677fe444791bf9 = 1
        + event:d13d625a95d3389b77677fe444791bf9 TTL = 14d
        + message:<b>-0-0 TTL = 14d
        + message:<b>-0-0 history 3 = [now,"sent","m-1"]
        + message:<b>-0-0 history 4 = [now,"bounced","Permanent bounce (General) of p0@example.org"]
        + message:<b>-0-0 message_id = m-1
        + message:<b>-0-0 rank = 4
        ~ message:<b>-0-0 reason = Because. -> Permanent bounce (General) of p0@example.org
        ~ message:<b>-0-0 state = retrying -> bounced
        + origins:domain:bounced:19675 TTL = 8d
        + origins:domain:bounced:19675 example.org = 1.0
        + origins:domain:sent:19675 TTL = 8d
        + origins:domain:sent:19675 example.org = 1.0
        + reputation 472222:bounced = 1
        + reputation 472222:sent = 1
        + reputation level = fine
        + rq:finished:bulk <b>-0-0 = real+14d
        + rq:job:<b>-0-0 TTL = 14d
        ~ rq:job:<b>-0-0 status = scheduled -> finished
        - rq:scheduled:bulk <b>-0-0 = now+1
        + state:bounced <b>-0-0 = now
        - state:retrying <b>-0-0 = now
        + suppression p0@example.org = {"reason": "bounce", "at": now, "source": "event of m-1"}
    """)
    # a person lets it go on
    scene.batches.resume(batch)
    scene.expect("""
        + batch:<b> passed:bounces = 2.941
        ~ batch:<b> reason = bounces: 3 of 102 recipients, 2.9 %; it was to stop above 2.0 % ->… (69)
        ~ batch:<b> state = paused -> running
        ! wake = ''
        ! wake = ''
    """)
