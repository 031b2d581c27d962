"""Webhooks on their page and through the API: how each does, what was given up, and what people do about it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from redis import Redis

from sesq.queue.events import MessageEvent
from sesq.queue.keys import Keys
from sesq.queue.webhook_records import DeadLetter, Waiting
from sesq.queue.webhooks import WebhookStore

NOW = 1_790_000_000.0
EVENT = "1790000000000-1"
TOKEN = "runner"
CONFIGURED = {"default": {"webhooks": {"app": {"url": "https://app.example.com/hook?token=hidden"}}}}


@pytest.fixture
def store(redis: Redis) -> WebhookStore:
    """A webhook that is served, and has given up an event."""
    store = WebhookStore(redis, "default", "app")
    store.hold(TOKEN, 60)
    event = MessageEvent(id=EVENT, account="default", at=NOW, message="M1", state="bounced")
    store.put(TOKEN, event, Waiting(event=event, attempts=9, since=NOW), NOW)
    store.done(TOKEN, event, NOW, DeadLetter(event=event, at=NOW, attempts=10, why="it answered 500"))
    return store


@pytest.fixture
def visit(console: Callable[..., Any], store: WebhookStore) -> Any:
    return console(settings={"accounts": CONFIGURED})


@pytest.fixture
def call(visit: Any) -> Callable[..., tuple[int, Any]]:
    def ask(method: str, path: str, body: Any = None) -> tuple[int, Any]:
        url = f"{visit.site}/api/v1/accounts/default/webhooks{path}"
        answer = visit.session.request(method, url, json=body, timeout=20)
        return answer.status_code, answer.json()

    return ask


def deeds(redis: Redis) -> list[str]:
    return [json.loads(entry)["what"] for entry in redis.lrange(Keys("default").audit, 0, -1)]


def test_the_page_shows_each_and_sends_again_what_was_given_up(
    visit: Any, store: WebhookStore, redis: Redis
) -> None:
    # Given the page, Then it shows the webhook and the event, and no secret
    text = visit.get("webhooks").text
    assert all(each in text for each in ("app", "delivering", "it answered 500", EVENT, "messages/M1"))
    assert "https://app.example.com/hook" in text
    assert "token=" not in text
    # When what was given up is sent again, Then it waits
    assert "1 are delivered again." in visit.post("webhooks/retry", {"name": "app"}).text
    assert (store.health().dead, store.health().waiting) == (0, 1)
    # And it can be disabled and enabled
    assert "app is disabled." in visit.post("webhooks/disable", {"name": "app", "reason": "moved"}).text
    assert "by ops@here (console): moved" in visit.get("webhooks").text
    assert "app is disabled" in visit.get("overview").text
    assert "app is enabled." in visit.post("webhooks/enable", {"name": "app"}).text
    assert store.health().disabled_at is None
    # And each of that stands in the audit trail
    assert deeds(redis) == ["enable webhook app", "disable webhook app", "webhook app: deliver 1 again"]


def test_an_account_without_webhooks_says_so(console: Callable[..., Any]) -> None:
    assert "No webhook is configured." in console().get("webhooks").text


@pytest.mark.parametrize("deed", ["retry", "enable", "disable"])
def test_a_name_that_nobody_knows_is_not_found(visit: Any, call: Callable[..., Any], deed: str) -> None:
    assert visit.post(f"webhooks/{deed}", {"name": "ap"}).status_code == 404
    assert call("POST", f"/ap/{deed}", {})[0] == 404
    assert call("GET", "/ap/dead")[0] == 404


def test_the_api_tells_and_does_the_same(call: Callable[..., Any], store: WebhookStore) -> None:
    status, told = call("GET", "")
    (found,) = told["webhooks"]
    assert (status, found["name"], found["state"], found["given_up"]) == (200, "app", "delivering", 1)
    assert call("GET", "/app/dead") == (
        200,
        {
            "events": [
                {
                    "event": EVENT,
                    "webhook_id": f"default.{EVENT}",
                    "type": "message",
                    "message": "M1",
                    "state": "bounced",
                    "told_at": "2026-09-21T14:13:20.000Z",
                    "given_up_at": "2026-09-21T14:13:20.000Z",
                    "attempts": 10,
                    "why": "it answered 500",
                }
            ]
        },
    )
    assert call("POST", "/app/retry", {"events": ["17-0"]}) == (200, {"events": []})
    assert call("POST", "/app/retry", {"events": []})[0] == 422
    assert call("POST", "/app/retry", {}) == (200, {"events": [EVENT]})
    assert call("POST", "/app/disable", {"reason": "moved"}) == (200, {"disabled": True})
    assert call("GET", "")[1]["webhooks"][0]["state"] == "disabled"
    assert call("POST", "/app/enable") == (200, {"enabled": True})
    assert call("POST", "/app/enable") == (200, {"enabled": False})
