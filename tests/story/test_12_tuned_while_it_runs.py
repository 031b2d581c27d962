"""The limits are changed while workers run: each change holds from the next claim on, in every process."""

from __future__ import annotations

import json
from typing import Any

import pytest

from judge import Call, accepted, overdrawn
from sesq.queue.policy import Policy
from sesq.queue.states import State
from system import System, eventually

UNUSED_SECONDS = 0.25
"""What was granted by the old limits has left by then, or has gone back."""


def changed_at(s: System) -> float:
    """When the newest change was made, by Redis's clock, which is this host's as SES's is."""
    return float(Policy(s.redis).history(1)[0]["at"])


def after(s: System, moment: float, until: float = float("inf")) -> list[Call]:
    return [call for call in accepted(s.ses.messages()) if moment <= call["at"] < until]


def set_quota(s: System, *words: str) -> float:
    s.run("sesq.console", "quota", "set", *words)
    return changed_at(s)


def test_a_rate_that_is_raised_and_lowered_is_followed_by_all(system: Any) -> None:
    s: System
    with system(max_send_rate=100, max_24_hour_send=10_000) as s:
        set_quota(s, "--rate", "2")
        s.start_workers(3)
        s.send(3000)  # more than is sent while a command starts on a busy machine
        s.wait_for(State.SENT, 4)
        # When it is raised
        raised = set_quota(s, "--rate", "60/second")
        s.wait_for(State.SENT, 60)
        # and lowered
        lowered = set_quota(s, "--rate", "4")
        sent = s.ses.report()["accepted"]
        assert sent < 3000
        s.wait_for(State.SENT, sent + 6)
        # Then it was 2 a second before, far more in between, and 4 a second after
        assert overdrawn(after(s, 0, raised), rate=2, burst=2) == []
        assert overdrawn(after(s, raised, lowered), rate=2, burst=20) != []
        # (on a busy machine calls that left in their turn may reach SES together)
        assert overdrawn(after(s, raised, lowered), rate=60, burst=100) == []
        assert overdrawn(after(s, lowered + UNUSED_SECONDS), rate=4, burst=4) == []
        assert (s.ses.report()["refused"], s.ses.report()["duplicates"]) == ({}, 0)
        # and all is in the history
        history = json.loads(s.run("sesq.console", "quota", "history", "--json"))
        assert len(history) == 3


def test_a_limit_for_a_time_ends_by_itself(system: Any) -> None:
    s: System
    with system(max_send_rate=50, max_24_hour_send=1000) as s:
        start = set_quota(s, "--rate", "3", "--for", "1h")
        s.start_workers(2)
        s.send(100)
        s.wait_for(State.SENT, 5)
        assert overdrawn(after(s, start), rate=3, burst=3) == []
        assert s.count(State.QUEUED) > 50
        s.move_clocks(3600)
        s.wait_for(State.SENT, 100)
        assert s.gate.usage().rate == 50
        report = s.ses.report()
        assert (report["accepted"], report["refused"]) == (100, {})


@pytest.mark.parametrize("reserve", ["5", "25%"])
def test_the_last_of_the_day_is_kept_for_the_urgent(system: Any, reserve: str) -> None:
    s: System
    with system(max_send_rate=50, max_24_hour_send=20) as s:
        set_quota(s, "--reserve", reserve)
        s.start_workers(2)
        bulk = s.send(30, lane="bulk")
        s.wait_for(State.SENT, 15)
        eventually(lambda: s.gate.usage().lanes[1]["room_at"] > s.gate.usage().now, "bulk waits for its day")
        urgent = s.send(8)
        s.wait_for(State.SENT, 20)
        assert sum(s.outbox.status(id).state is State.SENT for id in urgent) == 5
        assert sum(s.outbox.status(id).state is State.SENT for id in bulk) == 15
        assert (s.ses.report()["accepted"], s.ses.report()["refused"]) == (20, {})


def test_what_makes_no_sense_is_refused_and_the_old_limits_hold(system: Any) -> None:
    s: System
    with system(max_send_rate=50, max_24_hour_send=20) as s:
        s.start_workers(1)
        s.send(1)
        s.wait_for(State.SENT, 1)
        set_quota(s, "--rate", "10", "--reserve", "2")
        before = s.redis.hgetall(s.keys.policy)
        for words in (("--rate", "0"), ("--rate", "51")):
            refused = s.start("sesq.console", "quota", "set", *words)
            assert refused.wait(timeout=60) != 0, words
        assert s.redis.hgetall(s.keys.policy) == before
        assert s.gate.usage().rate == 10
        assert "Traceback" not in s.log()
