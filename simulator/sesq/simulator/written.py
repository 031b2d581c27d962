"""Writes the headers that SES writes for the body of Simple and Template content."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sesq.simulator.members import items, mapping, text

Header = tuple[str, str]
_BOUNDARY = 'boundary="----=_Part_1"'


def of_simple(simple: Mapping[str, Any]) -> Sequence[Header]:
    """Writes the headers of Simple content. A text or HTML body counts if its member is given, even an empty one."""
    body = mapping(simple, "Body")
    plain, html = mapping(body, "Text"), mapping(body, "Html")
    only = html or plain
    return _headers(
        bool(plain and html),
        bool(items(simple, "Attachments")),
        "html" if html else "plain",
        text(only, "Data"),
        text(only, "Charset") or "UTF-8",
    )


def of_template(plain: str, html: str, attachments: bool) -> Sequence[Header]:
    """Writes the headers of a template's rendered texts."""
    return _headers(bool(plain and html), attachments, "html" if html else "plain", html or plain, "UTF-8")


def _headers(both: bool, attachments: bool, kind: str, only: str, charset: str) -> Sequence[Header]:
    if attachments or both:
        return (("Content-Type", f"multipart/{'mixed' if attachments else 'alternative'};  {_BOUNDARY}"),)
    encoding = "7bit" if only.isascii() else "quoted-printable"
    return (("Content-Type", f"text/{kind}; charset={charset}"), ("Content-Transfer-Encoding", encoding))
