"""Finds what is wrong with the settings before the first mail: `manage.py check --tag sesq`."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error
from django.core.checks import Warning as CheckWarning
from django.core.exceptions import ImproperlyConfigured

from sesq.config.errors import InvalidMessage, SettingsError
from sesq.producer.django.backend import EMBEDDED, OF_MESSAGE, PREFIX, of_settings, uses_embedded
from sesq.producer.message import Message
from sesq.queue.careful_redis import connect

TAG = "sesq"
BACKEND = "sesq.producer.django.EmailBackend"
URL_CURE = (
    "Set SESQ_REDIS_URL in the Django settings; if you want this, add sesq.W001 to SILENCED_SYSTEM_CHECKS."
)


def check_settings(**_: Any) -> list[CheckMessage]:
    """Reports settings that cannot be used, and mail that would wait in an embedded Redis."""
    try:
        embedded = _read_settings()
    except ImproperlyConfigured as error:
        return [Error(str(error), id="sesq.E001")]
    except SettingsError as error:
        return [Error(f"sesq: {PREFIX}REDIS_URL, or sesq.toml: {error}", id="sesq.E001")]
    except InvalidMessage as error:
        return [Error(f"sesq: {PREFIX}{error.field.upper()}: {error.problem}", id="sesq.E001")]
    return [CheckWarning(f"sesq: {EMBEDDED}", hint=URL_CURE, id="sesq.W001")] if embedded else []


def _read_settings() -> bool:
    """Whether mail would wait in an embedded Redis. Raises ImproperlyConfigured, SettingsError and InvalidMessage."""
    options = of_settings()
    url = options.get("redis_url")
    if url is not None:
        connect(url)  # checks the URL, and does not ask Redis anything
    of_mail = {name: value for name, value in options.items() if name in OF_MESSAGE and name != "on_commit"}
    Message(sender="a@example.com", to="b@example.com", text="", **of_mail)
    return any(uses_embedded(own or url) for own in _of_mailers())


def _of_mailers() -> list[str | None]:
    """Lists the redis_url of each mailer with our backend; [None] if there is none.

    Without a mailer, another package may give its mail to the backend.
    """
    mailers = getattr(settings, "MAILERS", {}).values()
    options = [mailer.get("OPTIONS", {}) for mailer in mailers if mailer.get("BACKEND") == BACKEND]
    return [each.get("redis_url") for each in options] or [None]
