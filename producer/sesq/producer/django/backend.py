"""Django's email backend. The docstring of the package describes it."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.mail.backends.base import BaseEmailBackend
from django.db import transaction

from sesq.config.errors import InvalidMessage, SesqError
from sesq.config.essentials import Essentials
from sesq.producer.django.errors import refused, unusable
from sesq.producer.message import Message
from sesq.producer.mime import written
from sesq.producer.outbox import KEY_HOURS, Outbox
from sesq.producer.raw import RawMail
from sesq.producer.written_mail import closer, messages_of
from sesq.queue.addresses import shown
from sesq.queue.job import KEEP_DAYS

if TYPE_CHECKING:
    from django.core.mail import EmailMessage

PREFIX = "SESQ_"
OF_RESULTS = ("SESQ_WEBHOOK_SECRET",)
"""Settings that are not for the backend, but for events and webhooks."""
OF_QUEUE = ("redis_url", "keep_days", "key_hours")
OF_MESSAGE = (
    "account", "lane", "tags", "configuration_set", "tenant", "feedback_to", "contact_list", "topic", "track",
    "on_unknown", "on_commit",
)  # fmt: skip
OF_ONE_MESSAGE = ("idempotency_key", "send_at", "expires_at")

EMBEDDED = (
    "no Redis is named, so mail is queued in an embedded Redis of the user that runs this process: only a worker of "
    "the same user on the same host can send it"
)

log = logging.getLogger("sesq.django")


@dataclass
class Mail:
    """One of the application's messages, and the messages that it becomes in the queue."""

    email: EmailMessage
    parts: list[Message]
    on_commit: bool


class EmailBackend(BaseEmailBackend):
    """Queues mail. `fail_silently` ignores the errors of sesq (bad mail, no Redis), and no others."""

    def __init__(self, fail_silently: bool = False, **options: Any) -> None:
        own = {name: options.pop(name) for name in (*OF_QUEUE, *OF_MESSAGE) if name in options}
        # Django's base class handles the other options: `send_mail` gives every backend a user name
        super().__init__(**{name: value for name, value in options.items() if value is not None})
        self.fail_silently = fail_silently
        self.options = closer(of_settings(), own)
        self._queue = (
            self.options.pop("redis_url", None),
            self.options.pop("keep_days", KEEP_DAYS),
            self.options.pop("key_hours", KEY_HOURS),
        )

    def send_messages(self, email_messages: Sequence[EmailMessage]) -> int:
        """Queues the messages in one round trip. Returns how many are queued, or will be at the commit.

        If one of them is refused before Redis is asked, none is queued; with `fail_silently`, the others are queued.
        Raises InvalidMessage and QueueUnavailable, which are smtplib's errors too.
        """
        mails = [mail for email in email_messages or () if (mail := self._read(email)) is not None]
        later = [mail for mail in mails if mail.on_commit]
        if later:
            transaction.on_commit(lambda: self._enqueue(later))
        return self._enqueue([mail for mail in mails if not mail.on_commit]) + len(later)

    def _read(self, email: EmailMessage) -> Mail | None:
        """Reads one message. Returns None if it has no recipient, as in Django's own backends.

        With `fail_silently`, returns None for a message that is refused too.
        """
        if not email.recipients():
            return None
        try:
            options = closer(self.options, _of_message(email))
            on_commit = bool(options.pop("on_commit", False))
            recipients = {
                field: [str(each) for each in getattr(email, field)] for field in ("to", "cc", "bcc")
            }
            parts = messages_of(RawMail.read(written(email.message())), recipients, names_id=True, **options)
            return Mail(email, parts, on_commit)
        except InvalidMessage as error:
            if not self.fail_silently:
                raise _refused(error, email) from error
            return None

    def _enqueue(self, mails: list[Mail]) -> int:
        if not mails:
            return 0
        try:
            answers = iter(_outbox(*self._queue).try_send_many(part for mail in mails for part in mail.parts))
        except SesqError as error:
            if not self.fail_silently:
                raise unusable(error) from error
            return 0
        wrong = []
        for mail in mails:
            given = [next(answers) for _ in mail.parts]
            wrong += [_refused(error, mail.email) for error in given if isinstance(error, InvalidMessage)][:1]
            mail.email.sesq_ids = [id for id in given if isinstance(id, str)]  # type: ignore[attr-defined]
        if wrong and not self.fail_silently:
            raise wrong[0]
        return len(mails) - len(wrong)


def backend_outbox() -> tuple[Outbox, str]:
    """Returns the outbox that the project's settings describe, and the account that they name."""
    options = of_settings()
    queue = _outbox(
        options.get("redis_url"), options.get("keep_days", KEEP_DAYS), options.get("key_hours", KEY_HOURS)
    )
    return queue, options.get("account", "default")


@lru_cache(maxsize=8)
def _outbox(redis_url: str | None, keep_days: float, key_hours: float) -> Outbox:
    """Makes one outbox for the process. Its connections are kept, and it works after a fork."""
    if uses_embedded(redis_url):
        log.warning("%s", EMBEDDED)
    return Outbox(redis_url, keep_days=keep_days, key_hours=key_hours)


def uses_embedded(redis_url: str | None) -> bool:
    """Whether a backend with this URL queues into an embedded Redis. Raises SettingsError."""
    return redis_url is None and Essentials.load().redis_url is None


def of_settings() -> dict[str, Any]:
    """Reads the options in the project's settings. Raises ImproperlyConfigured for an unknown one."""
    allowed = (*OF_QUEUE, *OF_MESSAGE)
    names = [name for name in dir(settings) if name.startswith(PREFIX) and name not in OF_RESULTS]
    given = {name.removeprefix(PREFIX).lower(): getattr(settings, name) for name in names}
    unknown = next((name for name in given if name not in allowed), None)
    if unknown is not None:
        known = ", ".join(PREFIX + name.upper() for name in allowed)
        raise ImproperlyConfigured(f"sesq: {PREFIX}{unknown.upper()} is no setting; there are {known}")
    return closer({}, given)


def _of_message(email: EmailMessage) -> Mapping[str, Any]:
    """Reads the options of one message. Raises InvalidMessage."""
    given = getattr(email, "sesq", None) or {}
    allowed = (*OF_MESSAGE, *OF_ONE_MESSAGE)
    if not isinstance(given, Mapping):
        raise InvalidMessage("message.sesq", f"{shown(given)} is no mapping of {', '.join(allowed)}")
    unknown = next((name for name in given if name not in allowed), None)
    if unknown is not None:
        raise InvalidMessage("message.sesq", f"{shown(unknown)} is unknown; allowed: {', '.join(allowed)}")
    return given


def _refused(error: InvalidMessage, email: EmailMessage) -> InvalidMessage:
    return refused(error, str(email.from_email), [str(each) for each in email.recipients()])
