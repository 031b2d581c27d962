"""Every metric: its name, kind, labels and value, of an account in which everything has happened."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from redis import Redis

from busy_account import BusyAccount

NOW, SYNCED = 1_700_002_800.0, 1_700_001_601.0
STATES = {
    "scheduled": 1,
    "queued": 10,
    "sending": 1,
    "retrying": 1,
    "held": 2,
    "unknown": 2,
    "sent": 3,
    "delivered": 1,
    "bounced": 1,
    "complained": 1,
    "refused": 1,
    "suppressed": 1,
    "failed": 2,
    "expired": 1,
    "cancelled": 1,
}
CAME_INTO = {
    "scheduled": 0,
    "queued": 0,
    "sending": 11,  # rows of batches are not counted there
    "retrying": 1,
    "held": 2,
    "unknown": 2,
    "sent": 6,
    "delivered": 1,
    "bounced": 1,
    "complained": 1,
    "refused": 1,
    "suppressed": 1,
    "failed": 2,
    "expired": 1,
    "cancelled": 1,
}
KINDS = (
    "suspended paused ses_paused unsynced bulk_paused bulk_window tenant_paused tenant_stopped unreadable ramp "
    "ramp_stands_still throttled"
)
STILL = 0
BOUNDS = ("0.1", "0.5", "1.0", "5.0", "15.0", "60.0", "300.0", "1800.0", "7200.0", "28800.0", "86400.0")
METRICS: dict[str, tuple[str, dict[str, float]]] = {
    "sesq_rate_limit_recipients_per_second": ("gauge", {"": 5}),
    "sesq_pace_recipients_per_second": ("gauge", {"": 4.99}),
    "sesq_daily_limit_recipients": ("gauge", {"": 1000}),
    "sesq_daily_remaining_recipients": ("gauge", {"": 969}),
    "sesq_daily_reserve_recipients": ("gauge", {"": 100}),
    "sesq_ramp_limit_recipients": ("gauge", {"": math.inf}),
    "sesq_ramp_stands_still": ("gauge", {"": 0}),
    "sesq_ledger_recipients": ("gauge", {"": 14}),
    "sesq_ledger_other_recipients": ("gauge", {"": 17}),
    "sesq_tokens": ("gauge", {"": 2.5}),
    "sesq_paused": ("gauge", {"": 0}),
    "sesq_bulk_paused": ("gauge", {"": 0}),
    "sesq_condition": ("gauge", {f"kind={kind}": 0 for kind in KINDS.split()}),
    "sesq_bulk_window_open": ("gauge", {"": 1}),
    "sesq_outside_window_recipients": ("gauge", {"": 0}),
    "sesq_production": ("gauge", {"": 0}),
    "sesq_synced_timestamp_seconds": ("gauge", {"": SYNCED}),
    "sesq_messages": ("gauge", {f"state={state}": count for state, count in STATES.items()}),
    "sesq_lane_jobs": ("gauge", {"lane=transactional": 1, "lane=bulk": 3}),
    "sesq_lane_oldest_age_seconds": ("gauge", {"lane=transactional": 30 * 60, "lane=bulk": 29 * 60}),
    "sesq_lane_stuck_seconds": ("gauge", {"lane=transactional": STILL, "lane=bulk": 0}),
    "sesq_held_messages": ("gauge", {"kind=recipient": 2}),
    "sesq_queue_empty_timestamp_seconds": ("gauge", {"": pytest.approx(NOW + 4 / 4.99, abs=1e-3)}),
    "sesq_claims": ("counter", {"": 13}),
    "sesq_throttles": ("counter", {"": 0}),
    "sesq_outcomes": ("counter", {f"state={state}": count for state, count in CAME_INTO.items()}),
    # four messages went at once
    "sesq_wait_seconds": (
        "histogram",
        {f"le={bound}": 4 for bound in (*BOUNDS, "+Inf")} | {"count": 4, "sum": 0},
    ),
    "sesq_workers": ("gauge", {"": 1}),
    "sesq_worker_heartbeat_timestamp_seconds": ("gauge", {"worker=ox.1": 1}),
}


@pytest.fixture
def account(redis: Redis) -> BusyAccount:
    return BusyAccount(redis)


def _series(family: Any) -> dict[str, float]:
    """`state=held` -> its value. All are of the account `default`."""
    found = {}
    for sample in family.samples:
        assert sample.labels.pop("account") == "default"
        labels = ",".join(f"{name}={value}" for name, value in sample.labels.items())
        found[labels or sample.name.removeprefix(family.name).removeprefix("_").removesuffix("total")] = (
            sample.value
        )
    return found


def test_each_metric(account: BusyAccount, console: Callable[..., Any]) -> None:
    answer = console().get("/metrics")
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    told = {family.name: family for family in text_string_to_metric_families(answer.text)}
    beat = told["sesq_worker_heartbeat_timestamp_seconds"].samples[0]
    assert beat.value > 1_700_000_000  # by the host's clock
    found = {name: (family.type, _series(family)) for name, family in told.items()}
    found["sesq_worker_heartbeat_timestamp_seconds"][1]["worker=ox.1"] = 1
    assert found == METRICS
