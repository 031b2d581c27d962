"""A webhook is read where its signature is right, by any of the secrets, and not too old."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpResponse
from django.test import Client, override_settings
from standardwebhooks.webhooks import Webhook

import django_project  # noqa: F401  (it configures Django, once for the process)
from sesq.config.errors import InvalidMessage
from sesq.producer.django.signals import ChangedMessage, message_changed
from sesq.producer.webhook import LONGEST_BODY, read_webhook
from sesq.queue.events import MessageEvent
from sesq.queue.webhook_body import body_of

OLD, NEW = ("whsec_" + base64.b64encode(bytes([n]) * 24).decode() for n in (1, 2))
EVENT = MessageEvent(
    id="7-1",
    account="default",
    at=7.0,
    message="m",
    state="bounced",
    kind="hard",
    was="sent",
    reason="no such user",
    recipients=("ada@example.org",),
    tags={"kind": "receipt"},
)
BODY = body_of(EVENT).encode()


def signed(secret: str = NEW, body: bytes = BODY, ago: float = 0.0) -> dict[str, str]:
    at = datetime.now(timezone.utc) - timedelta(seconds=ago)
    return {
        "Webhook-Id": EVENT.id,
        "Webhook-Timestamp": str(int(at.timestamp())),
        "Webhook-Signature": Webhook(secret).sign(EVENT.id, at, body.decode()),
    }


@pytest.mark.parametrize("secrets", [NEW, [OLD, NEW], (NEW,)])
def test_a_request_that_is_signed_is_read(secrets: Any) -> None:
    assert read_webhook(BODY, signed(), secrets) == EVENT
    assert read_webhook(BODY, signed(ago=200), secrets) == EVENT


FORGED: dict[str, tuple[bytes, Callable[[], dict[str, str]]]] = {
    "not signed": (BODY, dict),
    "another secret": (BODY, lambda: signed(OLD)),
    "another body": (BODY.replace(b"ada", b"eve"), signed),
    "too old": (BODY, lambda: signed(ago=310)),
    "not yet": (BODY, lambda: signed(ago=-3600)),
    "half a signature": (BODY, lambda: {**signed(), "Webhook-Signature": "v1"}),
    "no Base64": (BODY, lambda: {**signed(), "Webhook-Signature": "v1,%%%"}),
    "another version": (
        BODY,
        lambda: {**signed(), "Webhook-Signature": "v2," + signed()["Webhook-Signature"][3:]},
    ),
    "no time": (BODY, lambda: {**signed(), "Webhook-Timestamp": "soon"}),
    "another id": (BODY, lambda: {**signed(), "Webhook-Id": "7-2"}),
    "no text": (b"\xff" + BODY, signed),
}


@pytest.mark.parametrize("how", FORGED)
def test_any_other_request_is_refused(how: str) -> None:
    body, headers = FORGED[how]
    with pytest.raises(InvalidMessage, match="signature"):
        read_webhook(body, headers(), NEW)


@pytest.mark.parametrize("body", [b"{}", b"[]", b"no", b'{"data": {"v": 1}}', b" " * (LONGEST_BODY + 1)])
def test_a_signed_body_that_is_no_event_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidMessage):
        read_webhook(body, signed(body=body), NEW)


@pytest.fixture
def heard() -> Iterator[list[ChangedMessage]]:
    events: list[ChangedMessage] = []

    def hear(event: ChangedMessage, **_: Any) -> None:
        if event.description == "fail":
            raise RuntimeError("no database")
        events.append(event)

    message_changed.connect(hear)
    with override_settings(SESQ_WEBHOOK_SECRET=[OLD, NEW]):
        yield events
    message_changed.disconnect(hear)


def call(body: bytes, headers: dict[str, str]) -> HttpResponse:
    client = Client(enforce_csrf_checks=True)
    return client.post("/sesq/webhook", body, "application/json", headers=headers)  # type: ignore[return-value]


def test_the_view_of_django_tells_its_receivers(heard: list[ChangedMessage]) -> None:
    assert call(BODY, signed()).status_code == 204
    (event,) = heard
    assert (event.event_type, event.event_id, event.recipient) == (
        "bounced",
        "default.7-1",
        "ada@example.org",
    )
    # and nobody of what is forged, or asked for by GET
    assert call(BODY, signed("whsec_eA==")).status_code == 400
    assert Client().get("/sesq/webhook").status_code == 405
    assert len(heard) == 1


def test_the_view_asks_for_the_event_again_where_a_receiver_failed(heard: list[ChangedMessage]) -> None:
    body = BODY.replace(b"no such user", b"fail")
    assert call(body, signed(body=body)).status_code == 503
    assert heard == []


@pytest.mark.usefixtures("heard")
def test_without_a_secret_the_view_believes_nobody() -> None:
    with override_settings(SESQ_WEBHOOK_SECRET=None), pytest.raises(ImproperlyConfigured, match="SECRET"):
        call(BODY, signed())
