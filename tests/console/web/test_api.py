"""The API for programs: the same actions as the pages, described by OpenAPI; whatever is sent, it does not break."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from redis import Redis

from sesq.console.trail import read_trail
from sesq.console.web.actions import MOST_AT_ONCE
from sesq.producer import Message, Outbox
from sesq.queue.gate import SYNC
from sesq.queue.keys import Keys
from sesq.queue.messages import Messages
from sesq.queue.policy import Policy
from sesq.queue.states import State

API = "/api/v1/accounts/default"
EXAMPLES_OF_EACH = 10
ACCOUNT = "/accounts/{account}"
SAYS_502 = {
    ("POST", f"{ACCOUNT}/identities"),
    ("GET", f"{ACCOUNT}/sandbox"),
    ("POST", f"{ACCOUNT}/sandbox/leave"),
}
"""What asks SES, where none is."""
NOT_HERE = ("POST", f"{ACCOUNT}/sync")
"""What would look for the real one."""
Console = Callable[..., Any]


@pytest.fixture
def known(redis: Redis) -> None:
    """A sandbox of 1/s and 200 a day."""
    told = {
        "rate": 1,
        "daily": 200,
        "sent": 0,
        "production": 0,
        "sending": 1,
        "readable": 1,
        "paused_because": "",
    }
    SYNC.run(redis, "default", json.dumps({**told, "enforcement": "", "identities": {"example.com": 1}}))


@pytest.fixture
def call(console: Console, known: None) -> Callable[..., Any]:
    """`call("POST", "/pause", {...})`: status and JSON."""
    visit = console()

    def ask(method: str, path: str, body: Any = None) -> tuple[int, Any]:
        answer = visit.session.request(method, visit.site + API + path, json=body, timeout=20)
        return answer.status_code, answer.json()

    return ask


def test_a_message_from_its_queueing_to_its_end(call: Callable[..., Any], redis: Redis) -> None:
    mail = {
        "from": "shop@example.com",
        "to": ["ada@example.com"],
        "subject": "Hi",
        "text": "x",
        "tags": {"k": "v"},
    }
    status, told = call("POST", "/messages", mail)
    assert status == 201
    id = told["id"]
    assert call("GET", f"/messages/{id}")[1]["state"] == "queued"
    for query in ("?to=ADA@", "?tag=k=v", "?state=queued", ""):
        assert [each["id"] for each in call("GET", f"/messages{query}")[1]["messages"]] == [id], query
    assert call("GET", "/messages?tag=k=other")[1]["messages"] == []
    assert call("GET", "/overview")[1]["lanes"]["transactional"]["queued"] == 1
    assert call("POST", "/messages/cancel", {"ids": [id, "x"]}) == (
        200,
        {"done": [id], "problems": {"x": "no message x in account default"}},
    )
    record = Messages(redis).get(id)
    assert (record.state, record.reason) == (State.CANCELLED, "cancelled by ops@here (console)")
    assert call("POST", "/messages/cancel", {"ids": [id]})[0] == 409
    assert call("GET", "/messages/nothing")[0] == 404


def test_whatever_is_changed_is_in_the_audit_trail_with_who_did_it(
    call: Callable[..., Any], redis: Redis
) -> None:
    keys, mail = Keys("default"), {"from": "shop@example.com", "to": ["ada@example.com"], "text": "x"}
    id = call("POST", "/messages", mail)[1]["id"]
    redis.hset(keys.holds, "restore", "a person has to look")
    deeds: list[tuple[str, str, Any, str]] = [
        ("POST", "/messages", mail, "send: "),
        ("POST", "/messages/cancel", {"ids": [id]}, f"cancel: {id}"),
        (
            "POST",
            "/waiting/release",
            {"waiting": "restore", "number": 0},
            "release: 0 of 0 that are held, waiting for restore",
        ),
        ("PATCH", "/quota", {"rate": "1/second"}, "set rate"),
        ("POST", "/quota/reset", {"limits": ["rate"]}, "reset rate"),
        ("PUT", "/quota/ramp", {"from": "5", "to": "9", "over": "2d"}, "ramp"),
        ("DELETE", "/quota/ramp", None, "ramp"),
        ("POST", "/pause", {"reason": "a look"}, "pause all mail"),
        ("POST", "/resume", None, "resume all mail"),
        ("POST", "/suppression", {"address": "eve@example.com"}, "suppress (manual) eve@example.com"),
        ("DELETE", "/suppression/eve@example.com", None, "no longer suppress eve@example.com"),
    ]
    for method, path, body, what in deeds:
        redis.delete(keys.audit, keys.policy_history)
        status, told = call(method, path, body)
        assert status < 300, (path, told)
        (deed,) = read_trail(redis, "default", 10)
        assert (deed.by, deed.what[: len(what)]) == ("ops@here (console)", what)


def test_the_audit_trail_tells_from_what_to_what_and_is_filtered(call: Callable[..., Any]) -> None:
    call("POST", "/suppression", {"address": "eve@example.com"})
    call("PATCH", "/quota", {"rate": "1/second"})
    call("PATCH", "/quota", {"rate": "1 per 2 seconds", "for": "2h"})
    (newest, older) = call("GET", "/activity?q=RATE&by=ops")[1]
    assert (newest["what"], newest["before"], newest["after"]) == (
        "set rate",
        {"rate": "1/second"},
        {"rate": "1 per 2 seconds"},
    )
    assert (bool(newest["until"]), older["until"], older["tenant"]) == (True, None, None)
    (added,) = call("GET", "/activity?q=eve")[1]
    assert (added["before"], added["after"]) == ({"suppressed": "no"}, {"suppressed": "manual"})
    assert call("GET", "/activity?by=nobody")[1] == []


def test_the_longest_reason_is_taken_and_one_letter_more_is_not(
    call: Callable[..., Any], redis: Redis
) -> None:
    assert call("POST", "/pause", {"reason": "r" * 500})[0] < 300
    assert call("POST", "/pause", {"reason": "x" * 501})[0] == 422
    assert Policy(redis).paused == "r" * 500


def test_as_many_messages_as_are_taken_at_once_are_and_one_more_is_not(call: Callable[..., Any]) -> None:
    # None of them is there: the answer says so of each
    ids = [f"m{number}" for number in range(MOST_AT_ONCE)]
    assert call("POST", "/messages/cancel", {"ids": ids})[0] == 409
    assert call("POST", "/messages/cancel", {"ids": [*ids, "one more"]})[0] == 422
    assert call("POST", "/messages/cancel", {"ids": []})[0] == 422


@pytest.mark.parametrize("field", ["send_at", "expires_at"])
@pytest.mark.parametrize(
    "time",
    [
        "9999-12-31T23:59:59-12:00",
        "9000-01-01T00:00:00Z",
        "0001-01-01T00:00:00+14:00",
        "1969-12-31T23:59:59Z",
    ],
)
def test_a_time_that_no_mail_can_mean_is_refused(call: Callable[..., Any], field: str, time: str) -> None:
    mail = {"from": "shop@example.com", "to": ["ada@example.com"], "text": "x", field: time}
    assert call("POST", "/messages", mail)[0] == 422
    assert call("GET", "/messages")[1]["messages"] == []


def test_limits_are_previewed_set_reset_and_told_of(call: Callable[..., Any], redis: Redis) -> None:
    Outbox(redis).send_many(
        Message(sender="shop@example.com", to="ada@example.com", text="x") for _ in range(100)
    )
    status, told = call("POST", "/quota/preview", {"rate": "0.1"})
    assert status == 200
    assert told["waiting"] == 100
    assert told["empty_at"] < told["then_empty_at"]
    assert Policy(redis).history() == []
    assert call("PATCH", "/quota", {"rate": "1 per 2 seconds", "for": "1h"})[1]["rate"]["value"] == 0.5
    assert call("PATCH", "/quota", {"rate": "2/second"})[0] == 422
    assert call("PATCH", "/quota", {"speed": "2/second"})[0] == 422
    assert call("POST", "/quota/reset", {})[1]["rate"]["value"] == 1
    assert [each["by"] for each in call("GET", "/quota/history")[1]] == ["ops@here (console)"] * 2


@pytest.mark.parametrize("rate", [0.5, "0.5", "1 per 2 seconds"])
def test_a_limit_is_a_number_or_a_text(call: Callable[..., Any], rate: object) -> None:
    assert call("PATCH", "/quota", {"rate": rate})[1]["rate"]["value"] == 0.5


def test_a_limit_is_not_a_boolean(call: Callable[..., Any]) -> None:
    assert call("PATCH", "/quota", {"rate": True})[0] == 422


def test_a_limit_for_longer_than_ten_years_is_not_kept(call: Callable[..., Any]) -> None:
    status, told = call("PATCH", "/quota", {"rate": "1/second", "for": "99999999d"})
    assert status == 422
    assert "at most 3650d" in told["detail"]
    assert call("GET", "/quota/history") == (200, [])


def test_a_change_of_limits_is_undone(call: Callable[..., Any]) -> None:
    call("PATCH", "/quota", {"rate": "1 per 2 seconds"})
    call("PATCH", "/quota", {"rate": "1 per 4 seconds"})
    latest = call("GET", "/quota/history")[1][0]
    assert call("POST", "/quota/undo", {"id": latest["id"]})[1]["rate"]["value"] == 0.5
    status, told = call("POST", "/quota/undo", {"id": "1.0"})
    assert (status, told["detail"]) == (422, "that change is not in the history any more")


def test_who_gets_no_mail_is_listed_found_and_taken_off(call: Callable[..., Any]) -> None:
    assert call("POST", "/suppression", {"address": "Bob@Example.org", "reason": "complaint"}) == (
        201,
        {"added": 1, "problem": None},
    )
    assert call("POST", "/suppression", {"address": "bob"})[0] == 422
    listed = call("GET", "/suppression")[1]
    assert listed["next"] is None
    assert [(each["address"], each["reason"]) for each in listed["addresses"]] == [
        ("Bob@example.org", "complaint")
    ]
    found = call("GET", "/suppression/Bob@EXAMPLE.org")[1]["suppressed"]
    assert found == listed["addresses"][0]
    assert call("DELETE", "/suppression/Bob@example.org")[1] == {"removed": 1, "problem": None}
    assert call("GET", "/suppression/Bob@example.org")[1] == {"suppressed": None}


def test_identities_come_in_pages(call: Callable[..., Any], redis: Redis) -> None:
    redis.hset(Keys("default").identities, mapping={"ada@example.org": 0, "b@example.net": 1})
    assert call("GET", "/identities?limit=2")[1] == {"ada@example.org": False, "b@example.net": True}
    assert call("GET", "/identities?skip=2")[1] == {"example.com": True}
    assert call("GET", "/identities?q=ADA")[1] == {"ada@example.org": False}


def test_what_ses_refuses_is_no_error_of_ours(call: Callable[..., Any]) -> None:
    status, told = call("POST", "/identities", {"name": "example.org"})
    assert (status, told["detail"]) == (502, "create_email_identity: no SES here")
    assert call("GET", "/identities") == (200, {"example.com": True})
    assert call("GET", "/batches") == (200, [])
    assert call("POST", "/batches/x/pause", {})[0] == 404
    assert call("GET", "/../nobody/overview")[0] == 404


@pytest.mark.parametrize("body", [b"{", b'{"ids": ["\\ud800"]}', b"[]", b"null", b"\xff"])
def test_what_is_no_json_is_refused(console: Console, body: bytes) -> None:
    visit = console()
    headers = {"content-type": "application/json"}
    answer = visit.session.post(f"{visit.site}{API}/messages/cancel", data=body, headers=headers, timeout=20)
    assert answer.status_code in (400, 422)


def test_whatever_is_sent_by_its_description_it_answers_without_an_error(
    console: Console, known: None
) -> None:
    visit = console()
    schema = schemathesis.openapi.from_url(f"{visit.site}/api/v1/openapi.json")
    operations = [result.ok() for result in schema.get_all_operations()]
    assert len(operations) >= 30
    for operation in operations:
        if _name(operation) != NOT_HERE:
            _fuzz(operation, visit.site)


def _name(operation: Any) -> tuple[str, str]:
    return operation.method.upper(), operation.path.removeprefix("/api/v1")


def _fuzz(operation: Any, site: str) -> None:
    may_be_502 = _name(operation) in SAYS_502

    @settings(
        max_examples=EXAMPLES_OF_EACH, deadline=None, database=None, suppress_health_check=list(HealthCheck)
    )
    @given(case=operation.as_strategy())
    def answers(case: Any) -> None:
        if "account" in (case.path_parameters or {}):
            case.path_parameters["account"] = "default"
        answer = case.call(base_url=f"{site}/api/v1")
        assert answer.status_code < 500 or (may_be_502 and answer.status_code == 502), (
            answer.status_code,
            answer.text,
        )

    answers()
