"""Reads structures and lists from form fields, as the query protocol writes them."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl

from sesq.simulator.errors import SesError

MAX_FIELDS = 2_000
MAX_DEPTH = 8
# Fields of the protocol and of its signatures: they are no members of an action.
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
        "X-Amz-Algorithm",
        "X-Amz-Credential",
        "X-Amz-Date",
        "X-Amz-Expires",
        "X-Amz-Security-Token",
        "X-Amz-Signature",
        "X-Amz-SignedHeaders",
    }
)


def parse_form(text: bytes) -> dict[str, str]:
    """Reads the fields of a form. Raises SesError(unreadable, not_imitated)."""
    try:
        pairs = parse_qsl(text.decode("ascii"), True, errors="strict", max_num_fields=MAX_FIELDS)
    except ValueError as error:
        raise SesError("unreadable", "The request body is not a form.") from error
    form: dict[str, str] = {}
    for field, value in pairs:
        if field in form:
            raise SesError("not_imitated", f"{field[:100]}: this simulator does not imitate it given twice.")
        form[field] = value
    return form


def nested(form: dict[str, str]) -> dict[str, Any]:
    """Makes `{"Message": {"Subject": {"Data": "Hi"}}}` of `Message.Subject.Data=Hi`. Raises SesError(unreadable)."""
    found: dict[str, Any] = {}
    for field, value in form.items():
        if field not in _PROTOCOL:
            _put(found, field, value)
    return found


def _put(found: dict[str, Any], field: str, value: str) -> None:
    *steps, last = field.split(".")
    if len(steps) > MAX_DEPTH:
        raise SesError("unreadable", "The request body is nested too deeply.")
    for step in steps:
        inner = found.setdefault(step, {})
        if not isinstance(inner, dict):
            raise _twice(field)
        found = inner
    if last in found:
        raise _twice(field)
    found[last] = value


def _twice(field: str) -> SesError:
    return SesError("unreadable", f"{field[:100]}: a value is not a structure or a list as well.")
