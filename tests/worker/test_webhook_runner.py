"""All webhooks of a process: one that is set up wrongly stops no other, and a fault ends the process."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any

import pytest
from redis import Redis

from sesq.config.errors import SettingsError
from sesq.config.settings import Settings
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


def test_a_fault_in_one_ends_all_of_them_and_is_said(
    redis: Redis,
    make_settings: Callable[..., Settings],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    # Given two webhooks, of which one has a fault
    stop = threading.Event()
    settings = make_settings(accounts={"shop": {"webhooks": {"a": RIGHT, "b": RIGHT}}})
    sound, faulty = open_endpoints(redis, settings, [], stop)
    step = Endpoint.step

    def broken(self: Endpoint) -> None:
        if self is faulty:
            raise KeyError("a fault")
        step(self)

    monkeypatch.setattr(Endpoint, "step", broken)
    caplog.set_level(logging.INFO)
    # When they run, Then all of them end, and another process can deliver for the sound one at once
    assert run_endpoints([sound, faulty], stop) is False
    assert "account shop: webhook b: a fault in sesq" in caplog.text
    assert not sound.store.health().is_running
