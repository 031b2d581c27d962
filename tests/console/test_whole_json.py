"""Whole answers with --json: each field of everything, of an account in which everything has happened."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from redis import Redis

from busy_account import BusyAccount
from busy_account_told import (
    BATCHES,
    HISTORY,
    LIMITS,
    MESSAGES,
    OVERVIEW,
    RECIPIENTS,
    SUPPRESSED,
    at,
    shown,
)


@pytest.fixture
def account(redis: Redis) -> BusyAccount:
    return BusyAccount(redis)


@pytest.fixture
def told(account: BusyAccount, run: Callable[..., Any]) -> Callable[..., Any]:
    """`told("messages show <held>")`: what it answers."""
    return lambda words: account.asked(run, words)


def test_the_account(told: Callable[..., Any]) -> None:
    found = told("status --json")
    assert found["memory"].pop("used") > 0
    assert found["workers"][0].pop("last_heartbeat").endswith("Z")
    assert found == OVERVIEW


def test_messages(told: Callable[..., Any]) -> None:
    assert told("messages list --json") == MESSAGES
    assert told("messages list --json --limit 2") == MESSAGES[:2]
    some = [each for each in MESSAGES if each["state"] in ("held", "bounced")]
    assert told("messages list --json --state held --state bounced") == some


def test_each_message_and_why_it_waits(told: Callable[..., Any]) -> None:
    for message in MESSAGES:
        assert told(f"messages show {message['id']} --json") == shown(message)


def test_limits(told: Callable[..., Any]) -> None:
    assert told("quota show --json") == LIMITS
    assert told("quota history --json") == HISTORY
    assert told("quota history --json --limit 1") == HISTORY[:1]


def test_batches(told: Callable[..., Any]) -> None:
    assert told("batch list --json") == BATCHES
    for batch in BATCHES:
        assert told(f"batch show {batch['id']} --json") == batch
    columns = ("id", "email", "state", "message_id", "at", "reason")
    rows = [
        dict(zip(columns, (f"<batch-running>-0-{row}", f"p{row}@example.org", *facts), strict=True))
        for row, facts in enumerate(RECIPIENTS)
    ]
    assert told("batch report <batch-running> --format jsonl") == rows


def test_people(told: Callable[..., Any]) -> None:
    assert told("suppression list --json") == SUPPRESSED
    assert told("suppression list --json --limit 1") == SUPPRESSED[:1]
    assert told("suppression list --json bounced@example.org") == SUPPRESSED[2:]
    assert told("suppression export --json") == sorted(SUPPRESSED, key=lambda each: each["email"])


def test_events(told: Callable[..., Any]) -> None:
    assert told("events poison --json") == [{"at": at("22:30"), "why": "it is not JSON", "body": "no event"}]
    counts = {"sent": 0, "bounced": 1, "complained": 1, "bounced_rate": None, "complained_rate": None}
    part = counts | {"bounced_passed": "too_few", "complained_passed": "too_few"}
    assert told("events standing --json") == {
        "level": "fine",
        "problem": None,
        "events_read_at": None,
        **counts,
        "thresholds": {
            "bounced": {"review": 0.05, "pause": 0.1},
            "complained": {"review": 0.001, "pause": 0.005},
        },
        "domains": [{"name": "example.org", **part}],
        "tags": [],
        "tenants": [],
        "batches": [],
    }
    assert told("doctor --deep --json") == {"found": [], "mended": []}
