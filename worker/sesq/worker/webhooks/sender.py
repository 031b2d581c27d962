"""Signs events, and posts them to one webhook."""

from __future__ import annotations

import time
from collections.abc import Callable

from sesq.config.webhook_settings import WebhookSettings
from sesq.queue.events import MessageEvent
from sesq.queue.webhook_body import body_of, webhook_id
from sesq.worker.webhooks.http_client import Answer, HttpClient
from sesq.worker.webhooks.signing import Signer


class Sender:
    """Signs and posts events to one webhook. Raises SettingsError for a secret or certificates that cannot be used."""

    def __init__(self, settings: WebhookSettings, *, clock: Callable[[], float] = time.time) -> None:
        self._signer = Signer(settings.secrets())
        self._clock = clock
        self._client = HttpClient(
            settings.url,
            timeout_seconds=settings.timeout_seconds,
            allow_private=settings.allow_private,
            ca_file=settings.ca_file,
        )

    def post(self, event: MessageEvent) -> Answer:
        """Makes one attempt. Raises NotReached."""
        body = body_of(event)
        headers = self._signer.headers(webhook_id(event), self._clock(), body)
        content = {"Content-Type": "application/json", "User-Agent": "sesq-webhooks"}
        return self._client.post(body.encode(), {**content, **headers})

    def close(self) -> None:
        """Closes its connection."""
        self._client.close()
