"""When a write waits for a replica of Redis, by a Redis whose replicas the test decides about."""

from __future__ import annotations

from typing import Any

import pytest
from redis.exceptions import ResponseError

from sesq.queue.replicas import ASK_AGAIN_SECONDS, WAIT_MS, Replicas

ALONE: list[Any] = [b"master", 0, []]
WITH_ONE: list[Any] = [b"master", 0, [[b"10.0.0.2", b"6379", b"0"]]]


class Server:
    """The client, and the pipeline."""

    def __init__(self) -> None:
        self.role: Any = WITH_ONE
        self.said: list[tuple[Any, ...]] = []

    def execute_command(self, *words: Any) -> Any:
        self.said.append(words)
        if isinstance(self.role, Exception):
            raise self.role
        return self.role


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def replicas(server: Server, clock: Clock) -> Replicas:
    return Replicas(server, clock)  # type: ignore[arg-type]


def waits(replicas: Replicas, server: Server) -> bool:
    """Whether the next pipeline waits for a copy."""
    server.said.clear()
    there = replicas.are_there()
    if there:
        replicas.queue_wait(server)  # type: ignore[arg-type]
        assert server.said[-1] == ("WAIT", 1, WAIT_MS)
    return there


@pytest.mark.parametrize(
    ("role", "there"),
    [
        (WITH_ONE, True),
        (["master", 0, [["10.0.0.2"]]], True),
        (ALONE, False),
        ([b"slave", b"10.0.0.1", 6379, b"connected", 0], False),
        (ResponseError("NOPERM"), False),
    ],
)
def test_only_a_master_with_replicas_is_waited_for(
    replicas: Replicas, server: Server, role: Any, there: bool
) -> None:
    server.role = role
    assert waits(replicas, server) is there


def test_redis_is_asked_for_its_replicas_every_few_seconds(
    replicas: Replicas, server: Server, clock: Clock
) -> None:
    assert waits(replicas, server)
    server.role = ALONE
    clock.now += ASK_AGAIN_SECONDS
    assert waits(replicas, server)
    clock.now += 0.1
    assert not waits(replicas, server)
    assert ("ROLE",) in server.said
    assert not waits(replicas, server)
    assert server.said == []


def test_after_a_wait_in_vain_nobody_waits_for_some_seconds(
    replicas: Replicas, server: Server, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    assert waits(replicas, server)
    replicas.note(1)
    assert waits(replicas, server)
    assert caplog.text == ""
    clock.now += 3
    replicas.note(0)
    assert "500 ms" in caplog.text
    clock.now += ASK_AGAIN_SECONDS
    assert not waits(replicas, server)
    clock.now += 0.1
    assert waits(replicas, server)


def test_a_wait_that_redis_refused_is_in_vain(replicas: Replicas, server: Server) -> None:
    assert waits(replicas, server)
    replicas.note(ResponseError("NOPERM"))
    assert not waits(replicas, server)
