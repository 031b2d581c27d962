"""While Redis is full, what only reads still answers: people look then of all times."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import pytest
from redis import Redis
from typer.testing import Result

from sesq.producer import Message, Outbox

MAIL = Message(sender="shop@example.com", to=["ada@example.org"], subject="Hi", text="Hello.")
SLOTS = 1442


@pytest.fixture
def full(redis: Redis) -> Iterator[str]:
    """The id of a message in a Redis that takes no more; the gate has a minute of the day before to forget."""
    id = Outbox(redis).send(MAIL)
    now = int(redis.time()[0]) // 60
    redis.setrange("sesq:default:ledger", (now - 2) % SLOTS * 4, "\5\0\0\0")
    redis.hset("sesq:default:gate", mapping={"minute": now - 5, "total": 5, "level": 0, "at": now * 60 - 300})
    redis.config_set("maxmemory", 1)
    yield id
    redis.config_set("maxmemory", 0)


@pytest.mark.parametrize(
    "words",
    [
        ("status", "--json"),
        ("messages", "list", "--json"),
        ("messages", "show", "ID", "--json"),
        ("quota", "show", "--json"),
        ("quota", "history", "--json"),
        ("suppression", "list", "--json"),
        ("batch", "list", "--json"),
    ],
)
def test_what_only_reads_answers(run: Callable[..., Result], full: str, words: tuple[str, ...]) -> None:
    result = run(*(full if word == "ID" else word for word in words))
    assert result.exit_code == 0, result.output
    json.loads(result.stdout)


def test_status_says_that_redis_is_full(run: Callable[..., Result], full: str) -> None:
    found = json.loads(run("status", "--json").stdout)
    assert found["lanes"]["transactional"]["queued"] == 1
    assert found["memory"]["limit"] == 1
    assert any("Redis is full" in sentence for sentence in found["why"])


def test_doctor_says_that_redis_is_full(run: Callable[..., Result], full: str) -> None:
    checks = {check["name"]: check for check in json.loads(run("doctor", "--json").stdout)}
    assert checks["redis"]["status"] == "ok"
    assert checks["memory"]["status"] == "fail"
    assert "maxmemory" in checks["memory"]["cure"]
