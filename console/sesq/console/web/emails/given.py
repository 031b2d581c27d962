"""Reads requests in the form of Resend's API, within bounds, and turns them into options of `Message`."""

from __future__ import annotations

import binascii
import re
from base64 import b64decode
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AliasChoices, BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter

from sesq.config.errors import InputError, InvalidMessage
from sesq.producer import Attachment
from sesq.producer.moments import read_moment
from sesq.producer.rules import MAX_ATTACHMENTS, MAX_RECIPIENTS
from sesq.producer.written_mail import PREFIX, closer, options_of

MOST_EMAILS = 100
MOST_TAGS = 50
MOST_VALUES = 2_000_000
"""The most values in one body: in memory, a value takes many times its bytes."""
UNITS = {"second": 1, "sec": 1, "minute": 60, "min": 60, "hour": 3600, "day": 86_400, "week": 604_800}
_in_a_while = re.compile(rf"in (\d{{1,5}}) ({'|'.join(UNITS)})s?", re.IGNORECASE).fullmatch

Read = TypeVar("Read")
Addresses = Annotated[
    list[str],
    BeforeValidator(lambda given: [given] if isinstance(given, str) else given),
    Field(max_length=MAX_RECIPIENTS),
]
"""One address, or a list of them."""


class Given(BaseModel):
    """The base of all forms. It refuses unknown fields: the mail would lack them, and nobody would notice."""

    model_config = ConfigDict(extra="forbid", strict=True, populate_by_name=True)


class Buffer(Given):
    """Bytes as JavaScript writes them."""

    type: Literal["Buffer"]
    data: list[int]


class File(Given):
    """An attachment; `content` is base64, or a list of bytes."""

    content: str | list[int] | Buffer | None = None
    filename: str | None = None
    path: str | None = None
    content_type: str | None = None
    content_id: str | None = Field(
        default=None, validation_alias=AliasChoices("content_id", "inline_content_id")
    )

    def attachment(self) -> Attachment:
        """Returns the attachment. Raises InvalidMessage if it has no name or no content."""
        if self.path is not None:
            raise InvalidMessage(
                "attachments", "path: files are not fetched here; give their content in base64"
            )
        if self.content is None or not self.filename:
            raise InvalidMessage("attachments", "each must have a filename, and a content in base64")
        return Attachment(self.filename, _bytes(self.content), self.content_type, self.content_id)


class Tag(Given):
    """A message tag of SES."""

    name: str
    value: str


class Email(Given):
    """A mail, as `POST /emails` takes it."""

    sender: str = Field(alias="from")
    to: Addresses
    subject: str
    cc: Addresses | None = None
    bcc: Addresses | None = None
    reply_to: Addresses | None = None
    text: str | None = None
    html: str | None = None
    headers: dict[str, str] | None = None
    tags: Annotated[list[Tag], Field(max_length=MOST_TAGS)] | None = None
    attachments: Annotated[list[File], Field(max_length=MAX_ATTACHMENTS)] | None = None
    scheduled_at: str | None = None

    def options(self, now: Callable[[], float]) -> dict[str, Any]:
        """Returns the options of `Message`; X-Sesq headers give those without a field here. Raises InvalidMessage."""
        own = [(name.lower(), value) for name, value in (self.headers or {}).items() if _is_own(name)]
        told = {
            "sender": self.sender,
            "to": self.to,
            "cc": self.cc,
            "bcc": self.bcc,
            "reply_to": self.reply_to,
            "subject": self.subject,
            "text": self.text,
            "html": self.html,
            "headers": {name: value for name, value in (self.headers or {}).items() if not _is_own(name)},
            "tags": _tags(self.tags or []),
            "attachments": [file.attachment() for file in self.attachments or []],
            "send_at": None if self.scheduled_at is None else read_time(self.scheduled_at, now()),
        }
        return closer({name: value for name, value in told.items() if value is not None}, options_of(own))


class Delay(Given):
    """A change of a mail that waits. `id`: the SDKs repeat the id of the path."""

    scheduled_at: str
    id: str | None = None


one_email = TypeAdapter(Email).validate_json
email_of = TypeAdapter(Email).validate_python
several = TypeAdapter(Annotated[list[Any], Field(min_length=1, max_length=MOST_EMAILS)]).validate_json
one_delay = TypeAdapter(Delay).validate_json


def read_within_bounds(read: Callable[[bytes], Read], body: bytes) -> Read:
    """Reads a body, if it has not too many values. Raises InputError, ValidationError."""
    if sum(map(body.count, (b",", b"{", b"["))) > MOST_VALUES:
        raise InputError("the body has too many values: give the content of attachments in base64")
    return read(body)


def read_time(text: str, now: float) -> datetime:
    """Reads a time such as `2030-01-31T09:30:00Z`, or `in 5 minutes` from now. Raises InvalidMessage."""
    found = _in_a_while(text.strip())
    if found:
        seconds = int(found[1]) * UNITS[found[2].lower()]
        return datetime.fromtimestamp(now, timezone.utc) + timedelta(seconds=seconds)
    return read_moment(text, "scheduled_at")


def _is_own(name: str) -> bool:
    return name.lower().startswith(PREFIX)


def _tags(tags: list[Tag]) -> dict[str, str]:
    told = {tag.name: tag.value for tag in tags}
    if len(told) < len(tags):
        raise InvalidMessage("tags", "a name is given twice: keep one")
    return told


def _bytes(content: str | list[int] | Buffer) -> bytes:
    try:
        if isinstance(content, str):
            return b64decode("".join(content.split()), validate=True)
        return bytes(content.data if isinstance(content, Buffer) else content)
    except (binascii.Error, ValueError) as error:
        raise InvalidMessage("attachments", "content is neither base64 nor a list of bytes") from error
