"""The reply is lost after the mail has left: nobody knows. It is sent again where a policy or a person says so."""

from __future__ import annotations

from typing import Any

import pytest

from agreement import assert_agreement
from sesq.queue.states import State
from system import System, eventually


def test_a_lost_reply_is_not_sent_again_unasked(system: Any) -> None:
    s: System
    with system(max_send_rate=50, max_24_hour_send=1000) as s:
        s.ses.set_faults(lose_reply={"count": 3})
        ids = s.send(10)
        s.start_workers(2)
        s.wait_for(State.SENT, 7)
        s.wait_for(State.UNKNOWN, 3)
        unknown = [id for id in ids if s.outbox.status(id).state is State.UNKNOWN]
        assert all(s.outbox.status(id).attempts == 1 for id in unknown)
        assert all("may have been sent" in s.outbox.status(id).reason for id in unknown)
        report = s.ses.report()
        assert (report["accepted"], report["duplicates"]) == (10, 0)
        # SES has counted them, and so have we
        assert s.gate.usage().total == 10
        assert_agreement(s.redis)

        # When a person settles them
        s.run("sesq.console", "messages", "resolve", unknown[0], "--as", "sent")
        s.run("sesq.console", "messages", "resolve", unknown[1], "--as", "failed")
        s.run("sesq.console", "messages", "resolve", unknown[2], "--as", "queued")
        s.wait_for(State.SENT, 9)
        assert s.outbox.status(unknown[1]).state is State.FAILED
        # Then only what was to be sent again was sent again
        assert s.ses.report()["duplicates"] == 1
        assert_agreement(s.redis)


@pytest.mark.parametrize("settings", [{"SESQ_ON_UNKNOWN": "resend"}, {}], ids=["account", "message"])
def test_where_the_policy_is_resend_it_is_sent_again(system: Any, settings: dict[str, str]) -> None:
    s: System
    with system(max_send_rate=50, max_24_hour_send=1000, settings=settings) as s:
        s.ses.set_faults(lose_reply={"count": 1})
        id = s.outbox.send(s.mail(on_unknown=None if settings else "resend"))
        s.start_workers(1)
        s.wait_for(State.RETRYING, 1)
        record = s.outbox.status(id)
        assert (record.attempts, s.ses.report()["accepted"]) == (1, 1)
        s.move_clocks(10)
        s.wait_for(State.SENT, 1)
        assert s.outbox.status(id).attempts == 2
        assert s.ses.report()["duplicates"] == 1
        assert_agreement(s.redis)


def test_a_reset_connection_and_a_late_failure_are_unknown_too(system: Any) -> None:
    s: System
    with system(max_send_rate=50, max_24_hour_send=1000) as s:
        s.ses.set_faults(reset={"count": 1}, internal_error={"count": 1})
        s.send(2)
        s.start_workers(1)
        s.wait_for(State.UNKNOWN, 2)
        assert_agreement(s.redis)
        s.ses.set_faults()
        s.send(2)
        s.wait_for(State.SENT, 2)
        eventually(lambda: s.count(State.UNKNOWN) == 2, "they stay unknown")
