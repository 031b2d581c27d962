"""What programs do with mail over HTTP, within the visitor's rights: queue it, look at their own mail, cancel it."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from pydantic import ValidationError

from sesq.config.errors import InputError, InvalidMessage, UnknownMessage
from sesq.console.web.emails.answers import email_as_json
from sesq.console.web.emails.failures import UsedBefore, said
from sesq.console.web.emails.given import (
    Email,
    email_of,
    one_delay,
    one_email,
    read_time,
    read_within_bounds,
    several,
)
from sesq.console.web.people import Visitor
from sesq.console.web.site import NotAllowed, Site, log
from sesq.producer import Message, Outbox
from sesq.producer.rules import check_key
from sesq.producer.submission.fields import message_of
from sesq.producer.submission.users import User
from sesq.queue.addresses import spec_of
from sesq.queue.record import Record
from sesq.queue.snapshot import redis_now

Json = dict[str, Any]
STRICT, PERMISSIVE = "strict", "permissive"
ANYTHING = User("", "", ("*",), tenants=("*",), contact_lists=("*",))
"""The rights of a visitor who may send everything."""


class Mailer:
    """Queues, shows and changes the mail of one visitor. `key` is the request's idempotency key, if it has one."""

    def __init__(self, site: Site, visitor: Visitor, headers: Mapping[str, str]) -> None:
        settings = site.settings
        self.outbox = Outbox(site.redis, keep_days=settings.keep_days, smtp_accounts=settings.smtp_accounts)
        self.visitor = visitor
        self.rights = visitor.rights or ANYTHING
        self.key = headers.get("idempotency-key") or None
        if self.key:
            check_key(self.key)
        self.validation = headers.get("x-batch-validation", STRICT)

    def send(self, body: bytes) -> Json:
        """Queues one email."""
        self._require_sending()
        email = read_within_bounds(one_email, body)
        (id,) = self._queue([self._message(email, self.key)])
        return {"id": _taken(id)}

    def send_several(self, body: bytes) -> Json:
        """Queues up to 100 emails: all or none if `strict`; if `permissive`, those that can be sent."""
        self._require_sending()
        if self.validation not in (STRICT, PERMISSIVE):
            raise InputError(f"x-batch-validation: allowed are {STRICT} and {PERMISSIVE}")
        tried = [self._try(index, each) for index, each in enumerate(read_within_bounds(several, body))]
        messages = [each for each in tried if isinstance(each, Message)]
        problems = [
            {"index": index, "message": each} for index, each in enumerate(tried) if isinstance(each, str)
        ]
        if problems and self.validation == STRICT:
            raise InputError(f"nothing is queued; email {problems[0]['index']}: {problems[0]['message']}")
        return {"data": [{"id": id} for id in self._taken_of_several(messages)]} | (
            {"errors": problems} if self.validation == PERMISSIVE else {}
        )

    def show(self, id: str) -> Json:
        """Shows one of the visitor's own emails."""
        return email_as_json(self._own(id))

    def cancel(self, id: str) -> Json:
        """Cancels an email that waits."""
        self._require_sending()
        self.outbox.cancel(self._own(id).id, self.rights.account)
        return {"object": "email", "id": id}

    def delay(self, id: str, body: bytes) -> Json:
        """Changes the time of an email that waits."""
        self._require_sending()
        at = read_within_bounds(one_delay, body).scheduled_at
        send_at = read_time(at, redis_now(self.outbox.redis))
        self.outbox.reschedule(self._own(id).id, send_at, self.rights.account)
        return {"object": "email", "id": id}

    def _require_sending(self) -> None:
        if not self.visitor.may_send:
            raise NotAllowed(f"{self.visitor.name} may look, but not send")

    def _message(self, email: Email, key: str | None) -> Message:
        options = email.options(lambda: redis_now(self.outbox.redis))
        return message_of(self.rights, {"idempotency_key": key, **options}, owner=self.visitor.name)

    def _try(self, index: int, given: Any) -> Message | str:
        """Returns the message of one email of several, or why it cannot be sent."""
        try:
            return self._message(email_of(given), self._key_of(index))
        except (InvalidMessage, ValidationError) as error:
            return said(error)

    def _key_of(self, index: int) -> str | None:
        """Gives each email of several a key of its own, which no single email can have."""
        return self.key and f"{sha256(self.key.encode()).hexdigest()} {index}"

    def _queue(self, messages: list[Message]) -> list[str | InvalidMessage]:
        answers = self.outbox.try_send_many(messages)
        for id in answers:
            if isinstance(id, str):
                log.info("%s: queued %s", self.visitor.name, id, extra={"id": id, "user": self.visitor.name})
        return answers

    def _taken_of_several(self, messages: list[Message]) -> list[str]:
        answers = self._queue(messages)
        for index, answer in enumerate(answers):
            if isinstance(answer, InvalidMessage):
                ids = [each for each in answers if isinstance(each, str)]
                rest = f"the others are queued: {', '.join(ids)}" if ids else "nothing is queued"
                raise _refused(answer, f"email {index}: {said(answer)}; {rest}")
        return [_taken(answer) for answer in answers]

    def _own(self, id: str) -> Record:
        record = self.outbox.status(id, self.rights.account)
        envelope = record.envelope
        tenants = {*self.rights.tenants, self.rights.tenant}
        is_own = self.rights.may_send_as(spec_of(envelope.sender)) and tenants & {envelope.tenant, "*"}
        if not is_own and self.visitor.rights:
            raise UnknownMessage(f"no message {id} of this user's senders")
        return record


def _taken(answer: str | InvalidMessage) -> str:
    if isinstance(answer, InvalidMessage):
        raise _refused(answer, said(answer))
    return answer


def _refused(error: InvalidMessage, message: str) -> Exception:
    return UsedBefore(message) if error.field == "idempotency_key" else InputError(message)
