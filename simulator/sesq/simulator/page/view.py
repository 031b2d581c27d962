"""Takes a recorded message apart for people: text, HTML, attachments. Mail may be hostile: nothing here raises."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterator
from email import message_from_bytes
from email.message import Message
from typing import Any, NamedTuple

from sesq.simulator.encoded_words import readable
from sesq.simulator.errors import SesError
from sesq.simulator.members import mapping
from sesq.simulator.record import Entry
from sesq.simulator.templates import RenderingError, Template, Templates, inline, read_data, render

MAX_PARTS = 500


class Attachment(NamedTuple):
    name: str
    content_type: str
    data: bytes


class View(NamedTuple):
    """`html` is as it came: show it in the sandbox of a browser only."""

    headers: list[tuple[str, str]]
    text: str
    html: str
    attachments: list[Attachment]
    raw: bytes


def view(entry: Entry, templates: Templates) -> View | None:
    """Takes a message apart; None if its content is no longer kept."""
    if entry.content is None:
        return None
    if not entry.mail.raw:
        return _structured_view(entry, templates)
    try:
        return _raw_view(entry.content)
    except (LookupError, RecursionError, ValueError) as error:
        return View(
            [], f"This message cannot be taken apart ({type(error).__name__}).", "", [], entry.content
        )


def _raw_view(raw: bytes) -> View:
    message = message_from_bytes(raw)
    text, html, attachments = "", "", []
    for part in _leaves(message):
        kind, name = part.get_content_type(), part.get_filename()
        data = _decoded(part)
        if name is None and kind == "text/html":
            html += _as_text(data, part.get_content_charset())
        elif name is None and kind.startswith("text/"):
            text += _as_text(data, part.get_content_charset())
        else:
            attachments.append(Attachment(readable(str(name or "unnamed")), kind, data))
    headers = [(name, readable(str(value))) for name, value in message.items()]
    return View(headers, text, html, attachments, raw)


def _leaves(message: Message) -> Iterator[Message]:
    """Yields the parts that have no parts. Python's `walk` recurses, however deep a mail is nested."""
    waiting, seen = [message], 0
    while waiting and seen < MAX_PARTS:
        part = waiting.pop()
        seen += 1
        children = part.get_payload()
        if part.is_multipart() and isinstance(children, list):
            waiting += [child for child in reversed(children) if isinstance(child, Message)]
        else:
            yield part


def _decoded(part: Message) -> bytes:
    data = part.get_payload(decode=True)
    return data if isinstance(data, bytes) else b""


def _as_text(data: bytes, charset: str | None) -> str:
    try:
        return data.decode(charset or "utf-8", "replace")
    except (LookupError, ValueError):
        return data.decode("utf-8", "replace")


def _structured_view(entry: Entry, templates: Templates) -> View:
    raw = entry.content or b""
    mail = entry.mail
    try:
        content = json.loads(raw or b"{}").get("Content", {})
        part = content.get("Simple") or content.get("Template") or {}
        body = _simple_body(part) if "Simple" in content else _template_body(part, templates)
        headers = [(each["Name"], each["Value"]) for each in part.get("Headers") or ()]
        attachments = [_attachment(each) for each in part.get("Attachments") or ()]
    except (AttributeError, KeyError, TypeError, ValueError):
        # A request that was refused because it could not be read cannot be read here either.
        body, headers, attachments = Template(mail.subject), [], []
    own = [
        ("From", mail.sender),
        ("To", ", ".join(mail.to)),
        ("Cc", ", ".join(mail.cc)),
        ("Subject", mail.subject),
    ]
    shown = [(name, value) for name, value in own if value]
    return View([*shown, *headers], body.text, body.html, attachments, raw)


def _simple_body(simple: dict[str, Any]) -> Template:
    body = simple.get("Body") or {}
    text, html = ((body.get(kind) or {}).get("Data") or "" for kind in ("Text", "Html"))
    return Template("", text, html)


def _template_body(part: dict[str, Any], templates: Templates) -> Template:
    """Renders the template as it is stored now: only the data was recorded."""
    try:
        name = templates.name_in(part)
        template = templates.get(name) if name else inline(mapping(part, "TemplateContent"))
        return render(template, read_data(part.get("TemplateData") or "{}"))
    except (SesError, RenderingError) as error:
        return Template("", str(error))


def _attachment(given: dict[str, Any]) -> Attachment:
    try:
        data = base64.b64decode(given.get("RawContent", ""))
    except binascii.Error:
        data = b""
    return Attachment(str(given.get("FileName", "unnamed")), str(given.get("ContentType", "")), data)
