"""Other web pages are kept away: by the Host header, by who asks, by the session's token; and by what a page may do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import requests
from redis import Redis
from starlette.datastructures import Headers

from sesq.console.web.guard import MAX_BODY_BYTES, Guard, is_known_host
from sesq.queue.policy import Policy

Console = Callable[..., Any]


@pytest.mark.parametrize(
    "host", ["127.0.0.1:9796", "localhost", "LOCALHOST:1", "[::1]:9796", "a.localhost", "10.0.0.5"]
)
def test_names_of_this_machine_are_known(host: str) -> None:
    assert is_known_host(host, frozenset())


@pytest.mark.parametrize(
    "host",
    [
        "",
        "rebound.example",
        "127.0.0.1.evil.example",
        "localhost.evil.example",
        "[",
        "mail",
        "evillocalhost",
        "a.evillocalhost",
    ],
)
def test_a_name_that_was_bound_to_our_address_is_not(host: str) -> None:
    assert not is_known_host(host, frozenset({"mail.example.com"}))


def test_a_request_under_another_name_gets_nothing(console: Console, redis: Redis) -> None:
    visit = console(hosts=frozenset({"mail.example.com"}))
    for path in ("/", "overview", "/metrics", "/api/v1/accounts/default/overview", "/assets/console.js"):
        assert visit.get(path, headers={"Host": "rebound.example"}).status_code == 421, path
    assert visit.get("overview", headers={"Host": "mail.example.com"}).status_code == 200


FORGERIES = {
    "a form of another site": {"Origin": "https://evil.example"},
    "of another port": {"Origin": "http://127.0.0.1:1"},
    "of nowhere": {"Origin": "http://["},
    "of a sandboxed frame": {"Origin": "null"},
    "of a browser that tells": {"Sec-Fetch-Site": "cross-site"},
    "of a neighbour": {"Sec-Fetch-Site": "same-site"},
}


@pytest.mark.parametrize("headers", FORGERIES.values(), ids=FORGERIES)
def test_a_forged_request_changes_nothing(console: Console, redis: Redis, headers: dict[str, str]) -> None:
    visit = console()
    assert visit.post("quota/pause", {"reason": "forged"}, headers=headers).status_code == 403
    call = visit.session.post(
        f"{visit.site}/api/v1/accounts/default/pause", json={"reason": "forged"}, headers=headers, timeout=20
    )
    assert call.status_code == 403
    assert Policy(redis).paused == ""


@pytest.mark.parametrize("path", ["/login", "/logout"])
@pytest.mark.parametrize("token", ["", "wrong", "ümlaut"])
def test_a_login_or_logout_without_the_sessions_token_is_refused(
    console: Console, path: str, token: str
) -> None:
    visit = console()
    visit.get("/login")  # which gives the session a token
    answer = visit.session.post(
        visit.site + path, {"name": "ada", "password": "x", "csrf": token}, timeout=20
    )
    assert answer.status_code == 403
    assert "not one of this session" in answer.text


def test_a_login_without_a_session_is_refused(console: Console) -> None:
    answer = requests.post(f"{console().site}/login", {"name": "ada", "password": "x"}, timeout=20)
    assert answer.status_code == 403
    assert "not one of this session" in answer.text


@pytest.mark.parametrize("token", ["", "wrong", "ümlaut"])
def test_a_form_without_the_sessions_token_changes_nothing(
    console: Console, redis: Redis, token: str
) -> None:
    visit = console()
    assert 'name="csrf"' in visit.get("quota").text  # the session has a token
    answer = visit.session.post(
        f"{visit.site}/accounts/default/quota/pause", {"reason": "x", "csrf": token}, timeout=20
    )
    assert answer.status_code == 403
    assert Policy(redis).paused == ""


def test_a_form_of_ours_does(console: Console, redis: Redis) -> None:
    visit = console()
    answer = visit.post(
        "quota/pause", {"reason": "bounces"}, headers={"Origin": visit.site, "Sec-Fetch-Site": "same-origin"}
    )
    assert answer.status_code == 200
    assert "All mail is paused until somebody resumes it." in answer.text
    assert Policy(redis).paused == "bounces"
    assert Policy(redis).history()[0]["by"] == "ops@here (console)"


def test_every_answer_says_what_it_may_do(console: Console) -> None:
    visit = console()
    for path in (
        "overview",
        "/login",
        "/assets/console.js",
        "/nothing",
        "/api/v1/accounts/default/quota",
        "/metrics",
    ):
        headers = visit.get(path).headers
        assert (
            "default-src 'none'; script-src 'self'; style-src 'self'" in headers["content-security-policy"]
        ), path
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
    assert visit.get("overview").headers["cache-control"] == "no-store"
    cookie = console().get("/login").headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie


def test_cookies_stay_on_https_where_there_is_https(console: Console) -> None:
    headers = console(secure=True).get("/login").headers
    assert "secure" in headers["set-cookie"].lower()
    assert headers["strict-transport-security"]


@pytest.fixture
def guard() -> Guard:
    return Guard(lambda *_: None, frozenset(), False)  # type: ignore[arg-type, return-value]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"content-length": str(MAX_BODY_BYTES + 1)}, 413),
        ({"transfer-encoding": "chunked"}, 411),
        ({"content-length": "-1"}, 411),
        ({"content-length": "²"}, 411),
        ({"content-type": "multipart/form-data; boundary=x; charset=utf-7"}, 415),
        ({"content-type": """multipart/form-data; charset*=utf-8''unicode_escape; boundary=x"""}, 415),
        ({"content-type": 'multipart/form-data; charset=utf-8; Charset = "utf-7"; boundary=x'}, 415),
    ],
)
def test_what_is_too_large_or_of_no_known_size_or_charset_is_not_read(
    guard: Guard, headers: dict[str, str], status: int
) -> None:
    raw = [
        (name.encode(), value.encode("latin-1")) for name, value in {"host": "localhost", **headers}.items()
    ]
    refused = guard.refuse("/", "POST", Headers(raw=raw))
    assert refused is not None
    assert refused.status_code == status


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_body_without_an_end_is_read_nowhere(guard: Guard, method: str) -> None:
    headers = Headers({"host": "localhost", "content-length": "10", "transfer-encoding": "chunked"})
    refused = guard.refuse("/emails/x", method, headers)
    assert refused is not None
    assert refused.status_code == 411


def test_the_largest_body_is_read(guard: Guard) -> None:
    headers = Headers({"host": "localhost", "content-length": str(MAX_BODY_BYTES)})
    assert guard.refuse("/", "POST", headers) is None


@pytest.mark.parametrize("type_", ["application/json; charset=UTF-8", 'text/plain; charset="utf-8"; x=y'])
def test_utf_8_is_read(guard: Guard, type_: str) -> None:
    headers = Headers({"host": "localhost", "content-length": "2", "content-type": type_})
    assert guard.refuse("/", "POST", headers) is None


def test_a_form_in_a_charset_that_makes_half_characters_is_refused(console: Console) -> None:
    visit = console()
    visit.get("/login")
    form = b'--x\r\nContent-Disposition: form-data; name="csrf"\r\n\r\n+2AA-\r\n--x--\r\n'
    headers = {"content-type": "multipart/form-data; boundary=x; charset=utf-7"}
    answer = visit.session.post(f"{visit.site}/login", data=form, headers=headers, timeout=20)
    assert answer.status_code == 415
