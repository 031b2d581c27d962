"""One mail to send. A `Message` is checked when it is made: it keeps the rules of SES and of mail."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from copy import copy
from dataclasses import MISSING, dataclass, field, fields
from datetime import datetime
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from sesq.config.errors import InvalidMessage
from sesq.producer import header_rules, moments, rules
from sesq.producer.attachment import Attachment, attachments_of, check_attachments
from sesq.producer.raw import BLIND, RawMail, digested
from sesq.producer.serial import dump, load
from sesq.producer.ses_headers import check_ses_headers, take_ses_options
from sesq.queue.addresses import shown, spec_of, wire_form
from sesq.queue.envelope import Envelope, OnUnknown, SimpleContent
from sesq.queue.states import Lane

if TYPE_CHECKING:
    from email.message import Message as AnyEmail

__all__ = ["Attachment", "Message"]

Addresses = str | Iterable[str]


@dataclass(frozen=True, slots=True, kw_only=True, init=False)
class Message:
    """A frozen message. Every argument is checked; InvalidMessage names the field and the cure.

    >>> message = Message(sender="Shop <shop@example.com>", to="ada@example.org", subject="Hi", text="It is here.")
    >>> message.envelope().recipients
    ('ada@example.org',)

    `to`, `cc`, `bcc` and `reply_to` take one address or several, and keep them in wire form (ASCII). An address that is
    in several of to, cc and bcc stays in the first. `headers` are the caller's own; those that are
    not are in `header_rules.OWN_HEADERS`.
    `send_at` and `expires_at` are aware datetimes, from 1970 to 9000, kept in UTC. A `send_at` that has passed means at
    once; an `expires_at` that has passed is refused.
    `on_unknown` says what to do if SES's answer is lost: "hold" for a person, or "resend"; None leaves it to the
    account. `text_from_html` makes the text from the HTML if none is given (MissingPart without the extra `html`).
    `tenant` is the SES tenant for whom it is sent; None: the account's own, if `sesq.toml` names one. `feedback_to` is
    the address to which SES sends bounces and complaints. `contact_list` and its `topic` are SES's; the mail has one
    recipient, who can leave them. `track`: whether SES tracks opens and clicks; None: its configuration set decides.
    `id` is the message's id in the queue; None: a new one. A message that is queued twice with one id is sent once.
    `raw` is a whole mail instead of subject, text, html, headers, reply_to and attachments: `from_bytes` and
    `from_email` fill in its envelope.
    """

    sender: str
    to: tuple[str, ...] = ()
    cc: tuple[str, ...] = ()
    bcc: tuple[str, ...] = ()
    reply_to: tuple[str, ...] = ()
    subject: str = ""
    text: str | None = None
    html: str | None = None
    attachments: tuple[Attachment, ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    configuration_set: str | None = None
    tenant: str | None = None
    feedback_to: str | None = None
    contact_list: str | None = None
    topic: str | None = None
    track: bool | None = None
    lane: Lane = Lane.TRANSACTIONAL
    send_at: datetime | None = None
    expires_at: datetime | None = None
    account: str = "default"
    on_unknown: OnUnknown | None = None
    idempotency_key: str | None = None
    id: str | None = None
    raw: bytes | None = field(default=None, repr=False)
    _other_senders: tuple[str, ...] = field(default=(), init=False, repr=False)

    def __init__(
        self,
        *,
        sender: str,
        to: Addresses = (),
        cc: Addresses = (),
        bcc: Addresses = (),
        reply_to: Addresses = (),
        subject: str = "",
        text: str | None = None,
        html: str | None = None,
        text_from_html: bool = False,
        attachments: Iterable[Attachment] = (),
        headers: Mapping[str, str] | None = None,
        tags: Mapping[str, str] | None = None,
        configuration_set: str | None = None,
        tenant: str | None = None,
        feedback_to: str | None = None,
        contact_list: str | None = None,
        topic: str | None = None,
        track: bool | None = None,
        lane: Lane | str = Lane.TRANSACTIONAL,
        send_at: datetime | None = None,
        expires_at: datetime | None = None,
        account: str = "default",
        on_unknown: OnUnknown | None = None,
        idempotency_key: str | None = None,
        id: str | None = None,
        raw: bytes | None = None,
    ) -> None:
        keep = object.__setattr__
        keep(self, "sender", wire_form(sender, "sender"))
        for name, wires in _each_once(to, cc, bcc):
            keep(self, name, wires)
        keep(self, "reply_to", rules.address_list(reply_to, "reply_to"))
        keep(self, "subject", subject)
        keep(self, "text", _text_of(html) if text_from_html and text is None and html is not None else text)
        keep(self, "html", html)
        keep(self, "attachments", attachments_of(attachments))
        keep(self, "headers", header_rules.check_headers(headers) if headers else {})
        keep(self, "tags", rules.check_tags(tags) if tags else {})
        keep(self, "configuration_set", configuration_set)
        keep(self, "tenant", tenant)
        keep(self, "feedback_to", feedback_to if feedback_to is None else rules.feedback_address(feedback_to))
        keep(self, "contact_list", contact_list)
        keep(self, "topic", topic)
        keep(self, "track", track)
        keep(self, "lane", rules.read_lane(lane))
        keep(self, "send_at", moments.instant(send_at, "send_at"))
        keep(self, "expires_at", moments.instant(expires_at, "expires_at"))
        keep(self, "account", account)
        keep(self, "on_unknown", on_unknown)
        keep(self, "idempotency_key", idempotency_key)
        keep(self, "id", id)
        keep(self, "raw", raw)
        keep(self, "_other_senders", ())
        self._check_options()
        moments.check_ahead(self.expires_at)
        self._check_content() if raw is None else self._check_raw(raw)

    @classmethod
    def from_bytes(
        cls,
        raw: bytes,
        *,
        sender: str | None = None,
        to: Addresses | None = None,
        cc: Addresses | None = None,
        bcc: Addresses | None = None,
        **options: Any,
    ) -> Message:
        """Makes a message of a mail that is already written.

        `raw` is sent byte for byte, without Bcc and the headers that become options, and mended if SES would not
        take it (see `mend`). The From header names the sender; To, Cc and Bcc name the recipients. If any of to, cc and
        bcc is given, the headers name no recipients. X-SES-CONFIGURATION-SET and X-SES-MESSAGE-TAGS become options.
        `options` are those of `Message`.
        """
        mail = RawMail.read(raw)
        if to is None and cc is None and bcc is None:
            to, cc, bcc = mail.addresses("to"), mail.addresses("cc"), mail.addresses("bcc")
        mail, told = take_ses_options(mail)
        return cls(
            sender=mail.addresses("from")[0] if sender is None else sender,
            to=to or (),
            cc=cc or (),
            bcc=bcc or (),
            raw=mail.without(*BLIND).content,
            **{**told, **options},
        )

    @classmethod
    def from_email(
        cls,
        email: AnyEmail,
        *,
        sender: str | None = None,
        to: Addresses | None = None,
        cc: Addresses | None = None,
        bcc: Addresses | None = None,
        **options: Any,
    ) -> Message:
        """Makes a message of a mail of Python's `email`, an `EmailMessage` or an older class; else as `from_bytes`."""
        from sesq.producer.mime import written

        return cls.from_bytes(written(email), sender=sender, to=to, cc=cc, bcc=bcc, **options)

    def readdressed(
        self,
        *,
        to: Addresses = (),
        cc: Addresses = (),
        bcc: Addresses = (),
        idempotency_key: str | None = None,
        id: str | None = None,
    ) -> Message:
        """Makes a copy for other recipients, with a key and an id of its own. The content is shared, not read again."""
        other = copy(self)
        keep = object.__setattr__
        for name, wires in _each_once(to, cc, bcc):
            keep(other, name, wires)
        keep(other, "idempotency_key", idempotency_key)
        keep(other, "id", id)
        recipients = len(other.to) + len(other.cc) + len(other.bcc)
        rules.check_recipients(recipients)
        if other.contact_list is not None:
            rules.check_list(other.contact_list, other.topic, recipients)
        if idempotency_key is not None:
            rules.check_key(idempotency_key)
        return other

    def envelope(self) -> Envelope:
        """Makes the envelope for the queue: all but the content."""
        return Envelope(
            sender=self.sender,
            to=self.to,
            cc=self.cc,
            bcc=self.bcc,
            reply_to=self.reply_to,
            subject=self.subject,
            tags=self.tags,
            configuration_set=self.configuration_set,
            tenant=self.tenant,
            feedback_to=self.feedback_to,
            contact_list=self.contact_list,
            topic=self.topic,
            track=self.track if self.track is None else rules.track_word(self.track),
            on_unknown=self.on_unknown,
            kind="simple" if self._is_simple() else "raw",
            other_senders=self._other_senders,
        )

    def content(self) -> bytes:
        """Makes the content: `SimpleContent` if SES builds the mail; else the whole mail (see `Envelope.kind`)."""
        if self.raw is not None:
            return self.raw
        content = SimpleContent(
            self.subject, self.text, self.html, header_rules.encoded_headers(self.headers)
        )
        if self._is_simple():
            return content.to_bytes()
        from sesq.producer.mime import render  # plain mail never loads the email package

        rendered = render(self.envelope(), content, self.attachments)
        rules.check_size(len(rendered), "attachments")
        return rendered

    def fingerprint(self) -> str:
        """Returns a hash in hexadecimal: the same for the same mail to the same recipients.

        In a raw mail, Date, Message-ID and boundaries do not count.
        """
        content = self.content() if self.raw is None else digested(self.raw)
        return sha256(self.envelope().to_json().encode() + b"\n" + content).hexdigest()

    def to_json(self) -> str:
        """Writes the whole message as versioned JSON; bytes in base64, times in ISO 8601."""
        values = {name: getattr(self, name) for name in _DEFAULTS}
        return dump({name: value for name, value in values.items() if value != _DEFAULTS[name]})

    @classmethod
    def from_json(cls, text: str | bytes) -> Message:
        """Reads what `to_json` wrote, or JSON of another program. Raises InvalidMessage, also for unknown names.

        The message may have expired since it was written: the queue finds that out.
        """
        values = load(text, _DEFAULTS)
        expires_at = moments.instant(values.pop("expires_at", None), "expires_at")
        message = cls(**values)
        moments.check_order(message.send_at, expires_at)
        object.__setattr__(message, "expires_at", expires_at)
        return message

    def _is_simple(self) -> bool:
        if self.raw is not None or self.attachments:
            return False
        return not self.headers or header_rules.fit_simple(header_rules.encoded_headers(self.headers))

    def _check_options(self) -> None:
        rules.check_recipients(len(self.to) + len(self.cc) + len(self.bcc))
        rules.check_account(self.account)
        moments.check_order(self.send_at, self.expires_at)
        if self.configuration_set is not None:
            rules.check_configuration_set(self.configuration_set)
        if self.tenant is not None:
            rules.check_tenant(self.tenant)
        if self.contact_list is not None or self.topic is not None:
            rules.check_list(self.contact_list, self.topic, len(self.to) + len(self.cc) + len(self.bcc))
        if self.track is not None:
            rules.track_word(self.track)
        if self.idempotency_key is not None:
            rules.check_key(self.idempotency_key)
        if self.id is not None:
            rules.check_id(self.id)
        if self.on_unknown not in (None, "hold", "resend"):
            raise InvalidMessage("on_unknown", f"{shown(self.on_unknown)}: allowed are hold and resend")

    def _check_content(self) -> None:
        header_rules.check_line(self.subject, "subject")
        if self.text is None and self.html is None:
            raise InvalidMessage("text", "there is no body: give text=, html= or both")
        size = sum(rules.text_size(body, name) for name, body in (("text", self.text), ("html", self.html)))
        if self.attachments:
            check_attachments(self.attachments, self.html)
            size += sum(len(attachment.content) for attachment in self.attachments)
        rules.check_size(rules.base64_size(size), "attachments" if self.attachments else "text")

    def _check_raw(self, raw: bytes) -> None:
        for name in ("text", "html", "attachments", "headers", "reply_to"):
            if getattr(self, name):
                raise InvalidMessage(name, "is part of the raw mail already: give one or the other")
        mail = RawMail.read(raw)
        check_ses_headers(mail)
        object.__setattr__(self, "raw", mail.without(*BLIND).content)
        object.__setattr__(self, "subject", mail.text("subject"))
        others = [spec for spec in mail.senders() if spec != spec_of(self.sender)]
        object.__setattr__(self, "_other_senders", tuple(others))


_DEFAULTS: dict[str, Any] = {
    field.name: field.default if field.default_factory is MISSING else field.default_factory()
    for field in fields(Message)
    if field.init
}


def _each_once(to: Addresses, cc: Addresses, bcc: Addresses) -> Iterable[tuple[str, tuple[str, ...]]]:
    """Yields each field with its addresses in wire form, none twice."""
    given = {"to": to, "cc": cc, "bcc": bcc}
    lists = [rules.address_list(addresses, field) for field, addresses in given.items()]
    if sum(map(len, lists)) > 1:
        lists = rules.once(*lists)
    return zip(given, lists, strict=True)


def _text_of(html: str) -> str:
    from sesq.producer.html_text import html_to_text  # here, since it needs an extra

    return html_to_text(html)
