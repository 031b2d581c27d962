"""Every error of the API is problem details (RFC 9457), whoever finds it: the guard, the router, or what was asked."""

from __future__ import annotations

import ast
import html
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from sesq.config.errors import QueueUnavailable
from sesq.console.web.api import account
from sesq.console.web.people import hash_token

ROOT = Path(__file__).parents[3]
API = "/api/v1/accounts/default"
Console = Callable[..., Any]
JSON = {"content-type": "application/json"}


def told(answer: Any) -> tuple[int, str]:
    """The status, and the detail of the problem that it says."""
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["status"] == answer.status_code
    assert problem["type"] == "about:blank"
    assert problem["title"]
    assert problem["code"]
    return answer.status_code, problem["detail"]


def ask(visit: Any, method: str, path: str, **options: Any) -> tuple[int, str]:
    return told(visit.session.request(method, visit.site + path, timeout=20, **options))


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "", "json"]
)
@pytest.mark.parametrize("body", [b'{"reason": "x"}', b"reason=x", b"\xff\xfe"])
def test_a_body_that_is_not_said_to_be_json_is_415(
    console: Console, redis: Redis, kind: str, body: bytes
) -> None:
    visit = console()
    headers = {"content-type": kind} if kind else {}
    status, detail = ask(visit, "POST", f"{API}/pause", data=body, headers=headers)
    assert (status, "Content-Type: application/json" in detail) == (415, True)
    assert visit.get("/api/v1/accounts/default/overview").json()["paused"] is False


@pytest.mark.parametrize("kind", ["application/json", "application/json; charset=utf-8", "Application/JSON"])
def test_json_is_taken_however_it_is_named(console: Console, kind: str) -> None:
    visit = console()
    answer = visit.session.post(
        visit.site + f"{API}/pause", data=b"{}", headers={"content-type": kind}, timeout=20
    )
    assert answer.status_code == 200


def test_each_kind_of_error_is_a_problem_with_a_detail(console: Console, redis: Redis) -> None:
    visit = console()
    for method, path, options, status, said in [
        ("GET", "/api/v1/nothing", {}, 404, "there is nothing at this address"),
        ("GET", "/api/v2", {}, 404, "there is nothing at this address"),
        ("PUT", f"{API}/pause", {}, 405, "Method Not Allowed"),
        ("GET", "/api/v1/accounts/nobody/overview", {}, 404, "no account is called nobody"),
        ("GET", f"{API}/messages/none", {}, 404, "no message none"),
        ("POST", f"{API}/pause", {"json": {"why": 1}}, 422, "the request is not valid"),
        ("POST", f"{API}/pause", {"data": b"{", "headers": JSON}, 422, "the request is not valid"),
        ("PATCH", f"{API}/quota", {"json": {"rate": "fast"}}, 422, "rate"),
        ("POST", f"{API}/identities", {"json": {"name": "example.org"}}, 502, "no SES here"),
        ("GET", f"{API}/overview", {"headers": {"Host": "rebound.example"}}, 421, "not known by this name"),
        ("POST", f"{API}/pause", {"headers": {"Origin": "https://evil.example"}}, 403, "another site"),
        ("POST", f"{API}/pause", {"data": iter([b"{}"])}, 411, "Content-Length"),
        ("POST", f"{API}/pause", {"data": b"x" * 3_000_000, "headers": JSON}, 413, "2,097,152 bytes"),
    ]:
        got, detail = ask(visit, method, path, **options)
        assert (got, said in detail) == (status, True), (method, path, got, detail)


def test_what_is_wrong_with_a_body_is_said_of_each_field(console: Console, redis: Redis) -> None:
    visit = console()
    answer = visit.session.post(f"{visit.site}{API}/messages/cancel", json={"ids": []}, timeout=20)
    (problem,) = answer.json()["problems"]
    assert problem["where"] == ["body", "ids"]
    assert "at least 1 item" in problem["problem"]


def test_who_may_not_is_told_in_the_same_form(console: Console, redis: Redis, tmp_path: Path) -> None:
    file = tmp_path / "users.toml"
    file.write_text(f'[looker]\ntoken = "{hash_token("look")}"\n')
    visit = console(file)
    assert ask(visit, "GET", f"{API}/overview")[0] == 401
    big = {"json": {"reason": "x" * 20_000}}
    assert ask(visit, "POST", f"{API}/pause", **big)[0] == 401
    visit.session.headers["Authorization"] = "Bearer look"
    assert ask(visit, "POST", f"{API}/pause", json={})[0] == 403


def test_what_nobody_thought_of_is_told_in_the_same_form_without_its_text(
    console: Console, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    visit = console()
    for error, status in ((RuntimeError("secret"), 500), (QueueUnavailable("Redis is away"), 503)):

        def fail(*_given: Any, error: Exception = error) -> None:
            raise error

        monkeypatch.setattr(account, "read_overview", fail)
        # a connection each: after a fault of its own the server closes it
        got, detail = ask(visit, "GET", f"{API}/overview", headers={"Connection": "close"})
        assert got == status
        assert "secret" not in detail


def test_health_says_whether_redis_answers_and_needs_no_token(
    console: Console, redis: Redis, tmp_path: Path
) -> None:
    file = tmp_path / "users.toml"
    file.write_text(f'[looker]\ntoken = "{hash_token("look")}"\n')
    visit = console(file)
    answer = visit.session.get(f"{visit.site}/api/v1/health", timeout=20)
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


OF_COMMANDS = re.compile(r"(?<![-\w])--[a-z]")
"""An option of a command. In `sesq doctor --deep` it belongs to the command that is named, and is right anywhere."""
A_COMMAND = re.compile(r"\bsesq |manage\.py ")
OTHER_DOORS = ("sendmail", "submission", "django/management")
"""Command lines of their own below the console."""


def test_an_error_names_the_field_of_the_door_at_which_it_is_told(console: Console, ses_says: Any) -> None:
    visit = console()
    # Given an account to which SES allows 1 a second
    ses_says(rate=1)
    for method, path, body, said in [
        # When a program asks for more, or leaves out what is needed
        ("PATCH", "quota", {"rate": "5/second"}, 'give "force": true'),
        ("POST", "messages", {"from": "nobody", "to": ["ada@example.org"], "text": "x"}, "from: "),
        ("POST", "messages", {"from": "a@example.com", "text": "x"}, 'give "to", "cc" or "bcc"'),
        ("POST", "messages", {"from": "a@example.com", "to": ["a@example.org"]}, 'give "text", "html" or'),
    ]:
        # Then the error names fields of the request
        status, detail = ask(visit, method, f"{API}/{path}", json=body)
        assert (status, said in detail, "sender" in detail, "--" in detail) == (422, True, False, False), (
            detail
        )
    # And the page names the box of its form
    refused = visit.post("quota/preview", {"rate": "5/second"})
    assert "give the box “also above what SES allows”" in html.unescape(refused.text)


def test_no_error_below_the_console_names_an_option_of_a_command() -> None:
    # Given the texts in the code that all doors share
    folders = (ROOT / "queue/sesq", ROOT / "producer/sesq")
    files = [
        file
        for folder in folders
        for file in folder.rglob("*.py")
        if not any(part in file.as_posix() for part in OTHER_DOORS)
    ]
    texts = [
        (file.name, node.lineno, node.value)
        for file in files
        for node in ast.walk(ast.parse(file.read_text("utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]
    # Then none names an option, except in a whole command
    wrong = [text for text in texts if OF_COMMANDS.search(text[2]) and not A_COMMAND.search(text[2])]
    assert (len(files) > 50, wrong) == (True, [])
