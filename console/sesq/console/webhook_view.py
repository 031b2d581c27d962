"""One account's webhooks as people see them: in a table, in JSON, on a page and to `sesq doctor`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from redis import Redis

from sesq.config.errors import UnknownWebhook
from sesq.config.webhook_settings import WebhookSettings
from sesq.console.times import utc
from sesq.queue.webhook_body import webhook_id
from sesq.queue.webhook_records import DeadLetter, Health
from sesq.queue.webhooks import WebhookStore, known_webhooks

DISABLED, FAILING, STOPPED, UNKNOWN, DELIVERING = (
    "disabled", "failing", "not running", "not in sesq.toml", "delivering",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class WebhookView:
    """`settings`: None if only Redis knows it."""

    name: str
    settings: WebhookSettings | None
    health: Health

    @property
    def url(self) -> str:
        """Its URL without the query, which may be a secret."""
        if self.settings is None:
            return ""
        parts = urlsplit(self.settings.url)
        return f"{parts.scheme}://{parts.netloc}{parts.path}"

    @property
    def state(self) -> str:
        """Its state, in one word or a few."""
        if self.health.disabled_at is not None:
            return DISABLED
        if not self.health.is_running:
            return UNKNOWN if self.settings is None else STOPPED
        return DELIVERING if self.health.failing_since is None else FAILING

    @property
    def why(self) -> str:
        """Why it is disabled or fails; empty if it does neither."""
        return self.health.disabled_because or self.health.why

    def as_json(self) -> dict[str, Any]:
        """Returns the JSON that scripts and the API rely on."""
        settings, health = self.settings, self.health
        return {
            "name": self.name,
            "url": self.url or None,
            "events": list(settings.events) if settings and settings.events else None,
            "recipients": bool(settings and settings.recipients),
            "configured": settings is not None,
            "running": health.is_running,
            "state": self.state,
            "why": self.why,
            "delivered": health.delivered,
            "waiting": health.waiting,
            "given_up": health.dead,
            "dropped": health.dropped,
            "last_ok": utc(health.last_ok),
            "failing_since": utc(health.failing_since),
            "disabled_at": utc(health.disabled_at),
        }


def read_webhooks(redis: Redis, account: str, configured: Mapping[str, WebhookSettings]) -> list[WebhookView]:
    """Returns the webhooks that are configured here, and those that Redis knows. Raises QueueUnavailable."""
    names = sorted({*configured, *known_webhooks(redis, account)})
    return [
        WebhookView(name, configured.get(name), WebhookStore(redis, account, name).health()) for name in names
    ]


def require_webhook(
    redis: Redis, account: str, configured: Mapping[str, WebhookSettings], name: str
) -> WebhookStore:
    """Raises UnknownWebhook for one that is neither configured here nor known to Redis."""
    known = sorted({*configured, *known_webhooks(redis, account)})
    if name not in known:
        raise UnknownWebhook(
            f"webhook {name!r:.80} is not configured in account {account}; known: {', '.join(known) or 'none'}"
        )
    return WebhookStore(redis, account, name)


def letter_as_json(letter: DeadLetter) -> dict[str, Any]:
    """Returns an event that was given up, as the JSON that scripts and the API rely on."""
    event = letter.event
    return {
        "event": event.id,
        "webhook_id": webhook_id(event),
        "type": event.type,
        "message": event.message or None,
        "state": event.state or None,
        "told_at": utc(event.at),
        "given_up_at": utc(letter.at),
        "attempts": letter.attempts,
        "why": letter.why,
    }
