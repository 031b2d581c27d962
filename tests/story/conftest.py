"""Stories run on real parts: Redis, worker processes, boto3, and SES on localhost."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path

import pytest
from redis import Redis

from sesq.config.embedded import EmbeddedRedis
from system import System, running_system

SystemFactory = Callable[..., AbstractContextManager[System]]


@pytest.fixture
def system(redis: Redis, redis_server: EmbeddedRedis, tmp_path: Path) -> SystemFactory:
    """`with system(max_send_rate=20) as s:`: see `running_system`."""
    return partial(running_system, redis, redis_server.url, tmp_path)
