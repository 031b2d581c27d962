"""Two hundred replies are lost. SES's events say what became of that mail, and nobody gets it twice."""

from __future__ import annotations

from typing import Any

from agreement import assert_agreement
from sesq.queue.policy import Policy
from sesq.queue.states import State
from system import System, eventually

LOST = 200
QUEUE = "/000000000000/ses-events"


def start_listening(s: System) -> None:
    """`sesq events`, on the queue that the simulator fills."""
    url = s.ses.endpoint_url
    s.start(
        "sesq.console",
        "events",
        AWS_ENDPOINT_URL_SQS=url,
        SESQ_ACCOUNTS__DEFAULT__EVENTS__QUEUE_URL=url + QUEUE,
    )


def test_events_settle_every_unknown_and_nothing_is_sent_twice(system: Any) -> None:
    s: System
    with system(max_send_rate=500, max_24_hour_send=10_000) as s:
        # Given SES, which takes mail and whose replies are lost
        s.ses.set_events(queue="ses-events", fates={f"person{i}@example.org": "bounce" for i in range(50)})
        s.ses.set_faults(lose_reply={"count": LOST})
        ids = s.send(LOST + 40)
        s.start_workers(2)
        s.wait_for(State.UNKNOWN, LOST)
        # When its events are read, while two readers share the queue
        for _ in range(2):
            start_listening(s)
        s.wait_for(State.DELIVERED, LOST + 40 - 50)
        s.wait_for(State.BOUNCED, 50)
        # Then no message is unknown, each has the MessageId that SES gave it, and SES took each once
        accepted = {mail["tags"]["sesq-id"]: mail["id"] for mail in s.ses.messages() if mail["accepted"]}
        assert s.count(State.UNKNOWN) == 0
        assert {id: s.outbox.status(id).message_id for id in ids} == accepted
        report = s.ses.report()
        assert (report["accepted"], report["duplicates"]) == (LOST + 40, 0)
        assert_agreement(s.redis)

        # And who bounced gets no more, at the cost of no quota
        eventually(lambda: s.redis.hlen(s.keys.suppression) == 50, "all are on the list")
        s.ses.set_faults()
        again = s.outbox.send(s.mail("person7@example.org"))
        s.wait_for(State.SUPPRESSED, 1)
        assert "bounce" in s.outbox.status(again).reason
        assert s.ses.report()["accepted"] == LOST + 40
        assert s.gate.usage().total == LOST + 40
        assert_agreement(s.redis)


def test_where_the_policy_is_to_resend_the_event_comes_first(system: Any) -> None:
    s: System
    with system(max_send_rate=50, max_24_hour_send=1000, settings={"SESQ_ON_UNKNOWN": "resend"}) as s:
        # Given lost replies, after which mail is sent again in a while
        s.ses.set_events(queue="ses-events")
        s.ses.set_faults(lose_reply={"count": 5})
        s.send(5)
        s.start_workers(1)
        s.wait_for(State.RETRYING, 5)
        # When the events are read before that (nothing goes while the reader starts)
        policy = Policy(s.redis)
        policy.pause("a reader of events starts", by="the test")
        start_listening(s)
        s.wait_for(State.DELIVERED, 5)
        policy.resume(by="the test")
        s.move_clocks(3600)
        s.send(1)
        s.wait_for(State.DELIVERED, 6)
        # Then nothing is sent again
        assert s.ses.report()["duplicates"] == 0
        assert_agreement(s.redis)
