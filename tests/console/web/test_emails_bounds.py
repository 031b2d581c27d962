"""Mail over HTTP is bounded before it is read, and an odd body is an error of who sent it; in Resend's form, each."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from sesq.console.web.emails import Space
from sesq.console.web.emails.failures import TooBusy
from sesq.console.web.emails.given import MOST_VALUES
from sesq.console.web.guard import MAX_MAIL_BYTES


@pytest.fixture
def post(console: Callable[..., Any]) -> Callable[..., tuple[int, str]]:
    """`post("/emails", body, Content_Type="text/plain")`: the status, and the name of what failed."""
    visit = console(intake=True)

    def ask(path: str, body: bytes = b"{}", **headers: str) -> tuple[int, str]:
        sent = {"Content-Type": "application/json"} | {
            name.replace("_", "-"): value for name, value in headers.items()
        }
        answer = visit.session.post(visit.site + path, data=body, headers=sent, timeout=20)
        told = answer.json()
        assert told["statusCode"] == answer.status_code
        return answer.status_code, told["name"]

    return ask


ODD = {
    "no JSON": (b"{", 422),
    "half a character": (
        json.dumps({"from": "shop@example.com", "to": "ada@example.org", "subject": "\ud800"}).encode(),
        422,
    ),
    "no UTF-8": (b'{"from": "\xff"}', 422),
    "very deep": (b"[" * 100_000, 422),
    "another kind": (b"[]", 422),
    "many values": (b"[" + b"0," * (MOST_VALUES + 1) + b"0]", 422),
}


@pytest.mark.parametrize("path", ["/emails", "/emails/batch"])
@pytest.mark.parametrize(("body", "status"), ODD.values(), ids=ODD)
def test_an_odd_body_is_refused(post: Callable[..., Any], path: str, body: bytes, status: int) -> None:
    assert post(path, body)[0] == status


def test_each_bound_is_told_in_resends_form(post: Callable[..., Any]) -> None:
    too_large = b"x" * (MAX_MAIL_BYTES + 1)
    assert post("/emails", too_large)[:2] == (413, "validation_error")
    assert post("/emails", Content_Type="text/plain")[:2] == (415, "validation_error")
    assert post("/emails", Origin="https://evil.example")[:2] == (403, "validation_error")
    assert post("/emails", Host="rebound.example")[0] == 421
    assert post("/emails/x/nothing")[:2] == (404, "not_found")
    assert post("/emails/x")[:2] == (405, "method_not_allowed")


def test_bodies_together_are_bounded() -> None:
    space = Space(100)
    with space.hold(60):
        with pytest.raises(TooBusy), space.hold(41):
            pass
        with space.hold(40):
            pass
    with space.hold(100):
        pass
