"""All that changes in Redis when several messages are queued in one call."""

from __future__ import annotations

from scene import Scene, at
from sesq.config.errors import InvalidMessage
from sesq.producer import Message


def mail(**options: object) -> Message:
    given = {"sender": "shop@example.com", "to": "ada@example.org", "text": "Hello.", **options}
    return Message(**given)  # type: ignore[arg-type]


def test_new_ones_known_ones_and_a_conflict(scene: Scene) -> None:
    first = scene.queue(idempotency_key="order 7")
    scene.see()
    answers = scene.outbox.try_send_many(
        [
            mail(subject="One"),
            mail(sender="Shop <shop@example.com>", subject="Hi", text="Hello.", idempotency_key="order 7"),
            mail(subject="Later", send_at=at(scene.now + 60)),
            mail(subject="Another", idempotency_key="order 7"),
            mail(subject="Two", to="success@simulator.amazonses.com", idempotency_key="order 8"),
        ]
    )
    assert answers[1] == first
    assert isinstance(answers[3], InvalidMessage)
    scene.name(answers[0], answers[2], answers[4])
    scene.expect("""
        + content:<2> = {"v":1,"subject":"One","text":"Hello."}
        + content:<3> = {"v":1,"subject":"Later","text":"Hello."}
        + content:<4> = {"v":1,"subject":"Two","text":"Hello."}
        + idempotency:<digest> = <4> <digest>
        + idempotency:<digest> TTL = 24h
        + message:<2> created = now
        + message:<2> day = 1
        + message:<2> history 0 = [now,"queued",""]
        + message:<2> keep = 1209600
        + message:<2> queue = transactional
        + message:<2> rate = 1
        + message:<2> sender = shop@example.com
        + message:<2> since = now
        + message:<2> state = queued
        + message:<2> subject = One
        + message:<2> to = ["ada@example.org"]
        + message:<2> v = 1
        + message:<3> created = now
        + message:<3> day = 1
        + message:<3> history 0 = [now,"scheduled",""]
        + message:<3> keep = 1209600
        + message:<3> queue = transactional
        + message:<3> rate = 1
        + message:<3> send_at = now+60
        + message:<3> sender = shop@example.com
        + message:<3> since = now
        + message:<3> state = scheduled
        + message:<3> subject = Later
        + message:<3> to = ["ada@example.org"]
        + message:<3> v = 1
        + message:<4> created = now
        + message:<4> day = 0
        + message:<4> history 0 = [now,"queued",""]
        + message:<4> keep = 1209600
        + message:<4> queue = transactional
        + message:<4> rate = 1
        + message:<4> sender = shop@example.com
        + message:<4> since = now
        + message:<4> state = queued
        + message:<4> subject = Two
        + message:<4> to = ["success@simulator.amazonses.com"]
        + message:<4> v = 1
        + rq:job:<2> created_at = <host time>
        + rq:job:<2> data = ["sesq.worker.send", null, ["<2>"], {}]
        + rq:job:<2> description = sesq message <2>
        + rq:job:<2> enqueued_at = <host time>
        + rq:job:<2> origin = transactional
        + rq:job:<2> status = queued
        + rq:job:<3> created_at = <host time>
        + rq:job:<3> data = ["sesq.worker.send", null, ["<3>"], {}]
        + rq:job:<3> description = sesq message <3>
        + rq:job:<3> enqueued_at = <host time>
        + rq:job:<3> origin = transactional
        + rq:job:<3> status = scheduled
        + rq:job:<4> created_at = <host time>
        + rq:job:<4> data = ["sesq.worker.send", null, ["<4>"], {}]
        + rq:job:<4> description = sesq message <4>
        + rq:job:<4> enqueued_at = <host time>
        + rq:job:<4> origin = transactional
        + rq:job:<4> status = queued
        ~ rq:queue:transactional = <1> -> <1>, <2>, <4>
        + rq:scheduled:transactional <3> = now+60
        + state:queued <2> = now
        + state:queued <4> = now
        + state:scheduled <3> = now
        ! wake = urgent
    """)


def test_known_ones_alone_change_nothing(scene: Scene) -> None:
    first = scene.queue(idempotency_key="order 7")
    scene.queue(idempotency_key="order 8")
    scene.redis.srem("rq:queues", "rq:queue:sesq.default.transactional")
    scene.see()
    again = mail(sender="Shop <shop@example.com>", subject="Hi", idempotency_key="order 7")
    assert scene.outbox.try_send_many([again, again]) == [first, first]
    scene.expect("")
