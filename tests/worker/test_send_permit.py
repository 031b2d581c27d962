"""Whether a message may still leave, at the bounds of its tokens and of its time."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from sesq.worker import send_permit
from sesq.worker.round_trip import UNUSED_SECONDS
from sesq.worker.send_permit import SendPermit, TooLate

LEAVE_BY, USE_BY = 100.0, 10.0


class Permit:
    """One message's permit, on a clock that the test moves."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        self.taken: list[bool] = []
        """For each time that new tokens were taken: whether the ones before were unused."""
        monkeypatch.setattr(send_permit, "time", SimpleNamespace(monotonic=lambda: self.now))
        self._permit = SendPermit(self.taken.append, LEAVE_BY, USE_BY)
        self.renew = self._permit.renew

    def check(self, now: float) -> list[bool]:
        self.now = now
        self._permit.check()
        return self.taken


@pytest.fixture
def permit(monkeypatch: pytest.MonkeyPatch) -> Permit:
    return Permit(monkeypatch)


def test_tokens_are_good_until_their_time_and_new_ones_are_taken_after_it(permit: Permit) -> None:
    assert permit.check(USE_BY) == []
    assert permit.check(USE_BY + 0.01) == [True]


def test_new_tokens_are_as_good_as_the_first_ones(permit: Permit) -> None:
    # Given tokens that were taken anew, as unused or after a try
    permit.check(50.0)
    assert permit.check(50.0 + UNUSED_SECONDS) == [True]
    permit.renew()
    assert permit.taken == [True, False]
    # Then no others are taken until their time is over, too
    assert permit.check(50.0 + 2 * UNUSED_SECONDS) == [True, False]
    assert permit.check(50.01 + 2 * UNUSED_SECONDS) == [True, False, True]


def test_a_message_leaves_before_its_time_is_over_and_not_at_its_end(permit: Permit) -> None:
    permit.check(LEAVE_BY - 0.01)
    with pytest.raises(TooLate):
        permit.check(LEAVE_BY)
