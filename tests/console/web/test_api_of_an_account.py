"""Each entry of the API does what it is for, to the account of its path alone."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from redis import Redis

from batch import write_template
from http_client import serving
from sesq.config.settings import Settings
from sesq.console.web.app import create_app
from sesq.console.web.people import People
from sesq.console.web.reread import Reread
from sesq.console.web.site import Site
from sesq.producer import Message, Outbox
from sesq.queue.gate import SYNC, Gate
from sesq.queue.policy import Policy
from sesq.queue.results import SendResult
from sesq.queue.states import State
from sesq.queue.suppression import Suppressed, SuppressionList
from sesq.worker.http_server import HttpServer

HOLD = "recipient:bob@example.org"
APPLICATION = {"mail_type": "MARKETING", "website": "https://x.example", "use_case": "News", "language": "JA"}
ASKED = {
    "MailType": "MARKETING",
    "WebsiteURL": "https://x.example",
    "UseCaseDescription": "News",
    "ContactLanguage": "JA",
    "ProductionAccessEnabled": True,
    "AdditionalContactEmailAddresses": ["ada@example.org"],
}


class Ses:
    """In place of the control calls of an account: tells which were made."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str, dict[str, Any]]] = []
        self.account = ""

    def of(self, account: str) -> Ses:
        self.account = account
        return self

    def call(self, operation: str, **parameters: Any) -> dict[str, Any]:
        self.calls.append((self.account, operation, parameters))
        if operation == "get_account":
            return {"SendQuota": {"MaxSendRate": 7.0, "Max24HourSend": 900.0, "SentLast24Hours": 5.0}}
        return {"IdentityType": "EMAIL_ADDRESS", "VerificationStatus": "PENDING"}


@pytest.fixture
def ses() -> Ses:
    return Ses()


@pytest.fixture
def ids(redis: Redis, tmp_path: Path) -> dict[str, str]:
    """What stands in the account shop, which is in production."""
    told = {"rate": 1000, "daily": -1, "sent": 0, "production": 1, "sending": 1, "readable": 1}
    words = {"paused_because": "", "enforcement": "", "identities": {"example.com": 1}}
    SYNC.run(redis, "shop", json.dumps({**told, **words}))
    gate, outbox, found = Gate(redis, "shop"), Outbox(redis), {}
    for name in ("failed", "held", "waits", "unknown", "queued"):
        state = State.HELD if name == "waits" else State(name)
        found[name] = outbox.send(
            Message(sender="shop@example.com", to="ada@example.com", text="x", account="shop")
        )
        if state is not State.QUEUED:
            claim = gate.claim("w", name, want=1, lease=30)
            gate.start(claim.grants)
            hold = {"hold": HOLD, "held_because": "not verified"} if state is State.HELD else {}
            gate.settle([SendResult(claim.grants[0], state, **hold)])
    write_template(tmp_path / "news")
    rows = [{"email": "ada@example.org", "name": "Ada"}]
    found["batch"] = outbox.send_batch(tmp_path / "news", rows, sender="shop@example.com", account="shop").id
    SuppressionList(redis, "shop").add([Suppressed("eve@example.org", "bounce", 5.0, "ada")])
    Policy(redis, "shop").set({"burst": "3"}, by="ada")
    return found


@pytest.fixture
def call(
    redis: Redis, ids: dict[str, str], ses: Ses, make_settings: Callable[..., Settings]
) -> Iterator[Callable[..., Any]]:
    """`call("POST", "/pause", {...})`: status and text, of the account shop."""
    settings = make_settings(accounts={"shop": {"region": "eu-west-1"}}, keep_days=2)
    site = Site(redis, Reread(None, lambda: settings), People.read(None, "ops@here"), ses.of)  # type: ignore[arg-type]
    with serving(HttpServer(create_app(site), "127.0.0.1", 0)) as url, requests.Session() as session:

        def ask(method: str, path: str, body: Any = None) -> tuple[int, str]:
            answer = session.request(method, f"{url}/api/v1/accounts/shop{path}", json=body, timeout=20)
            return answer.status_code, answer.text

        yield ask


SEEN = [
    ("/overview", '"failed":1'),
    ("/identities", '{"example.com":true}'),
    ("/suppression", '"eve@example.org"'),
    ("/suppression/eve@example.org", '"reason":"bounce"'),
    ("/sandbox", '"rate":7.0,"daily":900.0,"sent":5.0'),
    ("/messages", "{queued}"),
    (f"/messages?waiting={HOLD}", "{held}"),
    ("/messages/{failed}", '"state":"failed"'),
    ("/waiting", f'{{{{"waiting":"{HOLD}","reason":"not verified","messages":2}}}}'),
    ("/quota", '"burst":{{"value":3,"origin":"set"'),
    ("/quota/history", '"by":"ada"'),
    ("/batches", "{batch}"),
    ("/batches/{batch}", '"total":1'),
    ("/batches/{batch}/recipients", "ada@example.org"),
]


def test_what_is_seen_is_of_that_account(call: Callable[..., Any], ids: dict[str, str], ses: Ses) -> None:
    for path, said in SEEN:
        status, told = call("GET", path.format(**ids))
        expected = said.format(**ids) if "{" in said and not said.startswith('{"example') else said
        assert (status, expected in told) == (200, True), (path, told)
    assert ses.calls == [("shop", "get_account", {})]


DONE: list[tuple[str, str, Any, str]] = [
    ("POST", "/messages", {"from": "shop@example.com", "to": ["ada@example.com"], "text": "x"}, '"id"'),
    ("POST", "/messages/cancel", {"ids": ["queued"]}, '{"done":["QUEUED"],"problems":{}}'),
    ("POST", "/messages/retry", {"ids": ["failed"]}, '{"done":["FAILED"],"problems":{}}'),
    ("POST", "/messages/release", {"ids": ["held"]}, '{"done":["HELD"],"problems":{}}'),
    ("POST", "/messages/resolve/failed", {"ids": ["unknown"]}, '{"done":["UNKNOWN"],"problems":{}}'),
    ("POST", "/waiting/release", {"waiting": HOLD, "number": 1}, '"number":1,"complete":true,"done":1'),
    ("PATCH", "/quota", {"burst": "9"}, '"value":9,'),
    ("POST", "/quota/reset", {"limits": ["burst"]}, '"burst":{"value":500,"origin":"default"'),
    ("POST", "/pause", {"reason": "a look"}, '{"paused":true,"bulk_paused":false}'),
    ("POST", "/resume", None, '{"paused":false,"bulk_paused":false}'),
    ("POST", "/batches/BATCH/pause", {"reason": "a look"}, '"state":"paused","reason":"a look"'),
    ("POST", "/batches/BATCH/cancel", {}, '"state":"cancelled"'),
    ("POST", "/suppression", {"address": "bob@example.org", "reason": "complaint"}, '"added":1'),
    ("DELETE", "/suppression/eve@example.org", None, '"removed":1'),
    ("POST", "/identities", {"name": "Ada@Example.org"}, '"status":"PENDING"'),
    ("POST", "/sandbox/leave", {**APPLICATION, "contacts": ["ada@example.org"]}, '"sent":false'),
    ("POST", "/sandbox/leave", {**APPLICATION, "contacts": ["ada@example.org"], "sure": True}, '"sent":true'),
]
TOLD_SES = [
    ("put_suppressed_destination", {"EmailAddress": "bob@example.org", "Reason": "COMPLAINT"}),
    ("delete_suppressed_destination", {"EmailAddress": "eve@example.org"}),
    ("create_email_identity", {"EmailIdentity": "Ada@Example.org"}),
    ("get_email_identity", {"EmailIdentity": "Ada@Example.org"}),
    ("put_account_details", ASKED),
]


def test_what_is_done_is_done_there(
    call: Callable[..., Any], ids: dict[str, str], ses: Ses, redis: Redis
) -> None:
    for method, path, body, said in DONE:
        if isinstance(body, dict) and "ids" in body:
            body = {"ids": [ids[name] for name in body["ids"]]}
        for name, id in ids.items():
            path, said = path.replace(name.upper(), id), said.replace(name.upper(), id)
        status, told = call(method, path, body)
        assert (status < 300, said in told) == (True, True), (path, told)
    # SES is told, by that account, and only where it was to be
    assert ses.calls == [("shop", *each) for each in TOLD_SES]
    # and the account default has heard of none of it
    assert list(redis.scan_iter("*:default:*")) == []
