"""JSON as SES's own readers would take it: UTF-8, each name of an object once, no NaN."""

from __future__ import annotations

import json
from typing import Any


def read_json(text: str | bytes) -> Any:
    """ValueError if it is not JSON, or gives a name twice; RecursionError for what is too deep."""
    return _decoder.decode(text.decode() if isinstance(text, bytes) else text)


def _each_name_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name is given twice")
    return found


def _no_json(word: str) -> None:
    """Python reads NaN and Infinity."""
    raise ValueError(word)


_decoder = json.JSONDecoder(object_pairs_hook=_each_name_once, parse_constant=_no_json)
