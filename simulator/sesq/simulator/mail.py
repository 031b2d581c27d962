"""One message as every interface (SESv2, v1, SMTP) gives it to the account."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

MAX_RECIPIENTS = 50


@dataclass(slots=True)
class Mail:
    """Addresses are kept as given (`Ada <ada@example.org>`). `recipients` are the bare ones, with duplicates."""

    sender: str
    # The envelope's sender, if it differs from the mail's own.
    source: str = ""
    to: Sequence[str] = ()
    cc: Sequence[str] = ()
    bcc: Sequence[str] = ()
    recipients: Sequence[str] = ()
    # What must be verified too: envelope sender, Sender and Return-Path, as given.
    other_senders: Sequence[str] = ()
    subject: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    configuration_set: str | None = None
    tenant: str | None = None
    # What else the send asked for, by member: see `options.py`.
    options: Mapping[str, Any] = field(default_factory=dict)
    # The raw message, or the request's JSON as it came. It is parsed again only to be shown.
    content: bytes = b""
    raw: bool = False
    # The name of the stored template, and why its data does not fit: such mail is accepted, and fails later.
    template: str | None = None
    rendering_error: str | None = None
    api: str = "v2"
    # The operation by which it came, which events name.
    operation: str = "SendEmail"
    templated: bool = False
    # The headers that SES writes for the body of Simple and Template content. Raw mail has its own.
    body_headers: Sequence[tuple[str, str]] = ()

    def given_recipients(self) -> list[str]:
        return [*self.to, *self.cc, *self.bcc]
