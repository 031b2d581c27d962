"""`sesq webhooks`: what people see of webhooks and do about them; and what `sesq doctor` says."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from sesq.queue.events import MessageEvent, listen
from sesq.queue.keys import Keys
from sesq.queue.webhook_records import DeadLetter, Waiting
from sesq.queue.webhooks import WebhookStore
from stub_endpoint import StubEndpoint, stub, stub_server
from webhooks import SECRET, told_by

__all__ = ["stub", "stub_server"]
Run = Callable[..., Any]
TOKEN = "runner"
NOW = 1_790_000_000.0


def an_event(number: int, message: str = "M1") -> MessageEvent:
    return MessageEvent(id=f"{NOW:.0f}000-{number}", account="default", at=NOW, message=message, state="sent")


@pytest.fixture
def configured(here: Path, stub: StubEndpoint) -> None:
    (here / "sesq.toml").write_text(
        f'[accounts.default.webhooks.app]\nurl = "{stub.url}/hook?token=hidden"\nsecret = "{SECRET}"\n'
        'events = ["sent"]\n'
    )


@pytest.fixture
def store(redis: Redis) -> WebhookStore:
    return WebhookStore(redis, "default", "app")


@pytest.fixture
def given_up(store: WebhookStore, configured: None) -> WebhookStore:
    """Two events were given up, and a third waits."""
    store.hold(TOKEN, 60)
    for number in range(3):
        event = an_event(number, f"M{number}")
        first = Waiting(event=event, attempts=9, since=NOW, why="it answered 500")
        store.put(TOKEN, event, first, NOW + 60)
        if number < 2:
            letter = DeadLetter(event=event, at=NOW + 86_400, attempts=10, why="it answered 500")
            store.done(TOKEN, event, NOW, letter)
    return store


def test_a_webhook_that_nobody_serves_yet(run: Run, run_json: Run, configured: None) -> None:
    (found,) = run_json("webhooks", "list")
    assert (found["name"], found["state"], found["running"], found["events"]) == (
        "app",
        "not running",
        False,
        ["sent"],
    )
    assert found["url"].endswith("/hook")
    shown = run("webhooks", "list").output
    assert "not running" in shown
    assert "hidden" not in shown
    assert SECRET not in shown
    assert "no process delivers" in run("doctor").output


def test_without_webhooks_there_is_nothing_to_list(run: Run) -> None:
    assert run("webhooks", "list").stdout == "no webhook is configured\n"
    assert "webhooks" not in run("doctor").stdout


def test_what_was_given_up_is_seen_and_sent_again(run: Run, run_json: Run, given_up: WebhookStore) -> None:
    # Given events that were given up, When one looks
    (found,) = run_json("webhooks", "list")
    assert (found["given_up"], found["waiting"], found["state"]) == (2, 1, "delivering")
    letters = run_json("webhooks", "dead", "app")
    assert letters[0] == {
        "event": "1790000000000-1",
        "webhook_id": "default.1790000000000-1",
        "type": "message",
        "message": "M1",
        "state": "sent",
        "told_at": "2026-09-21T14:13:20.000Z",
        "given_up_at": "2026-09-22T14:13:20.000Z",
        "attempts": 10,
        "why": "it answered 500",
    }
    assert [each["message"] for each in letters] == ["M1", "M0"]
    assert "it answered 500" in run("webhooks", "dead", "app").output
    assert "2 events were tried for a day and given up" in run("doctor").output
    # Then one event is sent again by its id, and the rest without one
    assert run_json("webhooks", "retry", "app", "1790000000000-1") == ["1790000000000-1"]
    assert run("webhooks", "retry", "app").output == "1 are delivered again\n"
    assert run_json("webhooks", "list")[0]["waiting"] == 3
    ran = run("webhooks", "retry", "app")
    assert (ran.exit_code, ran.stdout) == (1, "0 are delivered again\n")
    assert "nothing was given up" in run("webhooks", "dead", "app").output


def test_an_event_that_was_not_given_up_is_said(run: Run, given_up: WebhookStore) -> None:
    ran = run("webhooks", "retry", "app", "1790000000000-0", "17-0")
    assert (ran.exit_code, "not among those that were given up: 17-0" in ran.output) == (1, True)
    assert given_up.health().dead == 1


def test_it_is_disabled_and_enabled_by_hand(run: Run, run_json: Run, given_up: WebhookStore) -> None:
    run("webhooks", "disable", "app", "--reason", "being moved")
    (found,) = run_json("webhooks", "list")
    assert (found["state"], found["why"].endswith(": being moved")) == ("disabled", True)
    doctor = json.loads(run("doctor", "--json").stdout)
    (told,) = [check for check in doctor if check["name"] == "webhooks" and check["status"] == "fail"]
    assert "app is disabled" in told["detail"]
    assert "sesq webhooks enable app" in told["cure"]
    assert run("webhooks", "enable", "app").output == "app is enabled\n"
    assert run_json("webhooks", "list")[0]["disabled_at"] is None
    assert "was not disabled" in run("webhooks", "enable", "app").output


def test_one_that_fails_is_said(run: Run, run_json: Run, given_up: WebhookStore) -> None:
    given_up.note_failure("it answered 502", NOW)
    (found,) = run_json("webhooks", "list")
    assert (found["state"], found["failing_since"]) == ("failing", "2026-09-21T14:13:20.000Z")
    assert "app fails: it answered 502; 1 events wait" in run("doctor").output


@pytest.mark.parametrize("status", [200, 204, 302, 401, 500])
def test_a_test_event_is_signed_and_its_answer_is_told(
    run: Run, run_json: Run, configured: None, stub: StubEndpoint, status: int
) -> None:
    stub.plays.extend([stub.reply(status)] * 2)
    ran = run("webhooks", "test", "app")
    assert (ran.exit_code, f"it answered {status}" in ran.output) == (int(status >= 300), True)
    assert told_by(stub.requests[0]) == ("", "test")
    assert stub.requests[0].json["type"] == "test"
    if status == 200:
        found = run_json("webhooks", "test", "app")
        assert (found["delivered"], found["status"], found["why"]) == (True, 200, "it answered 200")


def test_a_test_without_an_endpoint_or_a_secret_is_told(run: Run, here: Path) -> None:
    (here / "sesq.toml").write_text('accounts.default.webhooks.app.url = "http://127.0.0.1:1/"\n')
    ran = run("webhooks", "test", "app")
    assert (ran.exit_code, "secret is not set" in ran.output) == (2, True)
    with (here / "sesq.toml").open("a") as file:
        file.write(f'accounts.default.webhooks.app.secret = "{SECRET}"\n')
    ran = run("webhooks", "test", "app")
    assert (ran.exit_code, "the connection was refused" in ran.output) == (1, True)


def test_one_that_is_no_more_is_forgotten(
    run: Run, run_json: Run, redis: Redis, given_up: WebhookStore, here: Path
) -> None:
    # Given a webhook that is served, and one that is out of sesq.toml
    listen(redis, "default", "webhook:app")
    assert "take it out first" in run("webhooks", "forget", "app").output
    (here / "sesq.toml").write_text("")
    assert "stop that one first" in run("webhooks", "forget", "app").output
    given_up.leave(TOKEN)
    assert run_json("webhooks", "list")[0]["state"] == "not in sesq.toml"
    assert "app is not in sesq.toml here" in run("doctor").output
    # When it is forgotten, Then nothing of it is left, and nobody is told of messages any more
    assert run("webhooks", "forget", "app").output == "app is forgotten\n"
    assert list(redis.scan_iter("*webhook*")) == []
    assert not redis.exists(Keys("default").listening, Keys("default").events)
    assert run("webhooks", "forget", "app").exit_code == 2


@pytest.mark.parametrize("command", ["dead", "retry", "enable", "disable", "test", "forget"])
def test_a_name_that_nobody_knows_is_refused(run: Run, configured: None, command: str) -> None:
    ran = run("webhooks", command, "ap")
    assert (ran.exit_code, "'ap' is not" in ran.output) == (2, True)


def test_settings_that_cannot_be_used_end_it_before_it_begins(run: Run, here: Path) -> None:
    (here / "sesq.toml").write_text('accounts.default.webhooks.app.url = "http://127.0.0.1:1/"\n')
    ran = run("webhooks", "run")
    assert ran.exit_code == 2
    assert "accounts.default.webhooks.app.secret is not set" in ran.output
    assert run("webhooks", "run", "--account", "nobody").exit_code == 2
