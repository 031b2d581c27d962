"""All that changes in Redis when mail is queued."""

from __future__ import annotations

import pytest

from scene import Scene, at
from sesq.config.errors import InvalidMessage


def test_urgent_mail_to_one(scene: Scene) -> None:
    scene.queue()
    scene.expect("""
        + content:<1> = {"v":1,"subject":"Hi","text":"Hello."}
        + message:<1> created = now
        + message:<1> day = 1
        + message:<1> history 0 = [now,"queued",""]
        + message:<1> keep = 1209600
        + message:<1> queue = transactional
        + message:<1> rate = 1
        + message:<1> sender = Shop <shop@example.com>
        + message:<1> since = now
        + message:<1> state = queued
        + message:<1> subject = Hi
        + message:<1> to = ["ada@example.org"]
        + message:<1> v = 1
        + rq:job:<1> created_at = <host time>
        + rq:job:<1> data = ["sesq.worker.send", null, ["<1>"], {}]
        + rq:job:<1> description = sesq message <1>
        + rq:job:<1> enqueued_at = <host time>
        + rq:job:<1> origin = transactional
        + rq:job:<1> status = queued
        + rq:queue:transactional = <1>
        + rq:queues rq:queue:transactional = in it
        + sesq:accounts default = in it
        + state:queued <1> = now
        ! wake = urgent
    """)


def test_bulk_mail_to_three_of_whom_two_count_towards_the_day(scene: Scene) -> None:
    scene.queue()
    scene.see()
    scene.queue(
        ["ada@example.org", "success@simulator.amazonses.com"],
        cc="bob@example.org",
        lane="bulk",
        html="<p>Hi</p>",
        tags={"campaign": "may"},
        configuration_set="news",
        tenant="acme",
        feedback_to="Bounces <bounces@example.com>",
        track=False,
        on_unknown="resend",
    )
    scene.expect("""
        + content:<2> = {"v":1,"subject":"Hi","text":"Hello.","html":"<p>Hi</p>"}
        + message:<2> cc = ["bob@example.org"]
        + message:<2> configuration_set = news
        + message:<2> created = now
        + message:<2> day = 2
        + message:<2> feedback_to = bounces@example.com
        + message:<2> history 0 = [now,"queued",""]
        + message:<2> keep = 1209600
        + message:<2> on_unknown = resend
        + message:<2> queue = bulk.acme
        + message:<2> rate = 3
        + message:<2> sender = Shop <shop@example.com>
        + message:<2> since = now
        + message:<2> state = queued
        + message:<2> subject = Hi
        + message:<2> tags = {"campaign":"may"}
        + message:<2> tenant = acme
        + message:<2> to = ["ada@example.org","success@simulator.amazonses.com"]
        + message:<2> track = off
        + message:<2> v = 1
        + rq:job:<2> created_at = <host time>
        + rq:job:<2> data = ["sesq.worker.send", null, ["<2>"], {}]
        + rq:job:<2> description = sesq message <2>
        + rq:job:<2> enqueued_at = <host time>
        + rq:job:<2> origin = bulk.acme
        + rq:job:<2> status = queued
        + rq:queue:bulk.acme = <2>
        + rq:queues rq:queue:bulk.acme = in it
        + shares:bulk bulk.acme = 0.0
        + state:queued <2> = now
        ! wake = ''
    """)


def test_the_second_in_a_lane_wakes_nobody(scene: Scene) -> None:
    scene.queue()
    scene.see()
    scene.queue()
    scene.expect("""
        + content:<2> = {"v":1,"subject":"Hi","text":"Hello."}
        + message:<2> created = now
        + message:<2> day = 1
        + message:<2> history 0 = [now,"queued",""]
        + message:<2> keep = 1209600
        + message:<2> queue = transactional
        + message:<2> rate = 1
        + message:<2> sender = Shop <shop@example.com>
        + message:<2> since = now
        + message:<2> state = queued
        + message:<2> subject = Hi
        + message:<2> to = ["ada@example.org"]
        + message:<2> v = 1
        + rq:job:<2> created_at = <host time>
        + rq:job:<2> data = ["sesq.worker.send", null, ["<2>"], {}]
        + rq:job:<2> description = sesq message <2>
        + rq:job:<2> enqueued_at = <host time>
        + rq:job:<2> origin = transactional
        + rq:job:<2> status = queued
        ~ rq:queue:transactional = <1> -> <1>, <2>
        + state:queued <2> = now
    """)


def test_mail_for_later(scene: Scene) -> None:
    scene.queue(send_at=at(scene.now + 60), expires_at=at(scene.now + 120))
    scene.expect("""
        + content:<1> = {"v":1,"subject":"Hi","text":"Hello."}
        + expiring <1> = now+120
        + message:<1> created = now
        + message:<1> day = 1
        + message:<1> expires_at = now+120
        + message:<1> history 0 = [now,"scheduled",""]
        + message:<1> keep = 1209600
        + message:<1> queue = transactional
        + message:<1> rate = 1
        + message:<1> send_at = now+60
        + message:<1> sender = Shop <shop@example.com>
        + message:<1> since = now
        + message:<1> state = scheduled
        + message:<1> subject = Hi
        + message:<1> to = ["ada@example.org"]
        + message:<1> v = 1
        + rq:job:<1> created_at = <host time>
        + rq:job:<1> data = ["sesq.worker.send", null, ["<1>"], {}]
        + rq:job:<1> description = sesq message <1>
        + rq:job:<1> enqueued_at = <host time>
        + rq:job:<1> origin = transactional
        + rq:job:<1> status = scheduled
        + rq:queues rq:queue:transactional = in it
        + rq:scheduled:transactional <1> = now+60
        + sesq:accounts default = in it
        + state:scheduled <1> = now
        ! wake = urgent
    """)


def test_mail_for_later_than_others_wakes_nobody(scene: Scene) -> None:
    scene.queue(send_at=at(scene.now + 60))
    scene.see()
    scene.queue(send_at=at(scene.now + 61))
    scene.expect("""
        + content:<2> = {"v":1,"subject":"Hi","text":"Hello."}
        + message:<2> created = now
        + message:<2> day = 1
        + message:<2> history 0 = [now,"scheduled",""]
        + message:<2> keep = 1209600
        + message:<2> queue = transactional
        + message:<2> rate = 1
        + message:<2> send_at = now+61
        + message:<2> sender = Shop <shop@example.com>
        + message:<2> since = now
        + message:<2> state = scheduled
        + message:<2> subject = Hi
        + message:<2> to = ["ada@example.org"]
        + message:<2> v = 1
        + rq:job:<2> created_at = <host time>
        + rq:job:<2> data = ["sesq.worker.send", null, ["<2>"], {}]
        + rq:job:<2> description = sesq message <2>
        + rq:job:<2> enqueued_at = <host time>
        + rq:job:<2> origin = transactional
        + rq:job:<2> status = scheduled
        + rq:scheduled:transactional <2> = now+61
        + state:scheduled <2> = now
    """)


def test_mail_whose_time_has_come_goes_at_once(scene: Scene) -> None:
    scene.queue(send_at=at(scene.now))
    scene.expect("""
        + content:<1> = {"v":1,"subject":"Hi","text":"Hello."}
        + message:<1> created = now
        + message:<1> day = 1
        + message:<1> history 0 = [now,"queued",""]
        + message:<1> keep = 1209600
        + message:<1> queue = transactional
        + message:<1> rate = 1
        + message:<1> send_at = now
        + message:<1> sender = Shop <shop@example.com>
        + message:<1> since = now
        + message:<1> state = queued
        + message:<1> subject = Hi
        + message:<1> to = ["ada@example.org"]
        + message:<1> v = 1
        + rq:job:<1> created_at = <host time>
        + rq:job:<1> data = ["sesq.worker.send", null, ["<1>"], {}]
        + rq:job:<1> description = sesq message <1>
        + rq:job:<1> enqueued_at = <host time>
        + rq:job:<1> origin = transactional
        + rq:job:<1> status = queued
        + rq:queue:transactional = <1>
        + rq:queues rq:queue:transactional = in it
        + sesq:accounts default = in it
        + state:queued <1> = now
        ! wake = urgent
    """)


def test_an_idempotency_key_is_remembered_for_a_day(scene: Scene) -> None:
    first = scene.queue(idempotency_key="order 7")
    scene.expect("""
        + content:<1> = {"v":1,"subject":"Hi","text":"Hello."}
        + idempotency:<digest> = <1> <digest>
        + idempotency:<digest> TTL = 24h
        + message:<1> created = now
        + message:<1> day = 1
        + message:<1> history 0 = [now,"queued",""]
        + message:<1> keep = 1209600
        + message:<1> queue = transactional
        + message:<1> rate = 1
        + message:<1> sender = Shop <shop@example.com>
        + message:<1> since = now
        + message:<1> state = queued
        + message:<1> subject = Hi
        + message:<1> to = ["ada@example.org"]
        + message:<1> v = 1
        + rq:job:<1> created_at = <host time>
        + rq:job:<1> data = ["sesq.worker.send", null, ["<1>"], {}]
        + rq:job:<1> description = sesq message <1>
        + rq:job:<1> enqueued_at = <host time>
        + rq:job:<1> origin = transactional
        + rq:job:<1> status = queued
        + rq:queue:transactional = <1>
        + rq:queues rq:queue:transactional = in it
        + sesq:accounts default = in it
        + state:queued <1> = now
        ! wake = urgent
    """)
    # and with the same key nothing changes
    assert scene.queue(idempotency_key="order 7") == first
    with pytest.raises(InvalidMessage):
        scene.queue(idempotency_key="order 7", subject="Another")
    scene.expect("")


def test_large_content_is_kept_as_it_is(scene: Scene) -> None:
    scene.queue(text="x" * 70_000)
    scene.expect("""
        + content:<1> = {"v":1,"subject":"Hi","text":"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx… (70032)
        + message:<1> created = now
        + message:<1> day = 1
        + message:<1> history 0 = [now,"queued",""]
        + message:<1> keep = 1209600
        + message:<1> queue = transactional
        + message:<1> rate = 1
        + message:<1> sender = Shop <shop@example.com>
        + message:<1> since = now
        + message:<1> state = queued
        + message:<1> subject = Hi
        + message:<1> to = ["ada@example.org"]
        + message:<1> v = 1
        + rq:job:<1> created_at = <host time>
        + rq:job:<1> data = ["sesq.worker.send", null, ["<1>"], {}]
        + rq:job:<1> description = sesq message <1>
        + rq:job:<1> enqueued_at = <host time>
        + rq:job:<1> origin = transactional
        + rq:job:<1> status = queued
        + rq:queue:transactional = <1>
        + rq:queues rq:queue:transactional = in it
        + sesq:accounts default = in it
        + state:queued <1> = now
        ! wake = urgent
    """)
