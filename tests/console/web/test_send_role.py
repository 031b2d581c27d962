"""A program with the role `send` queues mail as the users file allows, and sees and changes nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from sesq.config.errors import SettingsError
from sesq.console.web.api.description import operations
from sesq.console.web.pages import ROUTERS
from sesq.console.web.people import People, hash_token
from sesq.producer.submission.users import hash_password
from sesq.queue.keys import Keys
from sesq.queue.messages import Messages

USERS = f"""
[shop]
token = "{hash_token("shop's")}"
role = "send"
senders = ["shop@example.com", "@news.example.com"]
lanes = ["bulk"]
tenant = "acme"
tenants = ["globex"]
[other]
token = "{hash_token("other's")}"
role = "send"
senders = ["*"]
[looker]
token = "{hash_token("looker's")}"
[ops]
token = "{hash_token("ops's")}"
role = "operate"
"""
MAIL = {"from": "Shop <Shop@Example.com>", "to": ["ada@example.org"], "text": "x"}
OPEN_TO_ALL = {"show_health", "send_message"}
Ask = Callable[..., tuple[int, Any]]


@pytest.fixture
def users(tmp_path: Path) -> Path:
    file = tmp_path / "users.toml"
    file.write_text(USERS)
    return file


@pytest.fixture
def visit(console: Callable[..., Any], redis: Redis, users: Path) -> Any:
    visit = console(users)
    visit.session.headers["Authorization"] = "Bearer shop's"
    return visit


@pytest.fixture
def send(visit: Any) -> Ask:
    """`send(MAIL, "other's", tenant="x")`: the status, and the id or why not."""

    def ask(mail: dict[str, Any], token: str = "shop's", account: str = "default", **more: Any) -> Any:
        url = f"{visit.site}/api/v1/accounts/{account}/messages"
        headers = {"Authorization": f"Bearer {token}"}
        answer = visit.session.post(url, json={**mail, **more}, headers=headers, timeout=20)
        told = answer.json()
        return answer.status_code, told.get("id") or told["detail"]

    return ask


def test_it_sends_as_its_senders_in_its_lane_for_its_tenant(send: Ask, redis: Redis) -> None:
    status, id = send(MAIL)
    assert status == 201
    record = Messages(redis).get(id)
    assert (record.lane, record.envelope.tenant) == ("bulk", "acme")
    for more, tenant in (({"tenant": "globex"}, "globex"), ({"from": "a@news.example.com"}, "acme")):
        status, id = send(MAIL, **more)
        assert (status, Messages(redis).get(id).envelope.tenant) == (201, tenant)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"from": "ceo@example.com"}, "may not send as ceo@example.com"),
        ({"from": "shop@news.example.com.evil.example"}, "may not send as"),
        ({"lane": "transactional"}, "may not use the lane transactional"),
        ({"tenant": "initech"}, "tenant: 'initech' may not be chosen"),
        ({"contact_list": "news"}, "contact_list: 'news' may not be chosen"),
        ({"feedback_to": "ceo@example.com"}, "may not send as ceo@example.com"),
        ({"headers": {"Sender": "ceo@example.com"}}, "Sender is not set by hand"),
        ({"headers": {"X-SES-Tenant": "initech"}}, "X-SES-Tenant is not set by hand"),
        ({"on_unknown": "resend"}, "is not valid"),
    ],
)
def test_what_the_users_file_does_not_allow_is_refused_and_nothing_is_queued(
    send: Ask, redis: Redis, more: dict[str, Any], said: str
) -> None:
    status, detail = send(MAIL, **more)
    assert (status, said in detail) == (422, True), detail
    assert redis.keys("sesq:*:message:*") == []


def test_it_sends_from_its_own_account_alone(send: Ask) -> None:
    assert send(MAIL, account="shop") == (403, "shop may not send from account shop")


def test_an_idempotency_key_is_its_owners(send: Ask) -> None:
    (_, first), (_, again) = (send(MAIL, idempotency_key="k") for _ in range(2))
    (_, other) = send(MAIL, "other's", idempotency_key="k")
    (_, ops) = send(MAIL, "ops's", idempotency_key="k")
    assert first == again
    assert len({first, other, ops}) == 3


def test_who_may_look_may_not_send(send: Ask) -> None:
    assert send(MAIL, "looker's") == (403, "looker may look, but not send")


def test_its_mail_does_not_push_the_deeds_of_people_out_of_the_audit_trail(send: Ask, redis: Redis) -> None:
    send(MAIL)
    send(MAIL, "ops's")
    told = [json.loads(each)["by"] for each in redis.lrange(Keys("default").audit, 0, -1)]
    assert told == ["ops (console)"]


def test_nothing_else_of_the_api_answers_it(visit: Any) -> None:
    looking = visit.session.get(
        f"{visit.site}/api/v1/openapi.json", headers={"Authorization": "Bearer looker's"}, timeout=20
    ).json()
    for where, told in operations(looking):
        if told["operationId"] in OPEN_TO_ALL:
            continue
        method, path = where.split()
        path = path.replace("{account}", "default").replace("{outcome}", "sent").replace("{action}", "pause")
        path = path.replace("{id}", "x").replace("{name}", "x").replace("{address}", "x@example.org")
        kind, body = next(iter(told.get("requestBody", {}).get("content", {}).items()), ("", {}))
        example = body.get("example")
        sent = (
            {"data": example, "files": {"more": b""}} if kind.startswith("multipart") else {"json": example}
        )
        answer = visit.session.request(method, f"{visit.site}/api/v1{path}", timeout=20, **sent)
        assert answer.status_code == 403, (where, answer.text)


UPLOADS = [
    ("shop's", "/api/v1/accounts/default/batches", 413),
    ("shop's", "/api/v1/accounts/default/batches/check", 413),
    ("shop's", "/api/v1/accounts/default/messages", 422),
    ("looker's", "/api/v1/accounts/default/messages", 413),
    ("looker's", "/api/v1/accounts/default/batches", 413),
    ("nobody's", "/api/v1/accounts/default/batches", 401),
    ("ops's", "/api/v1/accounts/default/batches", 422),
]
"""422: the whole body was read."""


@pytest.mark.parametrize(("token", "path", "status"), UPLOADS)
def test_a_large_body_is_read_from_those_alone_who_may_send_it(
    visit: Any, token: str, path: str, status: int
) -> None:
    is_mail = path.endswith("messages")
    body = {"json": {"x": "x" * 20_000}} if is_mail else {"files": {"rows": b"x" * 20_000}}
    headers = {"Authorization": f"Bearer {token}"}
    answer = visit.session.post(visit.site + path, headers=headers, timeout=20, **body)
    assert answer.status_code == status, answer.text


def test_no_page_and_no_metrics_answer_it(visit: Any) -> None:
    paths = {
        route.path for router in ROUTERS for route in router.routes if "GET" in route.methods and route.path
    }
    assert len(paths) > 15
    for path in (paths | {"/metrics"}) - {"/", "/login"}:
        path = path.replace("{account}", "default").replace("{name}", "x").replace("{id}", "x")
        answer = visit.session.get(visit.site + path, timeout=20)
        assert answer.status_code in (403, 404), (path, answer.status_code)


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ('role = "send"', "senders: must be a list of addresses"),
        (
            f'role = "send"\nsenders = ["*"]\npassword = "{hash_password("x" * 12)}"',
            "password: is for the pages",
        ),
        ('senders = ["*"]', 'senders: counts for role = "send" alone'),
        ('role = "operate"\ntenant = "acme"', 'tenant: counts for role = "send" alone'),
        (
            'role = "send"\nsenders = ["*"]\nlanes = ["slow"]',
            "lanes: must be a list of transactional and bulk",
        ),
        ('role = "sender"', "role: allowed are view, operate, send"),
    ],
)
def test_a_table_that_cannot_be_meant_is_refused(tmp_path: Path, table: str, said: str) -> None:
    file = tmp_path / "users.toml"
    file.write_text(f'[shop]\ntoken = "{hash_token("x")}"\n{table}\n')
    with pytest.raises(SettingsError, match=said):
        People.read(file, "ops@here")
