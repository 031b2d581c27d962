"""Put mail into the queue: `Message` says what, `Outbox` takes it and answers what became of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sesq.producer.async_outbox import AsyncOutbox
    from sesq.producer.html_text import html_to_text
    from sesq.producer.message import Attachment, Message
    from sesq.producer.outbox import Outbox

__all__ = ["AsyncOutbox", "Attachment", "Message", "Outbox", "html_to_text"]

_HOMES = {
    "AsyncOutbox": "async_outbox",
    "Attachment": "message",
    "Message": "message",
    "Outbox": "outbox",
    "html_to_text": "html_text",
}


def __getattr__(name: str) -> Any:
    """Loads a name when it is first used: composing a message needs no Redis client and no RQ."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
