"""The query protocol's way of writing structures and lists as form fields."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl

from sesq.simulator.errors import SesError

MAX_FIELDS = 2_000


def parse_form(text: bytes) -> dict[str, str]:
    """SesError(unreadable)."""
    try:
        pairs = parse_qsl(text.decode("ascii"), keep_blank_values=True, max_num_fields=MAX_FIELDS)
    except ValueError as error:
        raise SesError("unreadable", "The request body is not a form.") from error
    return dict(pairs)


def members(form: dict[str, str], name: str) -> list[str]:
    """`name.member.1`, `name.member.2`, … in order, up to the first that is missing."""
    found: list[str] = []
    while (value := form.get(f"{name}.member.{len(found) + 1}")) is not None:
        found.append(value)
    return found


def tags(form: dict[str, str]) -> list[dict[str, Any]]:
    """`Tags.member.n.Name` and `.Value`, in SESv2's shape."""
    found: list[dict[str, Any]] = []
    while (name := form.get(f"Tags.member.{len(found) + 1}.Name")) is not None:
        found.append({"Name": name, "Value": form.get(f"Tags.member.{len(found) + 1}.Value", "")})
    return found
