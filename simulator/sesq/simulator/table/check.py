"""Checks a request by the table. It refuses with SES's own texts if they are known."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sesq.simulator.errors import SesError
from sesq.simulator.table.member import Object
from sesq.simulator.table.shapes import Finding, told_path


def check(members: Object, given: Mapping[str, Any], null: str = "Value") -> None:
    """Raises SesError(unreadable, not_imitated, validation). `null`: the word for a missing value; v1: `Value null`."""
    found: list[Finding] = []
    members.check(given, None, found)
    if found:
        told = "; ".join(_told(each, null) for each in found)
        many = "errors" if len(found) > 1 else "error"
        raise SesError("validation", f"{len(found)} validation {many} detected: {told}")


def _told(finding: Finding, null: str) -> str:
    value = null if finding.constraint.endswith("not be null") else "Value"
    if finding.shown is not None:
        value = f"Value '{finding.shown}'"
    return f"{value} at '{told_path(finding.path)}' failed to satisfy constraint: {finding.constraint}"
