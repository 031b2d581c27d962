"""Whole answers of the API: each field of everything, of an account in which everything has happened."""

from __future__ import annotations

import json
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

import pytest
from redis import Redis

from busy_account import BusyAccount
from busy_account_told import (
    BATCHES,
    BOB,
    HISTORY,
    LIMITS,
    MESSAGES,
    OVERVIEW,
    RECIPIENTS,
    SUPPRESSED,
    at,
    change,
    limit,
    shown,
)

API = "/api/v1/accounts/default"
Call = Callable[..., Any]
BY = "ops@here (console)"
KEPT = "; records are kept for `keep_days`"


@pytest.fixture
def account(redis: Redis) -> BusyAccount:
    return BusyAccount(redis)


@pytest.fixture
def call(account: BusyAccount, console: Call) -> Call:
    """`call("GET /messages/<held>")`: the status and the JSON that it answers."""
    visit = console()

    def ask(what: str, body: Any = None) -> tuple[int, Any]:
        method, path = what.split()
        given = json.loads(account.unnamed(json.dumps(body)))
        url = visit.site + API + account.unnamed(path)
        answer = visit.session.request(method, url, json=given, timeout=20)
        assert answer.headers["cache-control"] == "no-store"
        kind, text = answer.headers["content-type"], account.named(answer.text)
        if kind == "application/jsonl":
            return answer.status_code, [json.loads(line) for line in text.splitlines()]
        assert kind == ("application/json" if answer.ok else "application/problem+json")
        return answer.status_code, json.loads(text)

    return ask


def problem(status: int, code: str, detail: str) -> Any:
    title = HTTPStatus(status).phrase
    told = {"type": "about:blank", "title": title, "status": status, "detail": detail, "code": code}
    return status, told


def page(messages: list[Any], following: str | None = None, looked: int | None = None) -> Any:
    return 200, {
        "messages": messages,
        "next": following,
        "looked_at": len(messages) if looked is None else looked,
    }


def test_the_overview_is_that_of_sesq_status(call: Call) -> None:
    status, told = call("GET /overview")
    assert told["memory"].pop("used") > 0
    assert told["workers"][0].pop("last_heartbeat").endswith("Z")
    # four wait, at 4.99 a second
    assert (status, told) == (200, OVERVIEW | {"empty_at": "2023-11-14T23:00:00.802Z"})


def test_messages_are_listed_found_and_shown(call: Call) -> None:
    assert call("GET /messages") == page(MESSAGES)
    assert call("GET /messages?limit=500") == page(MESSAGES)
    first = MESSAGES[0]
    since = 1_700_001_180.0
    assert call("GET /messages?limit=1") == page([first], f"{since!r}:<bulk>")
    assert call(f"GET /messages?limit=500&after={since!r}:<bulk>") == page(MESSAGES[1:])
    held = [each for each in MESSAGES if each["state"] == "held"]
    assert call("GET /messages?waiting=recipient:bob@example.org") == page(held)
    assert call("GET /messages?state=held") == page(held)
    autumn = [each for each in MESSAGES if each["tags"].get("campaign") == "autumn"]
    assert call("GET /messages?tag=campaign=autumn") == page(autumn, looked=len(MESSAGES))
    named = [each for each in MESSAGES if "c@example.com" in each["cc"]]
    everywhere = len(MESSAGES) + sum(batch["total"] for batch in BATCHES)
    assert call("GET /messages?to=C@example") == page(named, looked=everywhere)
    for each in MESSAGES:
        assert call(f"GET /messages/{each['id']}") == (200, shown(each))
    said = f"no message none in account default{KEPT}"
    assert call("GET /messages/none") == problem(404, "unknown-message", said)


def test_what_is_waited_for(call: Call) -> None:
    waiting = {"waiting": "recipient:bob@example.org", "reason": BOB, "messages": 2}
    assert call("GET /waiting") == (200, [waiting])
    # another number than what waits is refused, and nothing is done
    agreed = {"waiting": waiting["waiting"], "number": 3}
    detail = "number: 2 messages match, not 3; count them again"
    assert call("POST /waiting/release", agreed) == problem(409, "wrong-state", detail)
    assert call("GET /waiting") == (200, [waiting])
    status, told = call("POST /waiting/release", {**agreed, "number": 2})
    assert (status, told["state"], told["done"]) == (202, "ended", 2)
    assert call("GET /waiting") == (200, [])
    detail = "nothing waits for 'recipient:bob@example.org'; waited for: nothing"
    assert call("POST /waiting/release", {**agreed, "number": 2}) == problem(409, "wrong-state", detail)


def test_limits_and_their_history(call: Call) -> None:
    assert call("GET /quota") == (200, LIMITS)
    ids = [repr(1_700_001_600.0 - 60 * minute) for minute in (0, 0, 1, 2)]
    history = [each | {"id": id} for each, id in zip(HISTORY, ids, strict=True)]
    assert call("GET /quota/history") == (200, history)
    assert call("GET /quota/history?limit=1") == (200, history[:1])
    # a change tells all limits, and stands in the history
    forced = limit(20, "set", 20, ses=10, until="2023-11-15T00:00:00.000Z", forced=True)
    after = LIMITS | {"rate": forced, "burst": limit(3, "set", 3, until="2023-11-15T00:39:00.000Z")}
    given = {"rate": "20", "for": "1h", "force": True}
    assert call("PATCH /quota", given) == (200, after)
    newest = change("23:00", BY, {"rate": 5}, {"rate": 20}, "2023-11-15T00:00:00.000Z")
    newest |= {"id": "1700002800.0", "force": True}
    assert call("GET /quota/history?limit=1") == (200, [newest])
    assert call("POST /quota/undo", {"id": newest["id"]}) == (200, LIMITS)
    reset = LIMITS | {
        "rate": limit(10, "SES", ses=10),
        "burst": limit(3, "set", 3, until="2023-11-15T00:39:00.000Z"),
    }
    assert call("POST /quota/reset", {"limits": ["rate"]}) == (200, reset)


def test_what_a_change_would_do(call: Call) -> None:
    told = {"waiting": 4, "empty_at": "2023-11-14T23:00:00.802Z"}
    slower = told | {"then_empty_at": "2023-11-14T23:00:04.008Z"}
    assert call("POST /quota/preview", {"rate": "1"}) == (200, slower)
    assert call("GET /quota") == (200, LIMITS)


def short(batch: Any) -> Any:
    """A batch as the API tells of it."""
    names = ("id", "name", "state", "reason", "window", "zone_column", "total", "sent", "created", "ended")
    counts = {state: count for state, count in batch["counts"].items() if count}
    waiting = batch["counts"]["queued"] + batch["counts"]["scheduled"]
    return {name: batch[name] for name in names} | {"counts": counts, "waiting": waiting}


def test_batches(call: Call) -> None:
    listed = [short(each) for each in BATCHES]
    assert call("GET /batches") == (200, listed)
    assert call("GET /batches?skip=1&limit=2") == (200, listed[1:3])
    for each in listed:
        assert call(f"GET /batches/{each['id']}") == (200, each)
    columns = ("id", "to", "state", "message_id", "at", "reason")
    rows = [
        dict(zip(columns, (f"<batch-running>-0-{row}", f"p{row}@example.org", *facts), strict=True))
        for row, facts in enumerate(RECIPIENTS)
    ]
    assert call("GET /batches/<batch-running>/recipients") == (200, rows)
    running = listed[3]
    paused = running | {"state": "paused", "reason": "a look"}
    assert call("POST /batches/<batch-running>/pause", {"reason": "a look"}) == (200, paused)
    resumed = running | {"reason": f"by {BY}"}
    assert call("POST /batches/<batch-running>/resume", {}) == (200, resumed)
    assert call("POST /batches/<batch-paused>/cancel", {}) == (
        200,
        listed[0]
        | {
            "state": "cancelled",
            "reason": f"by {BY}",
            "ended": at("23:00"),
            "waiting": 0,
            "counts": {"cancelled": 3},
        },
    )
    assert call("POST /batches/<batch-running>/stop", {})[0] == 422
    said = f"no batch none in account default{KEPT} after its end"
    assert call("GET /batches/none") == problem(404, "unknown-batch", said)


def test_people(call: Call) -> None:
    listed = [
        {"address": each["email"], **{name: each[name] for name in ("reason", "at", "source")}}
        for each in SUPPRESSED
    ]
    status, told = call("GET /suppression")
    told["addresses"].sort(key=lambda each: each["at"], reverse=True)
    assert (status, told) == (200, {"addresses": listed, "next": None})
    for each in listed:
        assert call(f"GET /suppression/{each['address']}") == (200, {"suppressed": each})
    assert call("POST /suppression", {"address": "mallory@example.org"}) == (
        201,
        {"added": 1, "problem": None},
    )
    mallory = {"address": "mallory@example.org", "reason": "manual", "at": at("23:00"), "source": BY}
    assert call("GET /suppression/mallory@example.org") == (200, {"suppressed": mallory})
    assert call("DELETE /suppression/eve@example.org") == (200, {"removed": 1, "problem": None})
    assert call("DELETE /suppression/eve@example.org") == (200, {"removed": 0, "problem": None})
    known = {"ada@example.org": True, "bob@example.org": False, "example.com": True}
    assert call("GET /identities") == (200, known)


DEEDS = [
    ("retry", "failed", "queued"),
    ("retry", "retrying", "queued"),
    ("retry", "refused", "queued"),
    ("retry", "suppressed", "queued"),
    ("retry", "expired", "queued"),
    ("release", "held", "queued"),
    ("cancel", "queued", "cancelled"),
    ("cancel", "scheduled", "cancelled"),
    ("cancel", "held", "cancelled"),
    ("cancel", "retrying", "cancelled"),
    ("cancel", "unknown", "cancelled"),
    ("resolve/sent", "unknown", "sent"),
    ("resolve/queued", "unknown", "queued"),
    ("resolve/failed", "unknown", "failed"),
]


WHY_NOT = {
    "retry": "the content of message <delivered> is gone, so it cannot be sent again; queue it anew",
    "release": "message <delivered> is delivered; only what is held can become queued",
    "cancel": "message <delivered> is delivered; only what is held, queued, retrying, scheduled, unknown "
    "can become cancelled",
    **{
        f"resolve/{state}": f"message <delivered> is delivered; only what is unknown can become {state}"
        for state in ("sent", "queued", "failed")
    },
}
NONE = "no message none in account default"


@pytest.mark.parametrize(("verb", "name", "state"), DEEDS)
def test_what_is_done_to_messages(call: Call, verb: str, name: str, state: str) -> None:
    ids = [f"<{name}>", "none", "<delivered>"]
    done = {
        "done": ids[:1],
        "problems": {"none": NONE + KEPT * (verb == "retry"), "<delivered>": WHY_NOT[verb]},
    }
    assert call(f"POST /messages/{verb}", {"ids": ids}) == (200, done)
    after = call(f"GET /messages/<{name}>")[1]
    assert (after["state"], after["since"]) == (state, at("23:00"))
    assert (
        after["reason"]
        == {
            "retry": f"queued again by {BY}",
            "release": f"released by {BY}",
            "cancel": f"cancelled by {BY}",
            **{f"resolve/{each}": f"resolved as {each} by {BY}" for each in ("sent", "queued", "failed")},
        }[verb]
    )
    before = next(each for each in MESSAGES if each["id"] == f"<{name}>")
    expected = before | {"hold": None, "attempts": 0 if verb == "retry" else before["attempts"]}
    if name == "expired":  # its end is over, and counts no more
        expected["expires_at"] = None
    same = before.keys() - {"state", "since", "reason", "history"}
    assert {field: after[field] for field in same} == {field: expected[field] for field in same}
    assert after["history"] == [
        *before["history"],
        {"at": at("23:00"), "state": state, "reason": after["reason"]},
    ]


def test_a_message_is_queued_with_all_that_is_given(call: Call, account: BusyAccount) -> None:
    mail = {
        "from": "Shop <shop@example.com>",
        "to": ["ada@example.org"],
        "cc": ["b@example.com"],
        "bcc": ["c@example.com"],
        "reply_to": ["help@example.com"],
        "subject": "Hi",
        "text": "x",
        "html": "<p>x</p>",
        "headers": {"X-Note": "n"},
        "tags": {"k": "v"},
        "configuration_set": "news",
        "tenant": "acme",
        "feedback_to": "bounces@example.com",
        "track": False,
        "lane": "bulk",
        "send_at": "2030-01-01T09:00:00Z",
        "expires_at": "2030-01-02T09:00:00Z",
        "idempotency_key": "k-1",
    }
    status, told = call("POST /messages", mail)
    assert status == 201
    account.ids["new"] = told["id"]
    # the same key brings the same message
    assert call("POST /messages", mail) == (201, {"id": "<new>"})
    same = {
        name: mail[name]
        for name in ("from", "to", "cc", "bcc", "subject", "tags", "tenant", "feedback_to", "track", "lane")
    }
    assert call("GET /messages/<new>")[1] == {
        "id": "<new>",
        "account": "default",
        "state": "scheduled",
        "reason": "",
        **same,
        "contact_list": None,
        "topic": None,
        "attempts": 0,
        "created": at("23:00"),
        "since": at("23:00"),
        "send_at": "2030-01-01T09:00:00.000Z",
        "expires_at": "2030-01-02T09:00:00.000Z",
        "message_id": None,
        "hold": None,
        "waits_because": "its time has not come",
        "goes_at": "2030-01-01T09:00:00.000Z",
        "delayed_because": "",
        "history": [{"at": at("23:00"), "state": "scheduled", "reason": ""}],
    }
    envelope = account.messages.get(told["id"]).envelope
    assert (envelope.reply_to, envelope.configuration_set) == (("help@example.com",), "news")
    content = json.loads(account.redis.get(account.keys.content(told["id"])))
    assert content == {"v": 1, "subject": "Hi", "text": "x", "html": "<p>x</p>", "headers": [["X-Note", "n"]]}
