"""SES's rules for tags of resources (identities, configuration sets, templates, tenants), with SES's texts."""

from __future__ import annotations

import unicodedata
from typing import Any

from sesq.simulator.errors import SesError
from sesq.simulator.table.shapes import Finding, Path, of_length

MAX_TAGS = 50
MAX_KEY, MAX_VALUE = 128, 256
_SIGNS = frozenset("_.:/=+-@")


def check_resource_tags(tags: list[Any], path: Path, found: list[Finding]) -> None:
    """Raises SesError(bad_request) if the list is wrong. A key or a value that is too long becomes a finding."""
    if len(tags) > MAX_TAGS:
        raise _bad(
            f"Maximum of {MAX_TAGS} user tags are allowed per resource, "
            "consider reducing the number of tags in the request"
        )
    keys = [tag["Key"] for tag in tags if tag.get("Key") is not None]
    if not all(map(_is_allowed, [*keys, *(tag.get("Value") for tag in tags)])):
        raise _bad(
            "Tags can only contain letters, numbers, spaces, and the following special characters: _ . : / = + - @"
        )
    if any(key.lower().startswith("aws:") for key in keys):
        raise _bad("Caller is an end user and not allowed to mutate system tags")
    if len(set(keys)) < len(keys):
        raise _bad("Cannot provide multiple tags with the same key")
    if "" in keys:
        raise _bad(None)
    for number, tag in enumerate(tags, 1):
        at = (path, f"{number}.member")
        found += of_length(len(tag["Value"]), 0, MAX_VALUE, (at, "Value"))
        found += of_length(len(tag.get("Key") or ""), 0, MAX_KEY, (at, "Key"))


def _is_allowed(text: str | None) -> bool:
    return text is not None and all(
        sign in _SIGNS or unicodedata.category(sign)[0] in ("L", "N", "Z") for sign in text
    )


def _bad(message: str | None) -> SesError:
    return SesError("bad_request", message)
