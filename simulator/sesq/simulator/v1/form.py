"""The query protocol's way of writing structures and lists as form fields."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl

from sesq.simulator.errors import SesError

MAX_FIELDS = 2_000
MAX_DEPTH = 8
# Fields of the protocol and of its older signatures: they are no members of an action.
_PROTOCOL = frozenset(
    {
        "Action",
        "Version",
        "AWSAccessKeyId",
        "Expires",
        "SecurityToken",
        "Signature",
        "SignatureMethod",
        "SignatureVersion",
        "Timestamp",
    }
)


def parse_form(text: bytes) -> dict[str, str]:
    """SesError(unreadable)."""
    try:
        pairs = parse_qsl(text.decode("ascii"), keep_blank_values=True, max_num_fields=MAX_FIELDS)
    except ValueError as error:
        raise SesError("unreadable", "The request body is not a form.") from error
    return dict(pairs)


def nested(form: dict[str, str]) -> dict[str, Any]:
    """`Message.Subject.Data=Hi` as `{"Message": {"Subject": {"Data": "Hi"}}}`; SesError(unreadable)."""
    found: dict[str, Any] = {}
    for field, value in form.items():
        if field not in _PROTOCOL and not field.startswith("X-Amz-"):
            _put(found, field, value)
    return found


def _put(found: dict[str, Any], field: str, value: str) -> None:
    *steps, last = field.split(".")
    if len(steps) > MAX_DEPTH:
        raise SesError("unreadable", "The request body is nested too deeply.")
    for step in steps:
        inner = found.setdefault(step, {})
        if inner == "":  # an empty list, and items of it after all
            inner = found[step] = {}
        if not isinstance(inner, dict):
            raise SesError("unreadable", f"{step[:100]} is not a structure.")
        found = inner
    found[last] = value
