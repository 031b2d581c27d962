"""What several files test: an account in which nothing is wrong, and one whose state is looked at."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from redis import Redis

from healthy import Healthy
from scene import Scene
from sesq.config.embedded import EmbeddedRedis
from sesq.queue.careful_redis import connect


@pytest.fixture(scope="module")
def built(redis_server: EmbeddedRedis) -> Iterator[tuple[Healthy, list[tuple[bytes, int, bytes]]]]:
    """Made once, and put back for each test."""
    client = connect(redis_server.url)
    client.flushall()
    made = Healthy(client)
    yield made, made.saved()
    client.close()


@pytest.fixture
def healthy(built: tuple[Healthy, list[tuple[bytes, int, bytes]]], redis: Redis) -> Healthy:
    made, saved = built
    redis.flushall()
    made.restore(saved)
    return made


@pytest.fixture
def scene(redis: Redis) -> Iterator[Scene]:
    """An account in production at 100 a second, whose state in Redis is looked at after each step."""
    scene = Scene(redis)
    yield scene
    scene.close()
