"""The pool of SMTP sessions, on a clock of the test's."""

from __future__ import annotations

from collections.abc import Iterator
from smtplib import SMTPResponseException
from typing import Any

import pytest

from sesq.worker.transports.smtp_pool import REGROW_SECONDS, SmtpPool


class FakeSession:
    sound = True
    closed = False

    def close(self) -> None:
        self.closed = True


class Scene:
    def __init__(self) -> None:
        self.now = 100.0
        self.made: list[FakeSession] = []
        self.pool = SmtpPool(self.connect, 3, clock=lambda: self.now)

    def connect(self) -> Any:
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
