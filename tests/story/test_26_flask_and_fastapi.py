"""Web apps as the how-tos have them: mail is queued in a request, once however often it is sent, and arrives."""

from __future__ import annotations

import base64
import json
import re
from datetime import datetime, timezone
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import Request, urlopen

import pytest
from standardwebhooks.webhooks import Webhook

from arrived import arrived
from pages import write_files
from sesq.queue.events import MessageEvent
from sesq.queue.states import State
from sesq.queue.webhook_body import body_of
from system import System, eventually

SERVERS = {
    "flask": ("flask", "--app", "shop", "run", "--port", "0"),
    "fastapi": ("uvicorn", "shop:app", "--port", "0"),
}
ORDER = {"email": "Ada Łovelace <ada@example.org>", "item": "Bücher", "form": "0f3c"}


def serve(s: System, framework: str) -> str:
    """The page's app on its server; its address."""
    assert write_files(f"how-to/{framework}.md", s.folder) == ["shop.py"]
    s.start(*SERVERS[framework], PYTHONPATH=str(s.folder))
    log = s.folder / f"process-{len(s.processes) - 1}.log"
    told = eventually(lambda: re.search(r"unning on (http://127\.0\.0\.1:\d+)", log.read_text()), "it serves")
    return str(told[1])


def ask(url: str, form: dict[str, str] | None = None) -> tuple[int, Any]:
    """Status and JSON of a GET, or of a POST with a form."""
    data = None if form is None else urlencode(form).encode()
    try:
        with urlopen(url, data, timeout=30) as answer:
            return answer.status, json.load(answer)
    except HTTPError as error:
        with error:
            return error.code, json.load(error)


@pytest.mark.parametrize("framework", SERVERS)
def test_an_order_confirms_itself_once(system: Any, framework: str) -> None:
    s: System
    with system(max_send_rate=20) as s:
        # Given the app of the page, and no worker yet
        shop = serve(s, framework)
        # When the form is sent twice, with a wrong address, and with other content under the same key
        first, again = ask(f"{shop}/orders", ORDER), ask(f"{shop}/orders", ORDER)
        wrong = ask(f"{shop}/orders", ORDER | {"email": "ada"})
        other = ask(f"{shop}/orders", ORDER | {"item": "Pens"})
        # Then one mail waits, in the lane that goes first, and what was wrong is said
        assert first == again
        assert first[0] == 202
        assert (wrong[0], wrong[1]["field"]) == (400, "to")
        assert (other[0], other[1]["field"]) == (400, "idempotency_key")
        id = first[1]["mail"]
        assert ask(f"{shop}/mails/{id}") == (200, {"state": "queued"})
        assert ask(f"{shop}/mails/nothing")[0] == 404
        assert s.messages.get(id).lane == "transactional"
        # When a worker comes, then it arrives as it was written
        s.start_workers(1)
        s.wait_for(State.SENT, 1)
        (mail,) = arrived(s.ses)
        assert mail.simple["Subject"]["Data"] == "Your order: Bücher"
        assert mail.recipients == ["=?utf-8?q?Ada_=C5=81ovelace?= <ada@example.org>"]
        assert mail.simple["Body"]["Text"]["Data"] == "Thank you. It is on its way."
        assert ask(f"{shop}/mails/{id}") == (200, {"state": "sent"})


@pytest.mark.parametrize("framework", SERVERS)
def test_a_webhook_is_taken_with_its_signature_alone(system: Any, framework: str) -> None:
    s: System
    secret = "whsec_" + base64.b64encode(b"k" * 24).decode()
    event = MessageEvent(
        id="5-0", account="default", at=5.0, message="m", state="bounced", kind="hard", reason="no such user"
    )
    body, now = body_of(event), datetime.now(timezone.utc)
    with system() as s:
        # Given the app of the page, which knows the secret
        s.environment["WEBHOOK_SECRET"] = secret
        shop = serve(s, framework)
        named = {
            "webhook-id": event.id,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": Webhook(secret).sign(event.id, now, body),
        }
        # When the webhook comes, Then the app knows what became of the mail
        log = s.folder / f"process-{len(s.processes) - 1}.log"
        assert post(f"{shop}/sesq/webhook", body, named) == 204
        eventually(lambda: "mail m bounced for good: no such user" in log.read_text(), "it is told")
        # and one that somebody else has written is refused
        forged = {**named, "webhook-signature": Webhook("whsec_eA==").sign(event.id, now, body)}
        assert post(f"{shop}/sesq/webhook", body, forged) == 400
        assert post(f"{shop}/sesq/webhook", body.replace("bounced", "sent"), named) == 400
        assert log.read_text().count("bounced for good: no such user") == 1


def post(url: str, body: str, headers: dict[str, str]) -> int:
    try:
        with urlopen(Request(url, body.encode(), headers, method="POST"), timeout=30) as answer:
            return int(answer.status)
    except HTTPError as error:
        with error:
            return error.code


def test_flask_shows_another_key_with_each_form(system: Any, tmp_path: Path) -> None:
    s: System
    with system() as s:
        url = f"{serve(s, 'flask')}/orders/new"
        forms = [urlopen(url, timeout=30).read().decode() for _ in range(2)]
        keys = {re.search(r'name="form" value="(\w{32})"', form)[1] for form in forms}  # type: ignore[index]
        assert len(keys) == 2
