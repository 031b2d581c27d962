"""Members of a request, by type: what botocore has checked before it sends, other clients may not have."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sesq.simulator.errors import SesError


def text(holder: Any, name: str) -> str:
    """A string member, or "" if it is missing; SesError(unreadable)."""
    value = _member(holder, name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise SesError("unreadable", f"{name} is not a string.")
    return value


def needed_text(holder: Any, name: str) -> str:
    """A string member that must be there; SesError(bad_request, unreadable)."""
    value = text(holder, name)
    if not value:
        raise SesError("bad_request", f"{name} is missing.")
    return value


def name_in(holder: Any, name: str) -> str | None:
    """A string member that names something, or None if it is missing; SesError(not_imitated, unreadable)."""
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
    """A list member, or [] where it is missing; SesError(unreadable)."""
    value = _member(holder, name)
    if value is None:
        return []
    if not isinstance(value, list):
        raise SesError("unreadable", f"{name} is not a list.")
    return value


def mapping(holder: Any, name: str) -> Mapping[str, Any]:
    """An object member, or an empty one where it is missing; SesError(unreadable)."""
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
