"""SES throttles in spite of all: the pace narrows for a while, people see it, and it comes back."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from sesq.config.embedded import EmbeddedRedis
from sesq.queue.results import SendResult
from sesq.queue.states import State
from stage import Stage


@pytest.fixture
def stage(redis: Redis) -> Stage:
    return Stage(redis)


def status(server: EmbeddedRedis, folder: Path) -> dict[str, Any]:
    """`sesq status --json`, as a person calls it."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SESQ_")}
    told = subprocess.run(
        [sys.executable, "-m", "sesq.console", "status", "--json"],
        env={**environment, "SESQ_REDIS_URL": server.url},
        cwd=folder,
        capture_output=True,
        check=True,
    )
    answer: dict[str, Any] = json.loads(told.stdout)
    return answer


def throttle(stage: Stage, times: int) -> None:
    for _ in range(times):
        stage.queue()
        stage.pass_time(2)
        (granted,) = stage.claim()[1]
        throttled = SendResult(granted.grant, State.REFUSED, "Throttling", throttled=True, refund_day=True)
        stage.gate.settle([throttled])


def test_the_pace_narrows_visibly_by_half_at_most_and_comes_back(
    stage: Stage, redis_server: EmbeddedRedis, tmp_path: Path
) -> None:
    # Given a gate that SES throttles once
    pace = stage.gate.usage().pace
    throttle(stage, times=1)
    # Then a tenth of the rate is withheld, and ops see it
    seen = status(redis_server, tmp_path)
    assert seen["policy"]["pace"] == pytest.approx(pace * 0.9, rel=1e-3)
    assert seen["usage"]["throttles"] == 1
    assert any("SES throttled lately" in sentence for sentence in seen["why"])

    # When it happens again and again, then a half is withheld, and no more
    throttle(stage, times=12)
    assert stage.gate.usage().pace == pytest.approx(pace * 0.5, rel=1e-3)

    # When a minute passes without, then half of that has come back; after an hour all of it has
    stage.pass_time(60)
    assert stage.gate.usage().pace == pytest.approx(pace * 0.75, rel=1e-3)
    stage.pass_time(3600)
    seen = status(redis_server, tmp_path)
    assert seen["policy"]["pace"] == pytest.approx(pace)
    assert not any("throttled" in sentence for sentence in seen["why"])
