"""Mail over HTTP as Resend's API takes it, judged by Resend's own SDK; and what strangers and odd requests get."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Callable
from email import message_from_bytes
from pathlib import Path
from typing import Any

import pytest
import requests
import resend
from redis import Redis
from resend.exceptions import ResendError

from sesq.config.errors import QueueUnavailable
from sesq.console.web.people import hash_token
from sesq.producer import Outbox
from sesq.queue.keys import Keys
from sesq.queue.messages import Messages
from sesq.queue.states import State

USERS = f"""
[shop]
token = "{hash_token("re_shop")}"
role = "send"
senders = ["@example.com"]
tenant = "acme"
[other]
token = "{hash_token("re_other")}"
role = "send"
senders = ["@example.net"]
[looker]
token = "{hash_token("re_looker")}"
"""
MAIL: Any = {
    "from": "Shop <shop@example.com>",
    "to": ["ada@example.org"],
    "subject": "Your order",
    "html": "<p>It is on its way.</p>",
}


@pytest.fixture
def url(console: Callable[..., Any], redis: Redis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Where it listens; Resend's SDK asks there, as the user shop."""
    file = tmp_path / "users.toml"
    file.write_text(USERS)
    site: str = console(file, intake=True).site
    monkeypatch.setattr(resend, "api_url", site)
    monkeypatch.setattr(resend, "api_key", "re_shop")
    return site


@pytest.fixture
def post(url: str) -> Callable[..., tuple[int, str, str]]:
    """`post("/emails", body)`: the status, and the name and the message of what failed."""

    def ask(path: str, body: bytes = b"{}", token: str = "re_shop", **headers: str) -> tuple[int, str, str]:
        sent = {"Authorization": f"Bearer {token}", "Content-Type": "application/json", **headers}
        sent = {name.replace("_", "-"): value for name, value in sent.items() if value}
        answer = requests.post(url + path, data=body, headers=sent, timeout=20)
        told = answer.json()
        assert told["statusCode"] == answer.status_code
        return answer.status_code, told["name"], told["message"]

    return ask


def refused(call: Callable[[], Any]) -> tuple[int, str, str]:
    """Status, name and message as the SDK tells them."""
    with pytest.raises(ResendError) as told:
        call()
    return int(told.value.code), told.value.error_type, str(told.value)


def queued(redis: Redis) -> int:
    return Outbox(redis).redis.zcard(Keys("default").state(State.QUEUED))


def test_an_email_of_the_sdk_is_a_message_in_the_queue(url: str, redis: Redis) -> None:
    # When an email with all that the form has is sent
    file = {"filename": "note.txt", "content": b64encode(b"bytes").decode(), "content_type": "text/plain"}
    sent = resend.Emails.send(
        {
            **MAIL,
            "cc": "c@example.org",
            "bcc": ["d@example.org"],
            "reply_to": "help@example.com",
            "text": "It is on its way.",
            "headers": {"X-Note": "n", "X-Sesq-Lane": "bulk"},
            "tags": [{"name": "campaign", "value": "autumn"}],
            "attachments": [file, {"filename": "list.bin", "content": [0, 255]}],
        }
    )
    # Then it is queued with all of that, by the rules of its user
    record = Messages(redis).get(sent["id"])
    envelope = record.envelope
    assert (record.state, record.lane, envelope.tenant) == (State.QUEUED, "bulk", "acme")
    assert (envelope.sender, envelope.to) == ("Shop <shop@example.com>", ("ada@example.org",))
    assert (envelope.cc, envelope.bcc) == (("c@example.org",), ("d@example.org",))
    assert envelope.tags == {"campaign": "autumn"}
    mail = message_from_bytes(redis.get(Keys("default").content(sent["id"])))
    parts = {part.get_filename(): part.get_payload(decode=True) for part in mail.walk()}
    assert (parts["note.txt"], parts["list.bin"]) == (b"bytes", b"\0\xff")
    assert (mail["X-Note"], mail["X-Sesq-Lane"]) == ("n", None)
    # And the SDK is told of it
    told = resend.Emails.get(sent["id"])
    assert (told["object"], told["id"], told["last_event"]) == ("email", sent["id"], "queued")
    assert (told["to"], told["subject"]) == (["ada@example.org"], "Your order")
    assert told["tags"] == [{"name": "campaign", "value": "autumn"}]
    assert told["sesq"]["waits_because"] == "no worker is running: `sesq worker` starts one"


def test_mail_goes_in_the_transactional_lane_unless_it_says_otherwise(url: str, redis: Redis) -> None:
    assert Messages(redis).get(resend.Emails.send(MAIL)["id"]).lane == "transactional"


def test_the_same_idempotency_key_sends_once(url: str, redis: Redis) -> None:
    file = {"filename": "note.txt", "content": b64encode(b"bytes").decode()}
    mail = {**MAIL, "attachments": [file]}
    first, again = (resend.Emails.send(mail, {"idempotency_key": "order-1"})["id"] for _ in range(2))
    assert (first == again, queued(redis)) == (True, 1)
    other = {**mail, "subject": "Another"}
    code, name, message = refused(lambda: resend.Emails.send(other, {"idempotency_key": "order-1"}))
    assert (code, name, first in message) == (409, "invalid_idempotent_request", True)
    assert refused(lambda: resend.Emails.send(MAIL, {"idempotency_key": "k" * 257}))[:2] == (
        400,
        "invalid_idempotency_key",
    )


@pytest.mark.parametrize(
    ("when", "due"),
    [("2030-01-31T09:30:00.000Z", "2030-01-31T09:30:00.000Z"), ("in 1 hour", None), ("in 3 days", None)],
)
def test_an_email_goes_later_is_put_off_and_is_taken_back(
    url: str, redis: Redis, when: str, due: Any
) -> None:
    id = resend.Emails.send({**MAIL, "scheduled_at": when})["id"]
    told = resend.Emails.get(id)
    assert told["last_event"] == "scheduled"
    assert told["scheduled_at"] == (due or told["scheduled_at"])
    assert resend.Emails.update({"id": id, "scheduled_at": "2031-01-31T09:30:00Z"})["id"] == id
    assert resend.Emails.get(id)["scheduled_at"] == "2031-01-31T09:30:00.000Z"
    assert resend.Emails.cancel(id)["id"] == id
    assert resend.Emails.get(id)["last_event"] == "canceled"
    code, _, message = refused(lambda: resend.Emails.cancel(id))
    assert (code, "is cancelled" in message) == (422, True)


def test_a_batch_is_queued_whole_or_not_at_all(url: str, redis: Redis) -> None:
    mails = [{**MAIL, "to": f"p{number}@example.org"} for number in range(100)]
    key = "k" * 256
    first, again = (resend.Batch.send(mails, {"idempotency_key": key})["data"] for _ in range(2))
    assert (first == again, len({each["id"] for each in first}), queued(redis)) == (True, 100, 100)
    assert (
        refused(lambda: resend.Batch.send(mails, {"idempotency_key": f"{key}k"}))[1]
        == "invalid_idempotency_key"
    )
    for wrong, said in (
        ([*mails, MAIL], "at most 100 items"),
        ([], "at least 1 item"),
        ([MAIL, {**MAIL, "to": "nobody"}], "nothing is queued; email 1: to:"),
        ([MAIL, {**MAIL, "from": "ceo@example.net"}], "email 1: from: this user may not send as"),
    ):
        code, name, message = refused(lambda wrong=wrong: resend.Batch.send(wrong))
        assert (code, name, said in message) == (422, "validation_error", True), message
    assert queued(redis) == 100


def test_a_permissive_batch_says_what_could_not_be_queued(url: str, redis: Redis) -> None:
    mails = [MAIL, {**MAIL, "to": "nobody"}, {"from": "shop@example.com"}, MAIL]
    told = resend.Batch.send(mails, {"batch_validation": "permissive"})
    assert (len(told["data"]), [each["index"] for each in told["errors"]]) == (2, [1, 2])
    assert queued(redis) == 2


def test_no_single_email_has_the_key_of_one_in_a_batch(url: str, redis: Redis) -> None:
    resend.Batch.send([MAIL], {"idempotency_key": "a"})
    for key in ("a", "a [0]", "a 0"):
        resend.Emails.send({**MAIL, "subject": "Another"}, {"idempotency_key": key})
    assert queued(redis) == 4


def test_a_key_of_a_batch_that_stands_for_another_mail_says_what_is_queued(url: str, redis: Redis) -> None:
    (first,) = resend.Batch.send([MAIL], {"idempotency_key": "k"})["data"]
    other = [{**MAIL, "subject": "Another"}, MAIL]
    code, name, message = refused(lambda: resend.Batch.send(other, {"idempotency_key": "k"}))
    assert (code, name) == (409, "invalid_idempotent_request")
    assert "email 0: " in message
    assert first["id"] in message
    assert "the others are queued: " in message
    assert queued(redis) == 2


@pytest.mark.parametrize(
    ("more", "status", "name", "said"),
    [
        ({"from": "ceo@example.net"}, 422, "validation_error", "may not send as ceo@example.net"),
        ({"from": "nobody"}, 422, "invalid_from_address", "from: "),
        ({"to": [f"p{number}@example.org" for number in range(51)]}, 422, "validation_error", "at most 50"),
        ({"subject": "a\r\nBcc: x@example.org"}, 422, "validation_error", "line break"),
        ({"html": None}, 422, "validation_error", "there is no body"),
        ({"headers": {"X-Sesq-Tenant": "initech"}}, 422, "validation_error", "tenant: "),
        ({"headers": {"X-Sesq-Speed": "1"}}, 422, "validation_error", "is no header of sesq's"),
        ({"headers": {"Sender": "ceo@example.net"}}, 422, "validation_error", "not set by hand"),
        ({"tags": [{"name": "a", "value": "1"}] * 2}, 422, "validation_error", "given twice"),
        ({"scheduled_at": "tomorrow"}, 422, "validation_error", "scheduled_at: "),
        ({"template": {"id": "x"}}, 422, "validation_error", "template: "),
        ({"attachments": [{"path": "http://10.0.0.1/x"}]}, 422, "validation_error", "not fetched"),
        ({"attachments": [{"filename": "x", "content": "*"}]}, 422, "validation_error", "neither base64"),
        ({"attachments": [{"filename": "x", "content": [256]}]}, 422, "validation_error", "neither base64"),
    ],
)
def test_what_cannot_be_sent_says_why_in_resends_form(
    url: str, redis: Redis, more: dict[str, Any], status: int, name: str, said: str
) -> None:
    told = refused(lambda: resend.Emails.send({**MAIL, **more}))
    assert (told[:2], said in told[2]) == ((status, name), True), told
    assert redis.keys("sesq:*:message:*") == []


def test_what_is_missing_is_named(post: Callable[..., Any]) -> None:
    assert post("/emails", b'{"from": "shop@example.com"}') == (
        422, "missing_required_field", "to: Field required",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("error", "status"), [(QueueUnavailable("Redis is away"), 503), (RuntimeError("secret"), 500)]
)
def test_what_fails_here_is_told_in_the_same_form_without_content(
    post: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, error: Exception, status: int
) -> None:
    def fail(*_given: Any) -> None:
        raise error

    monkeypatch.setattr(Outbox, "try_send_many", fail)
    told = post("/emails", json.dumps(MAIL).encode())
    assert (told[:2], "secret" in told[2]) == ((status, "application_error"), False)


def test_who_is_not_known_or_may_only_look_sends_nothing(
    post: Callable[..., Any], url: str, redis: Redis
) -> None:
    body = json.dumps(MAIL).encode()
    assert post("/emails", body, Authorization="")[:2] == (401, "missing_api_key")
    assert post("/emails", body, token="re_wrong")[:2] == (403, "invalid_api_key")
    assert post("/emails", body, token="re_looker")[:2] == (401, "restricted_api_key")
    # of a stranger's large body nothing is read
    assert post("/emails", body + b" " * 20_000, token="re_wrong")[:2] == (401, "missing_api_key")
    assert queued(redis) == 0


def test_the_mail_of_another_user_is_neither_shown_nor_taken_back(
    url: str, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    id = resend.Emails.send(MAIL)["id"]
    monkeypatch.setattr(resend, "api_key", "re_other")
    assert refused(lambda: resend.Emails.get(id))[:2] == (404, "not_found")
    assert refused(lambda: resend.Emails.cancel(id))[:2] == (404, "not_found")
    monkeypatch.setattr(resend, "api_key", "re_looker")
    assert resend.Emails.get(id)["id"] == id
    assert refused(lambda: resend.Emails.cancel(id))[:2] == (401, "restricted_api_key")
    assert queued(redis) == 1


def test_without_the_option_there_is_no_such_thing(console: Callable[..., Any]) -> None:
    visit = console()
    answer = visit.session.post(f"{visit.site}/emails", json=MAIL, timeout=20)
    assert (answer.status_code, answer.json()["name"]) == (404, "not_found")
