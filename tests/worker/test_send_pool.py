"""How many threads send the mail of one account."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import pytest

from sesq.queue.envelope import Envelope
from sesq.queue.grants import Grant, Started
from sesq.queue.results import SendResult
from sesq.queue.states import State
from sesq.worker import send_pool
from sesq.worker.send_pool import FEW_THREADS, NEAR_SECONDS, SendPool
from sesq.worker.sending import Sender
from sesq.worker.threads import Task, Threads

SIZE = 16
VALID_SECONDS = 100.0


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


class Server:
    """Answers each message after some seconds of the test's clock."""

    def __init__(self, clock: Clock) -> None:
        self.clock, self.seconds, self.state = clock, 0.0, State.SENT

    def send_message(self, started: Started) -> SendResult:
        self.clock.now += self.seconds
        sent = self.state is State.SENT
        return SendResult(started.grant, self.state, message_id="0100-1" if sent else None)


class HeldThreads:
    """Counts the threads that are asked for. They begin when the test lets them run."""

    def __init__(self) -> None:
        self.tasks: list[Task] = []

    def run(self, task: Task) -> None:
        self.tasks.append(task)

    def let_run(self) -> None:
        tasks, self.tasks = self.tasks, []
        for task in tasks:
            task()


class Pool:
    def __init__(self) -> None:
        self.clock, self.threads, self.results = Clock(), HeldThreads(), list[SendResult]()
        self.server = Server(self.clock)
        self.pool = SendPool(
            SIZE, "w", cast("Sender", self.server), self.results.append, cast("Threads", self.threads)
        )

    def put(self, count: int) -> int:
        """Starts so many messages. Returns how many threads were asked for."""
        for number in range(count):
            grant = Grant(f"m{number}", "claim", self.clock.now + VALID_SECONDS)
            self.pool.send(Started(grant, Envelope(sender="a@b.example"), 0, 0, b""))
        return len(self.threads.tasks)

    def answer(self, seconds: float, state: State = State.SENT) -> None:
        """Lets one message be answered after so many seconds."""
        self.server.seconds, self.server.state = seconds, state
        self.put(1)
        self.threads.let_run()


@pytest.fixture
def pool(monkeypatch: pytest.MonkeyPatch) -> Pool:
    made = Pool()
    monkeypatch.setattr(send_pool, "time", SimpleNamespace(monotonic=made.clock.monotonic))
    return made


def test_all_threads_send_until_the_first_answer_and_to_a_server_far_away(pool: Pool) -> None:
    # Given a server of which nothing is known, When much mail is to go, Then all threads are used
    pool.server.seconds = 2 * NEAR_SECONDS
    assert pool.put(50) == SIZE
    # And given that it takes longer to answer than a server nearby, Then too
    pool.threads.let_run()
    assert pool.put(50) == SIZE


def test_few_threads_send_to_a_server_nearby(pool: Pool) -> None:
    # Given a server that answers at once, When much mail is to go, Then a few threads are used
    pool.answer(NEAR_SECONDS / 2)
    assert pool.put(50) == FEW_THREADS
    # And these send all of it
    pool.threads.let_run()
    assert len(pool.results) == 51


def test_threads_that_are_too_many_end_as_soon_as_the_server_is_known_to_be_near(pool: Pool) -> None:
    # Given all threads, which have begun before the first answer
    pool.server.seconds = NEAR_SECONDS / 2
    pool.put(50)
    first, *others = pool.threads.tasks
    # When the first answer shows that the server is near, Then that thread leaves the mail to the others
    first()
    assert len(pool.results) == 1
    # And the last six send all of it
    for task in others:
        task()
    assert len(pool.results) == 50


def test_the_server_is_far_again_once_it_has_answered_slowly_for_a_while(pool: Pool) -> None:
    # Given a server that was near, and then answers a few dozen messages slowly
    pool.answer(NEAR_SECONDS / 2)
    for _ in range(30):
        pool.answer(1.0)
    # Then all threads are used
    assert pool.put(50) == SIZE


def test_only_mail_that_was_sent_says_how_near_the_server_is(pool: Pool) -> None:
    # Given mail that ended without a talk with the server, Then all threads are used
    pool.answer(0.0, State.REFUSED)
    assert pool.put(50) == SIZE


def test_all_threads_are_used_again_if_mail_had_to_be_given_back(pool: Pool) -> None:
    # Given a near server whose few threads hang, so that mail becomes too old
    pool.answer(NEAR_SECONDS / 2)
    pool.put(20)
    pool.clock.now += VALID_SECONDS + 1
    assert len(pool.pool.take_back_stale()) == 20
    # When more mail is to go, Then it gets the other threads
    assert pool.put(50) == SIZE
