"""The pool of SMTP sessions, on a clock of the test's."""

from __future__ import annotations

from collections.abc import Iterator
from smtplib import SMTPResponseException
from typing import Any

import pytest

from sesq.worker.transports.smtp_pool import REGROW_SECONDS, AllBusy, SmtpPool
from sesq.worker.verdicts.smtp import NotLetIn


class FakeSession:
    sound = True
    closed = False

    def close(self) -> None:
        self.closed = True


class Scene:
    def __init__(self) -> None:
        self.now = 100.0
        self.made: list[FakeSession] = []
        self.refusals: list[int] = []
        """The codes with which the next sessions are refused."""
        self.cut: list[OSError] = []
        """With what the next connections break off."""
        self.pool = SmtpPool(self.connect, 3, clock=lambda: self.now)

    def connect(self) -> Any:
        if self.cut:
            raise self.cut.pop()
        if self.refusals:
            raise NotLetIn(self.refusals.pop(0), "No.")
        self.made.append(FakeSession())
        return self.made[-1]


@pytest.fixture
def scene() -> Iterator[Scene]:
    scene = Scene()
    yield scene
    scene.pool.close()


def test_a_session_is_used_again_until_it_has_been_idle_for_five_seconds(scene: Scene) -> None:
    for waits in (0, 4.9, 4.9):
        scene.now += waits
        with scene.pool.lend():
            pass
    assert len(scene.made) == 1
    scene.now += 5
    with scene.pool.lend():
        pass
    assert len(scene.made) == 2


def test_the_sweep_closes_what_is_idle_and_nothing_else(scene: Scene) -> None:
    with scene.pool.lend(), scene.pool.lend():
        pass
    scene.now += 3
    with scene.pool.lend() as younger:
        pass
    scene.now += 2
    scene.pool.sweep()
    assert [session.closed for session in scene.made] == [session is not younger for session in scene.made]


def test_a_broken_session_is_not_lent_again(scene: Scene) -> None:
    with scene.pool.lend() as session:
        session.sound = False  # type: ignore[misc]
    assert scene.made[0].closed
    with scene.pool.lend() as another:
        assert another is not session


def test_closing_a_connection_lowers_their_number_which_grows_again(scene: Scene) -> None:
    def too_many() -> None:
        with scene.pool.lend(), scene.pool.lend() as session:
            session.sound = False  # type: ignore[misc]
            raise SMTPResponseException(421, b"Too many concurrent SMTP connections")

    with pytest.raises(SMTPResponseException):
        too_many()
    assert scene.pool.limit == 1
    scene.now += REGROW_SECONDS
    assert scene.pool.limit == 2
    scene.now += 10 * REGROW_SECONDS
    assert scene.pool.limit == 3


def test_a_new_session_takes_the_place_of_idle_ones_where_there_would_be_too_many(scene: Scene) -> None:
    with scene.pool.lend(), scene.pool.lend(), scene.pool.lend():
        pass
    with scene.pool.lend(fresh=True):
        assert sum(not session.closed for session in scene.made) == 3


def test_a_session_that_is_one_too_many_is_not_opened_and_another_is_waited_for(scene: Scene) -> None:
    with scene.pool.lend(), scene.pool.lend():
        pass
    # Given two idle sessions
    with scene.pool.lend() as used:
        # When SES refuses a third one, since there are too many
        scene.refusals = [421]
        with scene.pool.lend(fresh=True) as lent:
            # Then the other idle one is lent, and there are to be no more than that
            assert lent in scene.made
            assert lent is not used
    assert (len(scene.made), scene.pool.limit) == (2, 2)


@pytest.mark.parametrize("code", [0, 454, 535])
def test_a_session_that_is_refused_for_another_reason_lowers_nothing(scene: Scene, code: int) -> None:
    with scene.pool.lend():
        scene.refusals = [code]
        with pytest.raises(NotLetIn), scene.pool.lend():
            pass
    assert scene.pool.limit == 3


def test_a_session_that_cannot_be_opened_gives_its_place_back(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given three connections that break off, where there is room for three sessions
    monkeypatch.setattr("sesq.worker.transports.smtp_pool.WAIT_SECONDS", 0)
    for _ in range(3):
        scene.cut = [ConnectionResetError()]
        with pytest.raises(ConnectionResetError), scene.pool.lend():
            pass
    # When mail is to go, Then there is room for three as before, and no more
    with scene.pool.lend(), scene.pool.lend(), scene.pool.lend(), pytest.raises(AllBusy), scene.pool.lend():
        pass
    assert len(scene.made) == 3


def test_a_session_that_is_refused_gives_its_place_back(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given as many refusals as there is room for
    monkeypatch.setattr("sesq.worker.transports.smtp_pool.WAIT_SECONDS", 0)
    for _ in range(3):
        scene.refusals = [454]
        with pytest.raises(NotLetIn), scene.pool.lend():
            pass
    # When mail is to go, Then there is room
    with scene.pool.lend(), scene.pool.lend(), scene.pool.lend():
        pass
    assert len(scene.made) == 3
