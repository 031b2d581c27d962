"""Files that travel with a message."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from sesq.config.errors import InvalidMessage
from sesq.producer.rules import MAX_ATTACHMENTS, MAX_PARTS
from sesq.queue.addresses import has_unsafe, shown

MAX_NAME_LENGTH = 255
DEFAULT_TYPE = "application/octet-stream"

_WORD = r"[A-Za-z0-9!#$&^_.+-]+"
_is_type = re.compile(rf'{_WORD}/{_WORD}(?:; ?{_WORD}=(?:{_WORD}|"[A-Za-z0-9 ,:/_.+-]*"))*').fullmatch
_has_method = re.compile(r"; ?method=").search
_is_inline_id = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.@-]{1,200}").fullmatch


@dataclass(frozen=True, slots=True)
class Attachment:
    """One file: a name without folders, its bytes, and its MIME type (guessed from the name when not given).

    With an `inline_id` it is shown inside the HTML, which points to it as `cid:<inline_id>`. An `alternative` is not a
    file but another form of the body: with the type `text/calendar; method=REQUEST; charset=utf-8` mail programs show
    it as an invitation (RFC 6047, 2.4). Its name is not sent. A mail in a file (a type `message/…`) is sent as
    application/octet-stream, since MIME would change its bytes.
    Raises InvalidMessage("attachments").
    """

    name: str
    content: bytes
    content_type: str | None = None
    inline_id: str | None = None
    alternative: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", _checked_name(self.name))
        if not isinstance(self.content, bytes):
            raise InvalidMessage(
                "attachments", f"{self.name}: content must be bytes, not {type(self.content).__name__}"
            )
        if self.content_type is None:
            object.__setattr__(self, "content_type", _guess(self.name))
        _check_type(self.name, self.content_type)
        if self.inline_id is not None and not (
            isinstance(self.inline_id, str) and _is_inline_id(self.inline_id)
        ):
            raise InvalidMessage(
                "attachments",
                f"{self.name}: inline_id {shown(self.inline_id)} is no id: use letters, digits, - _ . @",
            )
        _check_alternative(self)

    @classmethod
    def from_path(
        cls, path: str | Path, *, content_type: str | None = None, inline_id: str | None = None
    ) -> Attachment:
        """Reads the file at `path`, and takes its name. Raises OSError if it cannot be read."""
        path = Path(path)
        return cls(path.name, path.read_bytes(), content_type, inline_id)


def _checked_name(name: object) -> str:
    """Checks the name, and removes the spaces around it, which would be lost on the way."""
    if not isinstance(name, str) or name.strip() in ("", ".", ".."):
        raise InvalidMessage("attachments", f"{shown(name)} is no file name: give one like report.pdf")
    if "/" in name or "\\" in name:
        raise InvalidMessage("attachments", f"{shown(name)} is a path: give the file's name alone")
    if has_unsafe(name):
        raise InvalidMessage(
            "attachments", f"{shown(name)} contains a line break or a control character: remove it"
        )
    if len(name) > MAX_NAME_LENGTH:
        raise InvalidMessage("attachments", f"{shown(name)} is longer than {MAX_NAME_LENGTH} characters")
    return name.strip()


def _check_type(name: str, content_type: object) -> None:
    if not isinstance(content_type, str) or not _is_type(content_type):
        raise InvalidMessage(
            "attachments", f"{name}: {shown(content_type)} is no MIME type: write type/subtype"
        )
    if content_type.lower().startswith(("multipart/", "message/")):
        raise InvalidMessage(
            "attachments", f"{name}: {content_type} is no type of a file: use {DEFAULT_TYPE}"
        )


def _check_alternative(attachment: Attachment) -> None:
    if not isinstance(attachment.alternative, bool):
        raise InvalidMessage("attachments", f"{attachment.name}: alternative must be true or false")
    if not attachment.alternative:
        return
    if attachment.inline_id is not None:
        raise InvalidMessage(
            "attachments", f"{attachment.name}: is shown inline or is an alternative: choose one"
        )
    kind = str(attachment.content_type).lower()
    if kind.startswith("text/calendar") and not _has_method(kind):
        raise InvalidMessage(
            "attachments",
            f"{attachment.name}: mail programs want the method: write text/calendar; method=REQUEST; charset=utf-8",
        )


def _guess(name: str) -> str:
    import mimetypes  # here, since it reads the system's tables, which most messages do not need

    guessed, encoding = mimetypes.guess_type(name)
    if guessed is None or encoding or guessed.startswith(("multipart/", "message/")):
        return DEFAULT_TYPE
    return guessed


def attachments_of(attachments: Iterable[Attachment]) -> tuple[Attachment, ...]:
    """Makes a tuple of what was given. Raises InvalidMessage if it is not an attachment."""
    if not attachments:
        return ()
    given = tuple(attachments) if isinstance(attachments, Iterable) else (attachments,)
    for attachment in given:
        if not isinstance(attachment, Attachment):
            raise InvalidMessage(
                "attachments", f"{shown(attachment)} is no Attachment: use Attachment.from_path"
            )
    return given


def check_attachments(attachments: tuple[Attachment, ...], html: str | None) -> None:
    """Raises InvalidMessage for too many attachments, and for inline ids that cannot work."""
    if len(attachments) > MAX_ATTACHMENTS:
        raise InvalidMessage(
            "attachments", f"{len(attachments)} files, and SES takes {MAX_PARTS} parts a mail"
        )
    inline = [attachment.inline_id for attachment in attachments if attachment.inline_id is not None]
    if inline and html is None:
        raise InvalidMessage("attachments", "an inline_id needs html= that shows it")
    if len(set(inline)) < len(inline):
        raise InvalidMessage("attachments", "an inline_id is given twice: keep one")
