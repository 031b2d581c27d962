"""Writes and reads the body of a webhook's request, by the Standard Webhooks convention."""

from __future__ import annotations

import json
import re
from datetime import datetime, timezone

from sesq.config.errors import InvalidMessage
from sesq.queue.events import MESSAGE, MessageEvent

TEST = "test"
"""The type of the event that `sesq webhooks test` sends."""
_UNSAFE = re.compile(r"[^A-Za-z0-9_.-]")


def webhook_id(event: MessageEvent) -> str:
    """Returns the header `webhook-id`, unique for each event in all accounts: only letters, digits, `_`, `-`, `.`."""
    return _UNSAFE.sub("_", f"{event.account}.{event.id}")


def body_of(event: MessageEvent) -> str:
    """Writes `{"type": "message.bounced", "timestamp": …, "data": {…}}`, the same text at each attempt."""
    at = datetime.fromtimestamp(event.at, timezone.utc).isoformat(timespec="milliseconds")
    return json.dumps(
        {
            "type": f"{MESSAGE}.{event.state}" if event.type == MESSAGE else event.type,
            "timestamp": at.replace("+00:00", "Z"),
            "data": json.loads(event.to_json()),
        }
    )


def event_of(body: str | bytes) -> MessageEvent:
    """Reads the event in a body, whose signature must be verified before. Raises InvalidMessage."""
    try:
        data = json.dumps(json.loads(body)["data"])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise InvalidMessage("body", "is no webhook of sesq's") from error
    return MessageEvent.from_json(data)
