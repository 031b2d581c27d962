"""Attachments of Simple and Template content."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Mapping
from email.message import Message
from typing import Any

from sesq.simulator.errors import SesError
from sesq.simulator.file_names import check_extension, illegal_name
from sesq.simulator.members import text
from sesq.simulator.parameters import read_content_type

_NOT_IN_NAMES = re.compile(r'[\\/:*?"<>|\x00-\x1f\x7f]')
_EXTENSION = re.compile(r"\.[^.\s]+\s*\Z")
_WORD = r"[!#$%&'*+.0-9A-Z^_`a-z{|}~-]+"
_CONTENT_TYPE = re.compile(
    rf"""{_WORD}/{_WORD}(?:[ \t]*;[ \t]*{_WORD}[ \t]*=[ \t]*(?:{_WORD}|"[^"\\\x00-\x1f\x7f]*"))*[ \t]*"""
)
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_IN_HEADERS = ("ContentId", "ContentDescription")


def check_attachments(attachments: Iterable[Mapping[str, Any]]) -> None:
    """Checks attachments of a request, after the table. Raises SesError(bad_request, not_imitated, unreadable)."""
    for attachment in attachments:
        _check_file_name(text(attachment, "FileName"))
        _check_headers(attachment)
        _check_content(text(attachment, "RawContent"))


def _check_file_name(name: str) -> None:
    if not name or _NOT_IN_NAMES.search(name):
        raise illegal_name(name)
    check_extension(name)
    if not _EXTENSION.search(name):
        raise _not_imitated("FileName", "a name without an extension")


def _check_headers(attachment: Mapping[str, Any]) -> None:
    """Checks what SES writes into the part's headers."""
    content_type = text(attachment, "ContentType")
    if content_type and not _CONTENT_TYPE.fullmatch(content_type):
        raise SesError("bad_request", f"Illegal content type '{content_type}'.")
    headers = Message()
    headers.set_raw("Content-Type", content_type)
    read_content_type(headers)
    for name in _IN_HEADERS:
        if _CONTROL.search(text(attachment, name)):
            raise _not_imitated(name, "control characters")


def _check_content(raw: str) -> None:
    if not raw:
        raise _not_imitated("RawContent", "an empty attachment")
    try:
        base64.b64decode(raw, validate=True)
    except (binascii.Error, ValueError) as error:
        raise SesError("unreadable", "RawContent is not base64.") from error


def _not_imitated(member: str, what: str) -> SesError:
    return SesError("not_imitated", f"{member}: this simulator does not imitate what SES does with {what}.")
