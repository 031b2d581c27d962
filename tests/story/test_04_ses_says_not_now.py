"""SES pauses us, throttles us, calls the day spent: everything rests, nothing is lost, and it goes on by itself."""

from __future__ import annotations

from typing import Any

from agreement import assert_agreement
from sesq.queue.states import State
from system import System, eventually


def test_paused_at_ses_everything_rests_and_goes_on_by_itself(system: Any) -> None:
    s: System
    with system(max_send_rate=50, max_24_hour_send=1000) as s:
        s.start_workers(2)
        s.send(3)
        s.wait_for(State.SENT, 3)
        # Given an account that SES pauses
        s.ses.set_account(sending_enabled=False, max_send_rate=55)
        ids = s.send(30)
        # Then it is known within a sync, the mail stays queued, and SES is not asked again and again
        eventually(lambda: s.gate.usage().closed == "ses_paused", "the pause is known")
        eventually(lambda: s.gate.usage().rate == 55, "by a sync too, and not one that asked before it")
        eventually(lambda: s.count(State.SENDING) == 0, "nothing is on its way")
        refused = sum(s.ses.report()["refused"].values())
        assert s.count(State.QUEUED) == 30
        s.ses.set_account(max_send_rate=60)
        eventually(lambda: s.gate.usage().rate == 60, "another sync has come")
        assert sum(s.ses.report()["refused"].values()) == refused <= 32
        assert {s.outbox.status(id).attempts for id in ids} == {0}
        assert_agreement(s.redis)
        # When SES lets it send again
        s.ses.set_account(sending_enabled=True)
        s.wait_for(State.SENT, 33)
        assert {s.outbox.status(id).attempts for id in ids} == {1}
        assert s.ses.report()["duplicates"] == 0
        assert_agreement(s.redis)


def test_a_person_pauses_and_resumes(system: Any) -> None:
    s: System
    with system(max_send_rate=50, max_24_hour_send=1000) as s:
        s.run("sesq.console", "quota", "pause", "a look at the bounces")
        ids = s.send(5)
        s.start_workers(1)
        eventually(
            lambda: s.gate.usage().closed == "paused" and s.redis.scard("rq:workers"), "a worker waits"
        )
        assert s.ses.report()["accepted"] == 0
        s.run("sesq.console", "quota", "resume")
        s.wait_for(State.SENT, 5)
        assert all(len(s.outbox.status(id).history) == 3 for id in ids)


def test_throttled_in_spite_of_all_the_mail_goes_later_and_spends_no_attempt(system: Any) -> None:
    s: System
    with system(max_send_rate=50, max_24_hour_send=1000) as s:
        s.ses.set_faults(throttle={"count": 4})
        ids = s.send(20)
        s.start_workers(2)
        s.wait_for(State.SENT, 20)
        report = s.ses.report()
        assert (report["accepted"], report["duplicates"], report["throttles"]) == (20, 0, 4)
        assert {s.outbox.status(id).attempts for id in ids} == {1}
        assert s.gate.usage().throttles == 4
        assert s.gate.usage().slow > 0
        assert_agreement(s.redis)


def test_a_day_that_ses_calls_spent_rests_until_the_next_sync(system: Any) -> None:
    s: System
    with system(max_send_rate=50, max_24_hour_send=1000, settings={"SESQ_CONCURRENCY": "1"}) as s:
        s.ses.set_faults(daily={"count": 1})
        ids = s.send(20)
        s.start_workers(1)
        s.wait_for(State.SENT, 20)
        report = s.ses.report()
        assert (report["accepted"], report["duplicates"]) == (20, 0)
        assert sum(report["refused"].values()) == 1
        assert {s.outbox.status(id).attempts for id in ids} == {1}
        assert [e.state for e in s.outbox.status(ids[0]).history].count(State.QUEUED) == 2
        assert_agreement(s.redis)


def test_down_for_a_moment_it_is_tried_again_until_it_is_sent(system: Any) -> None:
    s: System
    with system(max_send_rate=50, max_24_hour_send=1000) as s:
        s.ses.set_faults(unavailable={"count": 2})
        ids = s.send(5)
        s.start_workers(1)
        s.wait_for(State.SENT, 5)
        assert s.ses.report()["duplicates"] == 0
        assert {s.outbox.status(id).attempts for id in ids} == {1}, "a blip is part of one delivery"
        assert_agreement(s.redis)
