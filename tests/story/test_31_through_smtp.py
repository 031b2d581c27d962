"""The same queue, through SES's SMTP interface: limits, lost replies and events as through the API."""

from __future__ import annotations

from typing import Any

from agreement import assert_agreement
from sesq.queue.states import State
from system import System


def test_mail_goes_through_smtp_within_the_limits(system: Any) -> None:
    s: System
    with system(max_send_rate=40, max_24_hour_send=1000, smtp_port=0) as s:
        # Given more mail than may go at once, some of it over lost replies
        s.ses.set_events(queue="ses-events")
        s.ses.set_faults(lose_reply={"count": 3})
        s.send(60)
        s.outbox.send(s.mail(["ada@example.org", "eve@example.org"], bcc=["mallory@example.org"]))
        s.start_smtp_worker()
        s.wait_for(State.SENT, 58)
        s.wait_for(State.UNKNOWN, 3)
        # Then SES had nothing to refuse, and has each once, with its id
        report = s.ses.report()
        assert (report["accepted"], report["duplicates"], report["throttles"]) == (61, 0, 0)
        assert {mail["api"] for mail in s.ses.messages()} == {"smtp"}
        (to_three,) = [mail for mail in s.ses.messages(content=True) if mail["recipients"] == 3]
        assert "mallory" not in str(to_three["content"])
        # When the events are read, then what was unknown is delivered
        s.environment |= {
            "AWS_ENDPOINT_URL_SQS": s.ses.endpoint_url,
            "SESQ_ACCOUNTS__DEFAULT__EVENTS__QUEUE_URL": f"{s.ses.endpoint_url}/000000000000/ses-events",
        }
        s.run("sesq.console", "events", "--burst")
        assert s.count(State.DELIVERED) == 61
        assert "anything" not in s.log()
        assert_agreement(s.redis)
