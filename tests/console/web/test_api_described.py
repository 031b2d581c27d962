"""The description of the API is true: what it really answers is what OpenAPI says, and so is each example."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from typing import Any

import jsonschema_rs
import pytest
from redis import Redis

from busy_account import BusyAccount
from sesq.console import many
from sesq.console.act import Act
from sesq.console.audit import Audit
from sesq.console.web.api.description import operations
from sesq.console.web.search import Query
from sesq.queue.events import MessageEvent
from sesq.queue.states import State
from sesq.queue.webhook_records import DeadLetter, Waiting
from sesq.queue.webhooks import WebhookStore
from system import eventually

ACCOUNT = "/accounts/default"
LINES = "application/jsonl"
Told = dict[str, Any]

NEWS = {
    "from": "Shop <news@example.com>",
    "rows": "email,name\nada@example.org,Ada\nbob@example.org,Bob\nnobody,None\n",
    "subject": "News for {{ name }}",
    "text": "Dear {{ name }}",
    "name": "autumn news",
    "tag": ["campaign=autumn"],
}
"""A form with a file."""
CALLS: dict[str, tuple[str, Any]] = {
    "show_health": ("/health", None),
    "list_accounts": ("/accounts", None),
    "show_overview": (f"{ACCOUNT}/overview", None),
    "list_activity": (f"{ACCOUNT}/activity?limit=2", None),
    "show_reputation": (f"{ACCOUNT}/reputation", None),
    "list_identities": (f"{ACCOUNT}/identities", None),
    "verify_identity": (f"{ACCOUNT}/identities", {"name": "bob@example.org"}),
    "list_suppressed": (f"{ACCOUNT}/suppression", None),
    "suppress_address": (f"{ACCOUNT}/suppression", {"address": "mallory@example.org", "reason": "complaint"}),
    "find_suppressed": (f"{ACCOUNT}/suppression/eve@example.org", None),
    "unsuppress_address": (f"{ACCOUNT}/suppression/mallory@example.org", None),
    "show_sandbox": (f"{ACCOUNT}/sandbox", None),
    "leave_sandbox": (
        f"{ACCOUNT}/sandbox/leave",
        {
            "mail_type": "TRANSACTIONAL",
            "website": "https://shop.example.com",
            "use_case": "Orders and receipts.",
        },
    ),
    "list_messages": (f"{ACCOUNT}/messages?limit=2&tag=campaign=autumn", None),
    "send_message": (
        f"{ACCOUNT}/messages",
        {
            "from": "Shop <shop@example.com>",
            "to": ["ada@example.org"],
            "subject": "Your order",
            "text": "It is on its way.",
            "tags": {"campaign": "autumn"},
            "idempotency_key": "order-1042-receipt",
        },
    ),
    "show_message": (f"{ACCOUNT}/messages/<queued>", None),
    "cancel_messages": (f"{ACCOUNT}/messages/cancel", {"ids": ["<queued>", "<sent>"]}),
    "retry_messages": (f"{ACCOUNT}/messages/retry", {"ids": ["<failed>"]}),
    "release_messages": (f"{ACCOUNT}/messages/release", {"ids": ["<held>"]}),
    "resolve_messages": (f"{ACCOUNT}/messages/resolve/sent", {"ids": ["<unknown>"]}),
    "count_act": (f"{ACCOUNT}/acts/count", {"act": "retry", "filter": {"state": ["refused"]}}),
    "begin_act": (
        f"{ACCOUNT}/acts",
        {
            "act": "retry",
            "filter": {"state": ["refused"]},
            "number": 1,
            "at": "2023-11-14T23:00:00.000Z",
        },
    ),
    "list_acts": (f"{ACCOUNT}/acts", None),
    "show_act": (f"{ACCOUNT}/acts/<act>", None),
    "continue_act": (f"{ACCOUNT}/acts/<interrupted>/continue", None),
    "stop_act": (f"{ACCOUNT}/acts/<interrupted>/stop", None),
    "list_waiting": (f"{ACCOUNT}/waiting", None),
    "release_waiting": (f"{ACCOUNT}/waiting/release", {"waiting": "recipient:bob@example.org", "number": 1}),
    "show_quota": (f"{ACCOUNT}/quota", None),
    "set_quota": (f"{ACCOUNT}/quota", {"rate": "4/second", "for": "2h"}),
    "preview_quota": (f"{ACCOUNT}/quota/preview", {"rate": "1/second"}),
    "reset_quota": (f"{ACCOUNT}/quota/reset", {"limits": ["rate"]}),
    "start_ramp": (f"{ACCOUNT}/quota/ramp", {"from": "200", "to": "800", "over": "3d"}),
    "list_quota_changes": (f"{ACCOUNT}/quota/history?limit=3", None),
    "stop_ramp": (f"{ACCOUNT}/quota/ramp", None),
    "undo_quota_change": (f"{ACCOUNT}/quota/undo", {"id": "<change>"}),
    "pause_account": (f"{ACCOUNT}/pause", {"reason": "a look"}),
    "resume_account": (f"{ACCOUNT}/resume", {"bulk": False}),
    "list_batches": (f"{ACCOUNT}/batches?limit=2", None),
    "show_batch": (f"{ACCOUNT}/batches/<batch-running>", None),
    "list_batch_recipients": (f"{ACCOUNT}/batches/<batch-running>/recipients", None),
    "change_batch": (f"{ACCOUNT}/batches/<batch-running>/pause", {"reason": "a wrong link"}),
    "check_batch": (f"{ACCOUNT}/batches/check", NEWS),
    "create_batch": (f"{ACCOUNT}/batches", NEWS),
    "list_webhooks": (f"{ACCOUNT}/webhooks", None),
    "list_dead_events": (f"{ACCOUNT}/webhooks/app/dead", None),
    "retry_events": (f"{ACCOUNT}/webhooks/app/retry", {}),
    "disable_webhook": (f"{ACCOUNT}/webhooks/app/disable", {"reason": "it moved"}),
    "enable_webhook": (f"{ACCOUNT}/webhooks/app/enable", None),
}
"""Operation -> a call of it that is done, in an order in which each can be."""
NOT_HERE = {"sync_account"}
"""Asks AWS itself."""


class Ses:
    """In place of SES's control calls."""

    def call(self, operation: str, **_parameters: Any) -> Told:
        if operation == "get_account":
            return {
                "ProductionAccessEnabled": False,
                "SendQuota": {"MaxSendRate": 1.0, "Max24HourSend": 200.0, "SentLast24Hours": 5.0},
                "Details": {"MailType": "TRANSACTIONAL", "ReviewDetails": {"Status": "PENDING"}},
            }
        return {"IdentityType": "EMAIL_ADDRESS", "VerificationStatus": "PENDING"}


@pytest.fixture
def account(redis: Redis) -> BusyAccount:
    """One with a webhook that has given an event up, and an act that was interrupted."""
    store = WebhookStore(redis, "default", "app")
    store.hold("runner", 60)
    event = MessageEvent(
        id="1700000000000-1", account="default", at=1_700_000_000.0, message="M1", state="bounced"
    )
    store.put("runner", event, Waiting(event=event, attempts=9, since=event.at), event.at)
    letter = DeadLetter(event=event, at=event.at, attempts=10, why="it answered 500")
    store.done("runner", event, event.at, letter)
    account = BusyAccount(redis)
    act = Act("retry", Query(states=(State.REFUSED,)), 1, account.now, words="that are refused")
    account.ids["interrupted"] = many.begin(redis, "default", act, "ada").id
    account.pass_time(60)
    return account


@pytest.fixture
def visit(console: Callable[..., Any], account: BusyAccount) -> Any:
    configured = {"default": {"webhooks": {"app": {"url": "https://app.example.com/hook"}}}}
    return console(settings={"accounts": configured}, control=lambda _account: Ses())


def described(visit: Any) -> tuple[Told, dict[str, tuple[str, Told]]]:
    """The description, and each operation by its id: `GET`, and what is said of it."""
    openapi = visit.get("/api/v1/openapi.json").json()
    found = {told["operationId"]: (where.split()[0], told) for where, told in operations(openapi)}
    return openapi, found


def checker(openapi: Told, content: Told) -> Any:
    return jsonschema_rs.validator_for({**content["schema"], "components": openapi["components"]})


def test_each_operation_has_a_name_for_programs_a_schema_and_an_example(visit: Any) -> None:
    openapi, found = described(visit)
    assert len(found) == sum(len(methods) for methods in openapi["paths"].values())
    assert found.keys() == CALLS.keys() | NOT_HERE
    for name, (_, told) in found.items():
        done = next(answer for status, answer in told["responses"].items() if status.startswith("2"))
        (content,) = done["content"].values()
        assert content["schema"].keys() & {"$ref", "items", "additionalProperties"}, name
        checker(openapi, content).validate(content["example"])
        for body in told.get("requestBody", {}).get("content", {}).values():
            checker(openapi, body).validate(body["example"])
        for status, answer in told["responses"].items():
            if status.startswith(("4", "5")):
                assert [*answer["content"]] == ["application/problem+json"], (name, status)


def test_what_each_operation_answers_is_what_its_schema_says(visit: Any, account: BusyAccount) -> None:
    openapi, found = described(visit)
    for name, (path, body) in CALLS.items():
        method, told = found[name]
        if "<change>" in str(body):
            newest = visit.get("/api/v1/accounts/default/quota/history?limit=1").json()
            account.ids["change"] = newest[0]["id"]
        if "<act>" in path:
            entries = Audit(account.redis, "default").entries()
            account.ids["act"] = next(entry["act"] for entry in entries if "act" in entry)
        given = json.loads(account.unnamed(json.dumps(body)))
        url = f"{visit.site}/api/v1{account.unnamed(path)}"
        if body is NEWS:
            file = {"rows": ("rows.csv", given.pop("rows"))}
            answer = visit.session.request(method, url, data=given, files=file, timeout=20)
        else:
            answer = visit.session.request(method, url, json=given, timeout=20)
        assert str(answer.status_code) in told["responses"], (name, answer.text)
        assert answer.ok, (name, answer.text)
        kind = answer.headers["content-type"]
        content = told["responses"][str(answer.status_code)]["content"][kind]
        for line in answer.text.splitlines() if kind == LINES else [answer.text]:
            checker(openapi, content).validate(json.loads(line))
    eventually(lambda: not any(each.name.startswith("act-") for each in threading.enumerate()), "acts end")


def test_an_error_is_what_its_schema_says(visit: Any) -> None:
    openapi, found = described(visit)
    for path, body, status in [
        ("/messages/none", None, 404),
        ("/messages/cancel", {"ids": []}, 422),
        ("/messages/cancel", {"ids": ["none"]}, 409),
    ]:
        method, name = ("GET", "show_message") if body is None else ("POST", "cancel_messages")
        url = f"{visit.site}/api/v1{ACCOUNT}{path}"
        answer = visit.session.request(method, url, json=body, timeout=20)
        assert answer.status_code == status
        content = found[name][1]["responses"][str(status)]["content"][answer.headers["content-type"]]
        checker(openapi, content).validate(answer.json())


def test_no_operation_takes_a_body_in_another_form_than_is_described(visit: Any) -> None:
    for name, (method, told) in described(visit)[1].items():
        if "requestBody" in told:
            path = CALLS[name][0].replace("<", "").replace(">", "")
            headers = {"content-type": "text/plain"}
            answer = visit.session.request(
                method, f"{visit.site}/api/v1{path}", data=b"{}", headers=headers, timeout=20
            )
            assert answer.status_code == 415, name
