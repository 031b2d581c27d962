"""What Prometheus reads: its own parser takes it, the names keep its conventions, the numbers are the queue's."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from redis import Redis

from sesq.producer import Message, Outbox
from sesq.queue.policy import Policy
from sesq.queue.ramp import mind_ramp, start_ramp
from sesq.queue.reputation import Standing
from sesq.queue.states import State
from stage import Stage

Console = Callable[..., Any]
MONITORING = Path(__file__).parents[3] / "docs" / "monitoring"


@pytest.fixture
def stage(redis: Redis) -> Stage:
    return Stage(redis)


def scrape(visit: Any) -> dict[str, Any]:
    answer = visit.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    return {family.name: family for family in text_string_to_metric_families(answer.text)}


def value(families: dict[str, Any], name: str, **labels: str) -> float:
    samples = [s for family in families.values() for s in family.samples if s.name == name]
    (found,) = [s.value for s in samples if labels.items() <= s.labels.items()]
    return float(found)


def test_a_ramp_and_that_it_stands_still(console: Console, stage: Stage) -> None:
    visit = console()
    names = ("sesq_ramp_limit_recipients", "sesq_ramp_stands_still", "sesq_daily_limit_recipients")
    assert [value(scrape(visit), name) for name in names] == [math.inf, 0, 50_000]
    start_ramp(stage.redis, "default", 100, 400, 2 * 86_400, by="ada")
    assert [value(scrape(visit), name) for name in names] == [100, 0, 100]
    mind_ramp(stage.redis, "default", Standing(1000, 90, 0))
    assert [value(scrape(visit), name) for name in names] == [100, 1, 100]


def test_the_numbers_are_the_queues(console: Console, stage: Stage) -> None:
    # Given two mails that were sent, one at once and one after 20 seconds, one that is held, and one that waits
    ids = [stage.queue(), stage.queue()]
    stage.work(1)
    stage.pass_time(20)
    stage.work(1)
    assert {stage.state(id) for id in ids} == {State.SENT}
    stage.queue(lane="bulk")
    stage.pass_time(5)

    found = scrape(console())
    assert all(name.startswith("sesq_") for name in found)
    assert value(found, "sesq_messages", account="default", state="sent") == 2
    assert value(found, "sesq_outcomes_total", state="sent") == 2
    assert value(found, "sesq_ledger_recipients") == 2
    assert value(found, "sesq_daily_limit_recipients") == 50_000
    assert value(found, "sesq_lane_jobs", lane="bulk") == 1
    assert value(found, "sesq_lane_oldest_age_seconds", lane="bulk") == pytest.approx(5)
    assert value(found, "sesq_claims_total") >= 2
    assert value(found, "sesq_wait_seconds_bucket", le="15.0") == 1
    assert value(found, "sesq_wait_seconds_bucket", le="60.0") == 2
    assert value(found, "sesq_wait_seconds_count") == 2
    assert value(found, "sesq_wait_seconds_sum") == pytest.approx(20, abs=1)
    assert value(found, "sesq_paused") == 0


def test_what_waits_for_a_time_has_not_waited(console: Console, stage: Stage) -> None:
    from datetime import datetime, timezone

    due = datetime.fromtimestamp(stage.now + 3600, timezone.utc)
    Outbox(stage.redis).send(Message(sender="shop@example.com", to="ada@example.org", text="x", send_at=due))
    stage.pass_time(3601)
    stage.gate.promote()
    stage.work(1)
    assert value(scrape(console()), "sesq_wait_seconds_bucket", le="1.0") == 1


def test_each_question_to_the_open_gate_is_a_claim(console: Console, stage: Stage) -> None:
    visit = console()
    # Given a question that brought nothing
    stage.claim()
    found = scrape(visit)
    assert value(found, "sesq_claims_total") == 1
    assert "with or without a message" in found["sesq_claims"].documentation
    # When the gate is closed, questions count no more
    Policy(stage.redis).pause("a review", by="ada")
    stage.claim()
    assert value(scrape(visit), "sesq_claims_total") == 1


@pytest.mark.parametrize("file", ["alerts.yml", "grafana-dashboard.json"])
def test_dashboard_and_alerts_ask_for_what_is_there(console: Console, stage: Stage, file: str) -> None:
    import re

    names = {s.name for family in scrape(console()).values() for s in family.samples} | {
        "sesq_wait_seconds_bucket",
        "sesq_worker_heartbeat_timestamp_seconds",
        "sesq_held_messages",
    }
    text = (MONITORING / file).read_text()
    asked = set(re.findall(r"sesq_[a-z0-9_]+", text))
    assert asked
    assert asked <= names
    if file.endswith(".json"):
        json.loads(text)
