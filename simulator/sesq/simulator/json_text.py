"""Reads JSON as SES does: UTF-8, each name of an object once, no NaN."""

from __future__ import annotations

import json
from typing import Any


def read_json(text: str | bytes) -> Any:
    """Raises ValueError if it is not JSON or gives a name twice, RecursionError if it is nested too deeply."""
    return _decoder.decode(text.decode() if isinstance(text, bytes) else text)


def _each_name_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name is given twice")
    return found


def _no_json(word: str) -> None:
    """Refuses NaN and Infinity, which Python reads."""
    raise ValueError(word)


_decoder = json.JSONDecoder(object_pairs_hook=_each_name_once, parse_constant=_no_json)
