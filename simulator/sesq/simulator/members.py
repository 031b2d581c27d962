"""Reads members of a request by type. botocore checks types before it sends; other clients may not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sesq.simulator.errors import SesError


def text(holder: Any, name: str) -> str:
    """Returns a string member; "" if it is missing. Raises SesError(unreadable)."""
    value = _member(holder, name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise SesError("unreadable", f"{name} is not a string.")
    return value


def needed_text(holder: Any, name: str) -> str:
    """Returns a string member that must be there. Raises SesError(bad_request, unreadable)."""
    value = text(holder, name)
    if not value:
        raise SesError("bad_request", f"{name} is missing.")
    return value


def name_in(holder: Any, name: str) -> str | None:
    """Returns a string member that is a name; None if it is missing. Raises SesError(not_imitated, unreadable)."""
    value = text(holder, name)
    if not value and holder.get(name) is not None:
        raise SesError("not_imitated", f"{name}: this simulator does not imitate an empty one.")
    return value or None


def texts(holder: Any, name: str) -> list[str]:
    values = items(holder, name)
    if not all(isinstance(value, str) for value in values):
        raise SesError("unreadable", f"{name} is not a list of strings.")
    return values


def items(holder: Any, name: str) -> list[Any]:
    """Returns a list member; [] if it is missing. Raises SesError(unreadable)."""
    value = _member(holder, name)
    if value is None:
        return []
    if not isinstance(value, list):
        raise SesError("unreadable", f"{name} is not a list.")
    return value


def mapping(holder: Any, name: str) -> Mapping[str, Any]:
    """Returns an object member; an empty one if it is missing. Raises SesError(unreadable)."""
    value = _member(holder, name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise SesError("unreadable", f"{name} is not an object.")
    return value


def flag(holder: Any, name: str, missing: bool) -> bool:
    value = _member(holder, name)
    if value is None:
        return missing
    if not isinstance(value, bool):
        raise SesError("unreadable", f"{name} is not a boolean.")
    return value


def _member(holder: Any, name: str) -> Any:
    if not isinstance(holder, dict):
        raise SesError("unreadable", f"The holder of {name} is not an object.")
    return holder.get(name)
