"""Reads message tags: what SES allows in them, and its texts for what it does not allow."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from sesq.simulator.errors import SesError
from sesq.simulator.members import text

MAX_LENGTH = 255  # the model says 256
FEEDBACK_IDS = frozenset({"ses:feedback-id-a", "ses:feedback-id-b"})
_NAME = re.compile(r"[A-Za-z0-9_-]+")
_VALUE = re.compile(r"[A-Za-z0-9_.@-]+")


def given_tags(members: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Reads the tags of EmailTags and similar members. Raises SesError(bad_request, not_imitated)."""
    return _checked((text(tag, "Name"), text(tag, "Value")) for tag in members)


def header_tags(header: str) -> dict[str, str]:
    """Reads X-SES-MESSAGE-TAGS, `name=value, name=value`. Raises SesError(bad_request, not_imitated)."""
    pairs = (pair.partition("=") for pair in header.split(",") if pair.strip())
    return _checked((name.strip(), value.strip()) for name, _, value in pairs)


def _checked(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    tags: dict[str, str] = {}
    for name, value in pairs:
        _check(name, value)
        if name in tags:
            raise SesError(
                "not_imitated", f"Tag <{name}>: this simulator does not imitate what two tags of one name do."
            )
        tags[name] = value
    return tags


def _check(name: str, value: str) -> None:
    if not name:
        raise SesError("bad_request", "The tag name must be specified.")
    if not value:
        raise SesError("bad_request", "The tag value must be specified.")
    if len(name) > MAX_LENGTH:
        raise SesError("bad_request", f"Tag name cannot exceed {MAX_LENGTH} characters.")
    if name not in FEEDBACK_IDS and not _NAME.fullmatch(name):
        raise SesError(
            "bad_request",
            f"Invalid tag name <{name}>: only alphanumeric ASCII characters, '_',  '-' are allowed.",
        )
    if len(value) > MAX_LENGTH:
        raise SesError("bad_request", f"Tag value cannot exceed {MAX_LENGTH} characters.")
    if not _VALUE.fullmatch(value):
        raise SesError(
            "bad_request",
            f"Invalid tag value <{value}>: only alphanumeric ASCII characters, '_',  '-' , '.', '@' are allowed.",
        )
