"""Writes a message as JSON, and reads it: bytes in base64, times in ISO 8601, only what differs from the defaults."""

from __future__ import annotations

import base64
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from sesq.config.errors import InvalidMessage
from sesq.producer.attachment import Attachment
from sesq.producer.moments import read_moment
from sesq.queue.addresses import shown
from sesq.queue.envelope import VERSIONS, encode_json, read_versioned

_ATTACHMENT = ("name", "content", "content_type", "inline_id", "alternative")


def dump(values: Mapping[str, Any]) -> str:
    """Writes a message's arguments as versioned JSON."""
    return encode_json({"v": VERSIONS[-1], **{name: _plain(value) for name, value in values.items()}})


def load(text: str | bytes, names: Collection[str]) -> dict[str, Any]:
    """Reads a message's arguments, which the message itself checks.

    Raises InvalidMessage for another version, or a name not among `names`.
    """
    data = read_versioned(text, "message")
    _check_names(data, names, "message")
    if "sender" not in data:
        raise InvalidMessage("sender", "is missing: give the address that sends")
    for name, convert in (("send_at", read_moment), ("expires_at", read_moment), ("raw", _bytes)):
        if data.get(name) is not None:
            data[name] = convert(data[name], name)
    if "attachments" in data:
        data["attachments"] = _attachments(data["attachments"])
    return data


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode("ascii")
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Attachment):
        parts = {name: _plain(getattr(value, name)) for name in _ATTACHMENT}
        return {name: part for name, part in parts.items() if part is not None and part is not False}
    return [_plain(item) for item in value] if isinstance(value, tuple) else value


def _check_names(data: Mapping[str, Any], names: Collection[str], field: str) -> None:
    unknown = sorted(set(data) - set(names))
    if unknown:
        raise InvalidMessage(field, f"has no {shown(unknown[0])}; it knows {', '.join(names)}")


def _bytes(text: object, field: str) -> bytes:
    try:
        return base64.b64decode(str(text), validate=True)
    except ValueError as error:
        raise InvalidMessage(field, f"is not base64: {error}") from error


def _attachments(data: object) -> tuple[Attachment, ...]:
    if not isinstance(data, list) or not all(isinstance(item, dict) for item in data):
        raise InvalidMessage("attachments", "must be a list of objects with name and content")
    return tuple(_attachment(item) for item in data)


def _attachment(data: dict[str, Any]) -> Attachment:
    _check_names(data, _ATTACHMENT, "attachments")
    if not {"name", "content"} <= set(data):
        raise InvalidMessage("attachments", "each must have a name and content")
    return Attachment(**{**data, "content": _bytes(data["content"], "attachments")})
