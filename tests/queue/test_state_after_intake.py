"""All that changes in Redis when a batch is taken in."""

from __future__ import annotations

from scene import Scene, at
from sesq.producer.batch.batch_intake import ADD_CHUNK, CLOSE_BATCH, OPEN_BATCH

ROWS = [
    {"email": "ada@example.org", "name": "Ada"},
    {"email": "success@simulator.amazonses.com", "name": "Sim"},
    {"email": "ADA@example.org", "name": "Ada"},
    {"email": "ada@example.org", "name": "Ada"},
    {"email": "nobody", "name": "N"},
    {"email": "bob@example.org", "name": "Bob"},
]


def test_it_is_taken_in(scene: Scene) -> None:
    scene.take(0, rows=ROWS, stop_bounces=5.0)
    scene.expect("""
        + batch:<b> chunks = 1
        + batch:<b> created = now
        + batch:<b> duplicates = 2
        + batch:<b> envelope = {"v":1,"sender":"shop@example.com","subject":"News for {{ name }}"… (80)
        + batch:<b> filled = 1
        + batch:<b> invalid = 1
        + batch:<b> jobs = 1
        + batch:<b> keep = 1209600
        + batch:<b> n:waiting = 3
        + batch:<b> name = news
        + batch:<b> queue = bulk
        + batch:<b> reason = ''
        + batch:<b> rows = 6
        + batch:<b> state = running
        + batch:<b> stop:bounces = 5.0
        + batch:<b> stop:complaints = ''
        + batch:<b> suppressed = 0
        + batch:<b> total = 3
        + batch:<b> window = ''
        + batch:<b> zone_column = ''
        + batches <b> = now
        + chunk:<b>-0 batch = <b>
        + chunk:<b>-0 counted = 2
        + chunk:<b>-0 cursor = 0
        + chunk:<b>-0 keep = 1209600
        + chunk:<b>-0 n = 3
        + chunk:<b>-0 out = 0
        + chunk:<b>-0 place = queued
        + chunk:<b>-0 queue = bulk
        + chunk:<b>-0 redo = ''
        + rows:<b>-0 = {"v":1,"names":["name"],"rows":[["ada@example.org",["Ada"]],["bob@… (133)
        + rq:job:<b>-0 created_at = <host time>
        + rq:job:<b>-0 data = ["sesq.worker.send", null, ["<b>-0"], {}]
        + rq:job:<b>-0 description = sesq batch <b>, part 0
        + rq:job:<b>-0 enqueued_at = <host time>
        + rq:job:<b>-0 origin = bulk
        + rq:job:<b>-0 status = queued
        + rq:queue:bulk = <b>-0
        + rq:queues rq:queue:bulk = in it
        + sesq:accounts default = in it
        + template:<b> = {"v":1,"name":"news","subject":"News for {{ name }}","text":"Hello… (136)
        ! wake = ''
    """)


def test_it_is_begun_and_goes_on_where_its_producer_died(scene: Scene) -> None:
    described = ("name", "news", "envelope", "{}", "queue", "sesq.default.bulk", "keep", 3600)
    opened = OPEN_BATCH.run(scene.redis, "default", "b", "template", "5", "0.1", "", "", "", *described)
    assert opened == [0, 0, b"running", b"", b""]
    scene.expect("""
        + batch:b chunks = 0
        + batch:b created = now
        + batch:b envelope = {}
        + batch:b filled = 0
        + batch:b jobs = 0
        + batch:b keep = 3600
        + batch:b name = news
        + batch:b queue = bulk
        + batch:b reason = ''
        + batch:b state = running
        + batch:b stop:bounces = 5
        + batch:b stop:complaints = 0.1
        + batch:b window = ''
        + batch:b zone_column = ''
        + batches b = now
        + sesq:accounts default = in it
        + template:b = template
    """)
    assert ADD_CHUNK.run(scene.redis, "default", "b", 0, "rows", 3, 2, "", "", "origin", "x") == b"running"
    scene.expect("""
        ~ batch:b chunks = 0 -> 1
        ~ batch:b jobs = 0 -> 1
        + batch:b n:waiting = 3
        + batch:b total = 3
        + chunk:b-0 batch = b
        + chunk:b-0 counted = 2
        + chunk:b-0 cursor = 0
        + chunk:b-0 keep = 3600
        + chunk:b-0 n = 3
        + chunk:b-0 out = 0
        + chunk:b-0 place = queued
        + chunk:b-0 queue = bulk
        + chunk:b-0 redo = ''
        + rows:b-0 = rows
        + rq:job:b-0 origin = x
        + rq:job:b-0 status = queued
        + rq:queue:bulk = b-0
        + rq:queues rq:queue:bulk = in it
        ! wake = ''
    """)
    # the same once more; a chunk without recipients; and one more
    ADD_CHUNK.run(scene.redis, "default", "b", 0, "others", 9, 9, "", "", "origin", "x")
    ADD_CHUNK.run(scene.redis, "default", "b", 1, "none", 0, 0, "", "", "origin", "x")
    ADD_CHUNK.run(scene.redis, "default", "b", 2, "rows", 1, 0, "", "", "origin", "x")
    scene.expect("""
        ~ batch:b chunks = 1 -> 3
        ~ batch:b jobs = 1 -> 2
        ~ batch:b n:waiting = 3 -> 4
        ~ batch:b total = 3 -> 4
        + chunk:b-2 batch = b
        + chunk:b-2 counted = 0
        + chunk:b-2 cursor = 0
        + chunk:b-2 keep = 3600
        + chunk:b-2 n = 1
        + chunk:b-2 out = 0
        + chunk:b-2 place = queued
        + chunk:b-2 queue = bulk
        + chunk:b-2 redo = ''
        + rows:b-2 = rows
        + rq:job:b-2 origin = x
        + rq:job:b-2 status = queued
        ~ rq:queue:bulk = b-0 -> b-0, b-2
    """)
    opened = OPEN_BATCH.run(scene.redis, "default", "b", "other", "7", "", scene.now + 9, "", "", *described)
    assert opened == [3, 0, b"running", b"", b""]
    scene.expect("""
        ~ batch:b stop:bounces = 5 -> 7
        ~ batch:b stop:complaints = 0.1 -> ''
    """)
    # until it is closed
    assert CLOSE_BATCH.run(scene.redis, "default", "b", "invalid", 1) == 1
    OPEN_BATCH.run(scene.redis, "default", "b", "other", "9", "9", "", "", "", *described)
    ADD_CHUNK.run(scene.redis, "default", "b", 3, "rows", 1, 0, "", "", "origin", "x")
    scene.expect("""
        ~ batch:b filled = 0 -> 1
        + batch:b invalid = 1
    """)
    assert CLOSE_BATCH.run(scene.redis, "default", "gone", "invalid", 1) == 0
    scene.expect("")


def test_it_is_to_start_later(scene: Scene) -> None:
    batch = scene.take(1, starts_at=at(scene.now + 60)).id
    scene.expect("""
        + batch:<b> chunks = 1
        + batch:<b> created = now
        + batch:<b> duplicates = 0
        + batch:<b> envelope = {"v":1,"sender":"shop@example.com","subject":"News for {{ name }}"… (80)
        + batch:<b> filled = 1
        + batch:<b> invalid = 0
        + batch:<b> jobs = 1
        + batch:<b> keep = 1209600
        + batch:<b> n:waiting = 1
        + batch:<b> name = news
        + batch:<b> queue = bulk
        + batch:<b> reason = its time has not come
        + batch:<b> rows = 1
        + batch:<b> starts_at = now+60
        + batch:<b> state = paused
        + batch:<b> stop:bounces = ''
        + batch:<b> stop:complaints = ''
        + batch:<b> suppressed = 0
        + batch:<b> total = 1
        + batch:<b> window = ''
        + batch:<b> zone_column = ''
        + batches <b> = now
        + chunk:<b>-0 batch = <b>
        + chunk:<b>-0 counted = 1
        + chunk:<b>-0 cursor = 0
        + chunk:<b>-0 keep = 1209600
        + chunk:<b>-0 n = 1
        + chunk:<b>-0 out = 0
        + chunk:<b>-0 place = queued
        + chunk:<b>-0 queue = bulk
        + chunk:<b>-0 redo = ''
        + rows:<b>-0 = {"v":1,"names":["name"],"rows":[["p0@example.org",["P0"]]]}
        + rq:job:<b>-0 created_at = <host time>
        + rq:job:<b>-0 data = ["sesq.worker.send", null, ["<b>-0"], {}]
        + rq:job:<b>-0 description = sesq batch <b>, part 0
        + rq:job:<b>-0 enqueued_at = <host time>
        + rq:job:<b>-0 origin = bulk
        + rq:job:<b>-0 status = queued
        + rq:queue:bulk = <b>-0
        + rq:queues rq:queue:bulk = in it
        + sesq:accounts default = in it
        + starting <b> = now+60
        + template:<b> = {"v":1,"name":"news","subject":"News for {{ name }}","text":"Hello… (136)
        ! wake = ''
    """)
    # the claim parks its chunk
    scene.ask()
    scene.expect("""
        ~ batch:<b> jobs = 1 -> 0
        ~ chunk:<b>-0 place = queued -> held
        + gate claims = 1
        + parked:<b> = <b>-0
        + rq:deferred:bulk <b>-0 = now
        ~ rq:job:<b>-0 status = queued -> deferred
        + rq:job:<b>-0 worker_name = ''
        - rq:queue:bulk = <b>-0
    """)
    # and when its time has come it goes on
    scene.pass_time(60)
    scene.pack()
    scene.expect("""
        ~ batch:<b> jobs = 0 -> 1
        ~ batch:<b> reason = its time has not come -> ''
        - batch:<b> starts_at = now
        ~ batch:<b> state = paused -> running
        ~ chunk:<b>-0 place = held -> queued
        - parked:<b> = <b>-0
        - rq:deferred:bulk <b>-0 = now-60
        ~ rq:job:<b>-0 status = deferred -> queued
        + rq:queue:bulk = <b>-0
        - starting <b> = now
        ! wake = ''
        ! wake = ''
    """)
    assert scene.ask(want=1).ids == (f"{batch}-0-0",)
