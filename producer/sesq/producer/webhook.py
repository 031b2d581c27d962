"""For applications that get sesq's webhooks: verifies the signature, and reads the event."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from sesq.config.errors import InvalidMessage
from sesq.config.parts import part
from sesq.queue.events import MessageEvent
from sesq.queue.webhook_body import event_of

LONGEST_BODY = 256 * 1024
"""In bytes. An event with 50 recipients is far shorter."""


def read_webhook(body: bytes, headers: Mapping[str, str], secrets: str | Iterable[str]) -> MessageEvent:
    """Reads the event of a request that is signed with one of the endpoint's secrets, within the last 5 minutes.

    Raises InvalidMessage for any other request: answer it with 400. `event.account` and `event.id` are the same when it
    is sent again. Needs the extra `webhooks`.
    """
    if len(body) > LONGEST_BODY:
        raise InvalidMessage("body", f"has more than {LONGEST_BODY} bytes")
    named = {name.lower(): value for name, value in headers.items()}
    if not any(
        _is_signed(body, named, each) for each in ([secrets] if isinstance(secrets, str) else secrets)
    ):
        raise InvalidMessage("webhook-signature", "is none of this endpoint's, or is older than 5 minutes")
    return event_of(body)


def _is_signed(body: bytes, headers: dict[str, str], secret: str) -> bool:
    with part("webhooks"):
        from standardwebhooks.webhooks import Webhook, WebhookVerificationError
    key = Webhook(secret)
    try:
        key.verify(body, headers, json_parse=False)
    except (
        WebhookVerificationError,
        ValueError,
        IndexError,
    ):  # the library does not catch what broken Base64 raises
        return False
    return True
