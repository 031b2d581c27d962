"""All that changes in Redis when SES tells of a mail."""

from __future__ import annotations

import json

import pytest

from scene import Scene
from sesq.queue.states import State
from sesq.worker.events import Feedback, Handled


@pytest.fixture
def sent(scene: Scene) -> str:
    """A mail that was sent."""
    grant = scene.granted()
    scene.settle(grant, State.SENT, "m-1", message_id="m-1", attempts=1)
    scene.pass_time(3)
    scene.see()
    return grant.id


def test_it_was_delivered(scene: Scene, sent: str) -> None:
    scene.event(sent, "Delivery")
    scene.expect("""
        - content:<1> = {"v":1,"subject":"Hi","text":"Hello."}
        - content:<1> TTL = 14d
        + counters delivered = 1
        + event:633f3dbf1cebdf3328ff1824c152be1b = 1
        + event:633f3dbf1cebdf3328ff1824c152be1b TTL = 14d
        + message:<1> history 3 = [now,"delivered","250 ok"]
        + message:<1> rank = 3
        ~ message:<1> reason = m-1 -> 250 ok
        ~ message:<1> since = now-3 -> now
        ~ message:<1> state = sent -> delivered
        + state:delivered <1> = now
        - state:sent <1> = now-3
    """)
    # and the same event once more changes nothing
    scene.event(sent, "Delivery")
    scene.expect("")


def test_its_delivery_is_delayed_until_it_is_delivered(scene: Scene, sent: str) -> None:
    scene.event(sent, "DeliveryDelay")
    scene.expect("""
        + event:543543634bdafd42b289e6933ecd8883 = noted
        + event:543543634bdafd42b289e6933ecd8883 TTL = 14d
        + message:<1> delayed_because = delayed to ada@example.org (MailboxFull): the mailbox is full
        + message:<1> history 3 = [now,"sent","delayed to ada@example.org (MailboxFull): the mailbox… (76)
    """)
    # and the same event once more changes nothing
    scene.event(sent, "DeliveryDelay")
    scene.expect("")
    scene.event(sent, "Delivery")
    scene.expect("""
        - content:<1> = {"v":1,"subject":"Hi","text":"Hello."}
        - content:<1> TTL = 14d
        + counters delivered = 1
        + event:633f3dbf1cebdf3328ff1824c152be1b = 1
        + event:633f3dbf1cebdf3328ff1824c152be1b TTL = 14d
        ~ message:<1> delayed_because = delayed to ada@example.org (MailboxFull): the mailbox is full -> '… (67)
        + message:<1> history 4 = [now,"delivered","250 ok"]
        + message:<1> rank = 3
        ~ message:<1> reason = m-1 -> 250 ok
        ~ message:<1> since = now-3 -> now
        ~ message:<1> state = sent -> delivered
        + state:delivered <1> = now
        - state:sent <1> = now-3
    """)


def test_it_bounced_for_good(scene: Scene, sent: str) -> None:
    scene.event(sent, "Bounce")
    scene.expect("""
        - content:<1> = {"v":1,"subject":"Hi","text":"Hello."}
        - content:<1> TTL = 14d
        + counters bounced = 1
        + event:d13d625a95d3389b77677fe444791bf9 = 1
        + event:d13d625a95d3389b77677fe444791bf9 TTL = 14d
        + message:<1> history 3 = [now,"bounced","Permanent bounce (General) of ada@example.org"]
        + message:<1> rank = 4
        ~ message:<1> reason = m-1 -> Permanent bounce (General) of ada@example.org
        ~ message:<1> since = now-3 -> now
        ~ message:<1> state = sent -> bounced
        + origins:domain:bounced:19675 TTL = 8d
        + origins:domain:bounced:19675 example.org = 1.0
        + origins:domain:sent:19675 TTL = 8d
        + origins:domain:sent:19675 example.org = 0.0
        + reputation 472222:bounced = 1
        + reputation level = fine
        + state:bounced <1> = now
        - state:sent <1> = now-3
        + suppression ada@example.org = {"reason": "bounce", "at": now, "source": "event of m-1"}
    """)


def test_somebody_complains_of_it_after_it_was_delivered(scene: Scene, sent: str) -> None:
    scene.event(sent, "Delivery")
    scene.see()
    scene.event(sent, "Complaint")
    scene.expect("""
        + counters complained = 1
        + event:b0b867fc83a86344ef8b31984e7c7069 = 1
        + event:b0b867fc83a86344ef8b31984e7c7069 TTL = 14d
        + message:<1> history 4 = [now,"complained","complaint by ada@example.org"]
        ~ message:<1> rank = 3 -> 5
        ~ message:<1> reason = 250 ok -> complaint by ada@example.org
        ~ message:<1> state = delivered -> complained
        + origins:domain:complained:19675 TTL = 8d
        + origins:domain:complained:19675 example.org = 1.0
        + origins:domain:sent:19675 TTL = 8d
        + origins:domain:sent:19675 example.org = 0.0
        + reputation 472222:complained = 1
        + reputation level = fine
        + state:complained <1> = now
        - state:delivered <1> = now
        + suppression ada@example.org = {"reason": "complaint", "at": now, "source": "event of m-1"}
    """)
    # and what is worth less comes too late
    scene.event(sent, "Bounce")
    scene.expect("""
        + event:d13d625a95d3389b77677fe444791bf9 = 1
        + event:d13d625a95d3389b77677fe444791bf9 TTL = 14d
        + origins:domain:bounced:19675 TTL = 8d
        + origins:domain:bounced:19675 example.org = 1.0
        + reputation 472222:bounced = 1
    """)


def test_ses_had_taken_what_is_unknown(scene: Scene) -> None:
    grant = scene.granted()
    scene.settle(grant, State.UNKNOWN, attempts=1)
    scene.see()
    scene.event(grant.id, "Send")
    scene.expect("""
        - content:<1> = {"v":1,"subject":"Hi","text":"Hello."}
        + counters sent = 1
        + counters wait:0.1 = 1
        + counters wait:sum = 0
        + event:4456ac5554e9ac190d1338a5f91cb54b = 1
        + event:4456ac5554e9ac190d1338a5f91cb54b TTL = 60min
        + message:<1> TTL = 14d
        + message:<1> history 3 = [now,"sent","m-1"]
        + message:<1> message_id = m-1
        + message:<1> rank = 1
        ~ message:<1> reason = Because. -> m-1
        ~ message:<1> state = unknown -> sent
        + origins:domain:sent:19675 TTL = 8d
        + origins:domain:sent:19675 example.org = 1.0
        + reputation 472222:sent = 1
        - rq:deferred:transactional <1> = now
        + rq:finished:transactional <1> = real+14d
        + rq:job:<1> TTL = 14d
        ~ rq:job:<1> status = deferred -> finished
        + state:sent <1> = now
        - state:unknown <1> = now
    """)


def test_ses_had_taken_and_delivered_what_is_queued_again(scene: Scene) -> None:
    grant = scene.granted()
    scene.queue()
    scene.settle(grant, State.QUEUED, attempts=1, unsure=True)
    scene.queue()
    scene.see()
    scene.event(grant.id, "Delivery")
    scene.expect("""
        - content:<1> = {"v":1,"subject":"Hi","text":"Hello."}
        + counters delivered = 1
        + counters sent = 1
        + counters wait:0.1 = 1
        + counters wait:sum = 0
        + event:633f3dbf1cebdf3328ff1824c152be1b = 1
        + event:633f3dbf1cebdf3328ff1824c152be1b TTL = 14d
        + message:<1> TTL = 14d
        + message:<1> history 3 = [now,"sent","m-1"]
        + message:<1> history 4 = [now,"delivered","250 ok"]
        + message:<1> message_id = m-1
        + message:<1> rank = 3
        ~ message:<1> reason = Because. -> 250 ok
        ~ message:<1> state = queued -> delivered
        + rq:finished:transactional <1> = real+14d
        + rq:job:<1> TTL = 14d
        ~ rq:job:<1> status = queued -> finished
        + stale:transactional <1> = in it
        + state:delivered <1> = now
        - state:queued <1> = now
    """)


def test_it_comes_before_the_answer_of_ses(scene: Scene) -> None:
    grant = scene.granted()
    scene.event(grant.id, "Send", "m-9")
    scene.expect("""
        - content:<1> = {"v":1,"subject":"Hi","text":"Hello."}
        + counters sent = 1
        + counters wait:0.1 = 1
        + counters wait:sum = 0
        + event:6889d5754d191ebe5a2607c5a7266be6 = 1
        + event:6889d5754d191ebe5a2607c5a7266be6 TTL = 60min
        - leases <1> = now+30
        + message:<1> TTL = 14d
        + message:<1> attempts = 1
        + message:<1> history 2 = [now,"sent","m-9"]
        + message:<1> message_id = m-9
        + message:<1> rank = 1
        ~ message:<1> reason = w -> m-9
        ~ message:<1> state = sending -> sent
        + origins:domain:sent:19675 TTL = 8d
        + origins:domain:sent:19675 example.org = 1.0
        + reputation 472222:sent = 1
        + rq:finished:transactional <1> = real+14d
        + rq:job:<1> TTL = 14d
        ~ rq:job:<1> status = started -> finished
        ~ rq:job:<1> worker_name = w -> ''
        - rq:wip:transactional <1>:x-1 = inf
        - state:sending <1> = now
        + state:sent <1> = now
    """)


def test_nobody_knows_the_mail(scene: Scene) -> None:
    scene.event("", "Bounce")
    scene.expect("""
        + event:d13d625a95d3389b77677fe444791bf9 = 1
        + event:d13d625a95d3389b77677fe444791bf9 TTL = 14d
        + origins:domain:bounced:19675 TTL = 8d
        + origins:domain:bounced:19675 example.org = 1.0
        + origins:domain:sent:19675 TTL = 8d
        + origins:domain:sent:19675 example.org = 0.0
        + reputation 472222:bounced = 1
        + reputation level = fine
        + suppression ada@example.org = {"reason": "bounce", "at": now, "source": "event of m-1"}
    """)


def test_a_notice_comes_a_second_time(scene: Scene) -> None:
    topic = "arn:aws:sns:us-east-1:123456789012:events"
    notice = json.dumps({"Type": "UnsubscribeConfirmation", "TopicArn": topic, "MessageId": "n-1"})
    feedback = Feedback(scene.redis, "default")
    assert feedback.handle(notice) is Handled.NOTICE
    first = feedback.notices()
    assert [told["at"] for told in first] == [scene.now]
    # When SNS gives it again later, Then it keeps the time when it first came
    scene.see()
    scene.pass_time(3600)
    assert feedback.handle(notice) is Handled.NOTICE
    scene.expect("")
    assert feedback.notices() == first


@pytest.mark.parametrize(
    ("named", "listed"),
    [
        (["ada@example.org"], True),
        (["ada@example.org", "ada@example.org"], True),
        (["ada@example.org", "bob@example.org"], False),
        (["ada@example.org", "complaint@simulator.amazonses.com"], False),
    ],
)
def test_who_complained_is_listed_where_nobody_else_may_have(
    scene: Scene, sent: str, named: list[str], listed: bool
) -> None:
    complaint = {"feedbackId": "c", "complainedRecipients": [{"emailAddress": each} for each in named]}
    mail = {"messageId": "m-1", "destination": named, "tags": {"sesq-id": [sent]}}
    told = json.dumps({"eventType": "Complaint", "mail": mail, "complaint": complaint})
    assert Feedback(scene.redis, "default").handle(told) is Handled.APPLIED
    found = {address.decode() for address in scene.redis.hkeys(scene.keys.suppression)}
    assert found == ({"ada@example.org"} if listed else set())
