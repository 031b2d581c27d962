"""All webhooks of a process: one that is set up wrongly, or has a fault, stops no other."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any

import pytest
from redis import Redis

from sesq.config.errors import SettingsError
from sesq.config.settings import Settings
from sesq.worker.webhooks import endpoint as endpoint_module
from sesq.worker.webhooks.endpoint import Endpoint
from sesq.worker.webhooks.runner import open_endpoints, run_endpoints
from webhooks import SECRET

URL = "https://app.example.com/"
RIGHT: dict[str, Any] = {"url": URL, "secret": SECRET}
WRONG: dict[str, Any] = {"url": URL}


def test_one_that_is_set_up_wrongly_is_named_and_stops_no_other(
    redis: Redis, make_settings: Callable[..., Settings], caplog: pytest.LogCaptureFixture
) -> None:
    accounts = {"shop": {"webhooks": {"a": RIGHT, "b": WRONG}}, "billing": {"webhooks": {"c": RIGHT}}}
    settings = make_settings(accounts=accounts)
    found = open_endpoints(redis, settings, [], threading.Event())
    assert [each.label for each in found] == ["account billing: webhook c", "account shop: webhook a"]
    assert "not served: accounts.shop.webhooks.b.secret is not set" in caplog.text
    (only,) = open_endpoints(redis, settings, ["billing"], threading.Event())
    assert only.label == "account billing: webhook c"


def test_where_none_is_right_it_does_not_start(redis: Redis, make_settings: Callable[..., Settings]) -> None:
    settings = make_settings(accounts={"shop": {"webhooks": {"b": WRONG}}})
    with pytest.raises(SettingsError, match=r"accounts\.shop\.webhooks\.b\.secret is not set"):
        open_endpoints(redis, settings, [], threading.Event())
    assert open_endpoints(redis, make_settings(), [], threading.Event()) == []


def test_a_fault_in_one_is_said_and_that_one_goes_on_while_the_others_deliver(
    redis: Redis,
    make_settings: Callable[..., Settings],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    # Given two webhooks, of which one has a fault in its first two rounds
    monkeypatch.setattr(endpoint_module, "AWAY_SECONDS", (0.01,))
    stop, rounds = threading.Event(), {"sound": 0, "faulty": 0}
    settings = make_settings(accounts={"shop": {"webhooks": {"a": RIGHT, "b": RIGHT}}})
    sound, faulty = open_endpoints(redis, settings, [], stop)
    step = Endpoint.step

    def broken(self: Endpoint) -> None:
        name = "faulty" if self is faulty else "sound"
        rounds[name] += 1
        if self is faulty and rounds[name] <= 2:
            raise KeyError("a fault")
        step(self)
        if min(rounds.values()) > 3:
            stop.set()

    monkeypatch.setattr(Endpoint, "step", broken)
    monkeypatch.setattr(endpoint_module, "IDLE_SECONDS", 0.01)
    caplog.set_level(logging.INFO)
    # When they run, Then both go on, and the fault is in the log
    run_endpoints([sound, faulty], stop)
    assert caplog.text.count("account shop: webhook b: a fault in sesq") == 2
    assert "KeyError" in caplog.text
    assert rounds["faulty"] > 3
    # And another process can deliver at once
    assert not sound.store.health().is_running
    assert not faulty.store.health().is_running
