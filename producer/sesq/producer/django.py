"""Django's mail through the queue, without a change to the application:

    EMAIL_BACKEND = "sesq.producer.django.EmailBackend"
    MAILERS = {"default": {"BACKEND": "sesq.producer.django.EmailBackend"}}      # the same from Django 6.1 on

A message waits in the queue when `send()` returns: the web request waits neither for SES nor for a limit. The settings
are these, each also an option of a mailer or of `get_connection`, in lower case and without SESQ_; all may be left out:

    SESQ_REDIS_URL          where the queue lives; not set: as SESQ_REDIS_URL of the environment and sesq.toml say
    SESQ_ACCOUNT            "default"
    SESQ_LANE               "transactional" or "bulk"
    SESQ_TAGS               a mapping of SES's message tags
    SESQ_CONFIGURATION_SET  SES's configuration set
    SESQ_ON_UNKNOWN         "hold" or "resend", where SES's answer is lost
    SESQ_ON_COMMIT          True: what is sent in a transaction is queued when it commits, and not when it rolls back
    SESQ_KEEP_DAYS          how long the record of a finished message stays
    SESQ_KEY_HOURS          how long an idempotency key is remembered: 24

One message differs by its attribute `message.sesq = {"lane": "bulk", "idempotency_key": "order-7"}`, which takes these
too, and send_at and expires_at; or by X-Sesq headers (see `sesq.producer.intake`). Its ids in the queue are
`message.sesq_ids`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.mail.backends.base import BaseEmailBackend
from django.db import transaction

from sesq.config.addresses import shown
from sesq.config.errors import InvalidMessage, SesqError
from sesq.config.job import KEEP_DAYS
from sesq.producer.intake import messages_of
from sesq.producer.message import Message
from sesq.producer.mime import written
from sesq.producer.outbox import KEY_HOURS, Outbox
from sesq.producer.raw import RawMail

if TYPE_CHECKING:
    from django.core.mail import EmailMessage

PREFIX = "SESQ_"
OF_QUEUE = ("redis_url", "keep_days", "key_hours")
OF_MESSAGE = ("account", "lane", "tags", "configuration_set", "on_unknown", "on_commit")
OF_ONE_MESSAGE = ("idempotency_key", "send_at", "expires_at")
OF_SMTP = ("username", "password")
"""What `send_mail` hands to every backend, whether it has a use for it or not."""
OF_DJANGO = ("alias", "_ignore_unknown_kwargs")
"""What Django's own base class wants to know, from 6.1 on."""


@dataclass
class Mail:
    """One of the application's messages, and what it is in the queue."""

    email: EmailMessage
    parts: list[Message]
    on_commit: bool


class EmailBackend(BaseEmailBackend):
    """Queues mail. `fail_silently` swallows what sesq raises (bad mail, no Redis), and nothing else."""

    def __init__(self, fail_silently: bool = False, **options: Any) -> None:
        super().__init__(**{name: options.pop(name) for name in OF_DJANGO if name in options})
        self.fail_silently = fail_silently
        given = {name: value for name, value in options.items() if name not in OF_SMTP}
        self.options = {**_of_settings(), **_known(given, (*OF_QUEUE, *OF_MESSAGE), "the backend")}
        self._queue = (
            self.options.pop("redis_url", None),
            self.options.pop("keep_days", KEEP_DAYS),
            self.options.pop("key_hours", KEY_HOURS),
        )

    def send_messages(self, email_messages: Sequence[EmailMessage]) -> int:
        """Queues the messages in one round trip; how many were, or will be at the commit.

        Nothing is queued when one of them is refused, unless `fail_silently`: then the others are. Raises
        InvalidMessage and QueueUnavailable.
        """
        mails = [mail for email in email_messages or () if (mail := self._read(email)) is not None]
        later = [mail for mail in mails if mail.on_commit]
        if later:
            transaction.on_commit(lambda: self._enqueue(later))
        return self._enqueue([mail for mail in mails if not mail.on_commit]) + len(later)

    def _read(self, email: EmailMessage) -> Mail | None:
        """None for a message to nobody, as with Django's own backends, and for one that is refused in silence."""
        if not email.recipients():
            return None
        try:
            own = _known(getattr(email, "sesq", None) or {}, (*OF_MESSAGE, *OF_ONE_MESSAGE), "message.sesq")
            options = {**self.options, **own}
            on_commit = bool(options.pop("on_commit", False))
            recipients = {
                field: [str(each) for each in getattr(email, field)] for field in ("to", "cc", "bcc")
            }
            parts = messages_of(RawMail.read(written(email.message())), recipients, **options)
            return Mail(email, parts, on_commit)
        except SesqError:
            if not self.fail_silently:
                raise
            return None

    def _enqueue(self, mails: list[Mail]) -> int:
        if not mails:
            return 0
        try:
            answers = iter(_outbox(*self._queue).offer(part for mail in mails for part in mail.parts))
        except SesqError:
            if not self.fail_silently:
                raise
            return 0
        refused = []
        for mail in mails:
            given = [next(answers) for _ in mail.parts]
            refused += [error for error in given if isinstance(error, InvalidMessage)][:1]
            mail.email.sesq_ids = [id for id in given if isinstance(id, str)]  # type: ignore[attr-defined]
        if refused and not self.fail_silently:
            raise refused[0]
        return len(mails) - len(refused)


@lru_cache(maxsize=8)
def _outbox(redis_url: str | None, keep_days: float, key_hours: float) -> Outbox:
    """One for the process: its connections are kept, and survive a fork."""
    return Outbox(redis_url, keep_days=keep_days, key_hours=key_hours)


def _of_settings() -> dict[str, Any]:
    names = [name for name in dir(settings) if name.startswith(PREFIX)]
    given = {name.removeprefix(PREFIX).lower(): getattr(settings, name) for name in names}
    return _known(given, (*OF_QUEUE, *OF_MESSAGE), "the settings (SESQ_…)")


def _known(given: object, allowed: Sequence[str], where: str) -> dict[str, Any]:
    """A copy without what is None: that is left to who says it less closely."""
    if not isinstance(given, Mapping):
        raise ImproperlyConfigured(f"sesq: {where}: {shown(given)} is no mapping of {', '.join(allowed)}")
    unknown = next((name for name in given if name not in allowed), None)
    if unknown is not None:
        raise ImproperlyConfigured(
            f"sesq: {where}: {shown(unknown)} is unknown; allowed: {', '.join(allowed)}"
        )
    return {name: value for name, value in given.items() if value is not None}
