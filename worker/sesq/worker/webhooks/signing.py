"""Signs requests by the Standard Webhooks convention: https://github.com/standard-webhooks/standard-webhooks."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timezone

from standardwebhooks.webhooks import Webhook


class Signer:
    """Signs with each of an endpoint's secrets, so that receivers may change from one to another."""

    def __init__(self, secrets: Iterable[str]) -> None:
        self._keys = [Webhook(secret) for secret in secrets]

    def headers(self, id: str, at: float, body: str) -> dict[str, str]:
        """Returns the three headers of a request: `id` is the same at each attempt, `at` (s) is the attempt's time."""
        moment = datetime.fromtimestamp(int(at), timezone.utc)
        return {
            "webhook-id": id,
            "webhook-timestamp": str(int(at)),
            "webhook-signature": " ".join(key.sign(id, moment, body) for key in self._keys),
        }
