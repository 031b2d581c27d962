"""A batch's recipients are told of by events too: delivered, bounced, complained, and what was unknown."""

from __future__ import annotations

from typing import Any

from agreement import assert_agreement
from sesq.queue.batches import Batches
from sesq.queue.states import State
from system import System, eventually

ROWS = 300


def test_events_of_a_batch(system: Any) -> None:
    s: System
    with system(max_send_rate=500, max_24_hour_send=10_000) as s:
        # Given a batch, some of whose recipients bounce or complain, and some of whose replies are lost
        fates = dict.fromkeys((f"p{i}@example.org" for i in range(10)), "bounce") | {
            "p10@example.org": "complaint"
        }
        s.ses.set_events(queue="ses-events", fates=fates)
        s.ses.set_faults(lose_reply={"count": 20})
        folder = s.folder / "news"
        folder.mkdir()
        (folder / "subject.txt").write_text("Hello {{ name }}")
        (folder / "body.txt").write_text("Good day, {{ name }}.")
        rows = s.folder / "rows.csv"
        rows.write_text("email,name\n" + "".join(f"p{i}@example.org,P{i}\n" for i in range(ROWS)))
        s.run("sesq.console", "batch", "send", str(folder), str(rows), "--from", "shop@example.com")
        (batch,) = Batches(s.redis).all()
        s.start_workers(1)
        eventually(lambda: s.ses.report()["accepted"] == ROWS, "SES has taken all")
        s.wait_for(State.UNKNOWN, 20)
        # When the events are read until none is left
        s.environment |= {
            "AWS_ENDPOINT_URL_SQS": s.ses.endpoint_url,
            "SESQ_ACCOUNTS__DEFAULT__EVENTS__QUEUE_URL": f"{s.ses.endpoint_url}/000000000000/ses-events",
        }
        eventually(lambda: _read(s) == 0, "the queue is empty")
        # Then every recipient's end is known, and none got it twice
        states = [recipient.state for recipient in Batches(s.redis).recipients(batch.id)]
        assert (states.count(State.BOUNCED), states.count(State.COMPLAINED)) == (10, 1)
        assert states.count(State.DELIVERED) == ROWS - 11
        assert s.ses.report()["duplicates"] == 0
        assert_agreement(s.redis)


def _read(s: System) -> int:
    s.ses.advance(31)
    s.run("sesq.console", "events", "--burst")
    return int(s.ses.set_events(queue="ses-events")["waiting"]["ses-events"])
