"""Shows a message's content to people. Mail is hostile input: this module does not trust it, and never fails at it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from email import message_from_bytes
from email.errors import MessageError
from email.header import decode_header, make_header
from email.message import Message

from sesq.config.errors import SesqError
from sesq.console.web.site import Room
from sesq.queue.envelope import SimpleContent
from sesq.queue.record import Record

MAX_PARTS = 200
MAX_SHOWN_CHARACTERS = 200_000
UNREADABLE = (
    MessageError,
    LookupError,
    ValueError,
    TypeError,
    AttributeError,
    AssertionError,
    RecursionError,
)
"""What Python's email package raises for hostile mail."""


@dataclass(frozen=True, slots=True)
class Preview:
    """The content. `html` is unchanged: show it in a sandbox only. `problem`: why there is nothing to show."""

    headers: list[tuple[str, str]] = field(default_factory=list)
    text: str = ""
    html: str = ""
    attachments: list[tuple[str, str, int]] = field(default_factory=list)
    """Name, type, bytes."""
    raw: bytes = b""
    problem: str = ""

    @property
    def is_there(self) -> bool:
        """Whether the content is still in Redis."""
        return not self.problem or bool(self.raw)


def preview(room: Room, record: Record) -> Preview:
    """Reads the message's content, if it is still in Redis."""
    try:
        content = _content(room, record)
    except SesqError as error:
        return Preview(problem=str(error))
    if isinstance(content, SimpleContent):
        shown = [("Subject", content.subject), *((name, _readable(value)) for name, value in content.headers)]
        return Preview(shown, _cut(content.text or ""), content.html or "")
    if not content:
        return Preview(
            problem="The content is gone: it is kept only until the message is sent, unless keep_content is set."
        )
    try:
        return _of_mail(content)
    except UNREADABLE as error:
        return Preview(raw=content, problem=f"This mail cannot be taken apart ({type(error).__name__}).")


def _content(room: Room, record: Record) -> SimpleContent | bytes:
    """Reads the content from Redis. Raises SesqError if that cannot be done."""
    if record.envelope.kind == "row":
        from sesq.worker.row_renderer import RowRenderer

        return RowRenderer(room.redis, room.account, room.gate.rows).mail(record.id, record.envelope)
    stored = room.gate.content(record.id)
    return SimpleContent.from_bytes(stored) if stored and record.envelope.kind == "simple" else stored


def _of_mail(raw: bytes) -> Preview:
    message = message_from_bytes(raw)
    text, html, attachments = "", "", []
    for part in _leaves(message):
        kind, name = part.get_content_type(), _name(part)
        data = part.get_payload(decode=True)
        data = data if isinstance(data, bytes) else b""
        if name is None and kind == "text/html":
            html += _decoded(data, part)
        elif name is None and kind.startswith("text/"):
            text += _decoded(data, part)
        else:
            attachments.append((name or "unnamed", kind, len(data)))
    headers = [(name, _readable(str(value))) for name, value in message.items()]
    return Preview(headers, _cut(text), html, attachments, raw)


def _leaves(message: Message) -> Iterator[Message]:
    """Yields the parts that have no parts themselves. `Message.walk` recurses, and mail may be nested too deeply."""
    waiting, seen = [message], 0
    while waiting and seen < MAX_PARTS:
        part, seen = waiting.pop(), seen + 1
        children = part.get_payload()
        if part.is_multipart() and isinstance(children, list):
            waiting += [child for child in reversed(children) if isinstance(child, Message)]
        else:
            yield part


def _name(part: Message) -> str | None:
    """Returns an attachment's name, empty if it cannot be read; None if the part is no attachment."""
    try:
        name = part.get_filename()
    except UNREADABLE:
        return ""
    return None if name is None else _readable(str(name))


def _decoded(data: bytes, part: Message) -> str:
    try:
        return data.decode(part.get_content_charset() or "utf-8", "replace")
    except UNREADABLE:
        return data.decode("utf-8", "replace")


def _readable(value: str) -> str:
    try:
        return str(make_header(decode_header(value)))
    except UNREADABLE:
        return value


def _cut(text: str) -> str:
    return text if len(text) <= MAX_SHOWN_CHARACTERS else f"{text[:MAX_SHOWN_CHARACTERS]}\n… (cut here)"
