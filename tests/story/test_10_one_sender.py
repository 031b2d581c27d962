"""However many workers there are, and whatever is wrong with their hosts, SES sees one sender that keeps its rate."""

from __future__ import annotations

import signal
import time
from pathlib import Path
from typing import Any

import pytest

from judge import overdrawn
from sesq.queue.states import State
from system import System, eventually

HOUR = "3600"
SUPPORT = str(Path(__file__).parents[1] / "support")


def assert_rate_was_kept(s: System, rate: float) -> None:
    """By the record alone: no call was refused, and none was sent twice."""
    report = s.ses.report()
    assert (report["refused"], report["throttles"], report["duplicates"]) == ({}, 0, 0)
    assert overdrawn(s.ses.messages(), rate, burst=max(1.0, rate)) == []


def test_workers_whose_clocks_are_hours_apart_keep_one_rate(system: Any) -> None:
    s: System
    with system(max_send_rate=20, max_24_hour_send=90) as s:
        # Given three workers, of which one lives an hour ago and one in an hour
        s.start_workers(1)
        for shift in (HOUR, f"-{HOUR}"):
            s.start("wrong_clock", shift, "sesq.console", "worker", PYTHONPATH=SUPPORT)
        eventually(lambda: s.redis.scard("rq:workers") == 3, "three workers are up")
        before = time.time()
        # When mail is queued for more than a day
        ids = s.send(100)
        s.wait_for(State.SENT, 90)
        after = time.time()
        # Then all three have sent, within the rate and the day, and every time is Redis's
        assert_rate_was_kept(s, 20)
        assert s.ses.report()["accepted"] == 90
        records = [s.outbox.status(id) for id in ids]
        sent = [record for record in records if record.state is State.SENT]
        assert len({record.worker for record in sent}) == 3
        assert all(before - 1 < event.at < after + 1 for record in sent for event in record.history)
        # and nobody's lease was judged by a wrong clock
        assert all(record.attempts == 1 for record in sent)


def test_a_worker_that_stands_still_for_a_second_causes_no_throttle(system: Any) -> None:
    s: System
    with system(max_send_rate=30, max_24_hour_send=1000) as s:
        workers = s.start_workers(2)
        eventually(lambda: s.redis.scard("rq:workers") == 2, "both are up")
        s.send(90)
        s.wait_for(State.SENT, 20)
        workers[0].send_signal(signal.SIGSTOP)
        time.sleep(1.0)  # so long it stands still: what is tested, and no wait for anything
        workers[0].send_signal(signal.SIGCONT)
        s.wait_for(State.SENT, 90)
        assert_rate_was_kept(s, 30)


@pytest.mark.parametrize("rate", [4.0, 20.0])
def test_slow_first_calls_and_slow_answers_cause_no_throttle(system: Any, rate: float) -> None:
    s: System
    with system(max_send_rate=rate, max_24_hour_send=1000) as s:
        # Given calls that take up to 0.4 s to get there, at first, and answers that take as long
        s.ses.set_faults(slow={"seconds": 0.4, "when": "before", "count": 3})
        s.start_workers(3)
        s.send(int(rate * 2))
        s.wait_for(State.SENT, int(rate))
        s.ses.set_faults(slow={"seconds": 0.4, "when": "after", "probability": 0.5}, seed=1)
        s.wait_for(State.SENT, int(rate * 2))
        assert_rate_was_kept(s, rate)


def test_below_two_a_second_a_slow_way_in_either_direction_causes_no_throttle(system: Any) -> None:
    s: System
    with system(max_send_rate=1.5, max_24_hour_send=1000) as s:
        s.ses.set_faults(slow={"seconds": 1.0, "when": "before", "probability": 0.5}, seed=2)
        s.start_workers(2)
        s.send(5)
        s.wait_for(State.SENT, 5)
        assert_rate_was_kept(s, 1.5)
