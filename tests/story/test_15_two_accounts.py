"""One worker serves two accounts: whatever one of them waits for, the other does not."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

import pytest

from judge import accepted, overdrawn
from sesq.queue.gate import Gate
from sesq.queue.messages import Messages
from sesq.queue.policy import Policy
from sesq.queue.states import State
from system import System, eventually

REGION = "eu-west-1"
MAILS = 60


@pytest.fixture
def accounts(system: Any) -> AbstractContextManager[System]:
    """`default` at 30 a second in one region, `shop` at 1 a second and 5 a day in another; four threads for each."""
    shop = {"SESQ_ACCOUNTS__SHOP__REGION": REGION, "SESQ_CONCURRENCY": "4"}
    both: AbstractContextManager[System] = system(max_send_rate=30, max_24_hour_send=1000, settings=shop)
    return both


def set_up_shop(s: System, **limits: Any) -> None:
    s.environment["SESQ_ACCOUNTS__SHOP__ENDPOINT_URL"] = s.ses.endpoint_url
    s.ses.verify("example.com", region=REGION)
    s.ses.set_account(region=REGION, **limits)


def fill(s: System) -> None:
    """Mail for both, the other account's first."""
    s.send(MAILS, account="shop")
    s.send(MAILS)


def assert_default_was_not_held_up(s: System) -> None:
    """All its mail went at its own rate, and neither account was refused anything."""
    s.wait_for(State.SENT, MAILS)
    calls = accepted(s.ses.messages())
    assert len(calls) == MAILS
    assert overdrawn(calls, rate=30, burst=30) == []
    assert s.ses.report()["refused"] == s.ses.report(REGION)["refused"] == {}


@pytest.mark.parametrize("why", ["paused", "spent", "rate"])
def test_one_that_waits_does_not_slow_the_other(accounts: AbstractContextManager[System], why: str) -> None:
    with accounts as s:
        # Given one account that is paused, or whose day is spent, or that goes at one in five seconds
        daily = 3 if why == "spent" else 1000
        set_up_shop(s, max_send_rate=0.2 if why == "rate" else 50, max_24_hour_send=daily)
        if why == "paused":
            Policy(s.redis, "shop").pause("for the test", by="test")
        # When there is mail for both
        s.start_workers(1)
        eventually(lambda: Gate(s.redis, "shop").usage().closed != "unsynced", "both accounts are known")
        fill(s)
        assert_default_was_not_held_up(s)
        # Then the other has sent what it may, and the rest waits untouched
        most = {"paused": 0, "spent": 3, "rate": 4}[why]
        sent = s.ses.report(REGION)["accepted"]
        assert sent <= most
        counts = Messages(s.redis, "shop").counts()
        assert counts[State.QUEUED] >= MAILS - most
        assert Gate(s.redis).usage().total == MAILS


def test_one_whose_answers_are_slow_does_not_slow_the_other(
    accounts: AbstractContextManager[System],
) -> None:
    with accounts as s:
        # Given as many messages of a slow account as there are threads, and more
        set_up_shop(s, max_send_rate=50, max_24_hour_send=1000)
        s.ses.set_faults(slow={"seconds": 20, "when": "after"}, region=REGION)
        s.start_workers(1)
        s.send(MAILS, account="shop")
        eventually(lambda: s.ses.report(REGION)["accepted"] == 4, "all its threads are busy")
        # Then the other account's mail goes all the same, before any of those has been answered
        fill(s)
        assert_default_was_not_held_up(s)
        assert Messages(s.redis, "shop").counts()[State.SENT] == 0
        s.ses.set_faults(region=REGION)
        for worker in s.processes:
            worker.kill()
