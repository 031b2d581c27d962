"""Turns Redis's replies into text. sesq's clients read bytes (`decode_responses` is off)."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, cast

from redis import Redis

LEAST_READ = 50
LATEST = 1e12
"""A time (s) in some 30,000 years."""
CHANGES = ("before", "after", "old", "old_for", "new")
"""Fields of an entry that are objects, if they are there."""


def text(reply: object) -> str:
    """Returns one reply as text; empty if there is none. Bytes that are not UTF-8 become `\xff`."""
    if isinstance(reply, str):
        return reply
    return cast("bytes", reply).decode(errors="backslashreplace") if reply is not None else ""


def texts(replies: Iterable[object]) -> list[str]:
    """Returns several replies as texts."""
    return [text(reply) for reply in replies]


def text_hash(fields: object) -> dict[str, str]:
    """Returns the reply of HGETALL as texts."""
    return {text(name): text(value) for name, value in cast("dict[bytes, bytes]", fields).items()}


def read_entries(redis: Redis, key: str, limit: int, *texts: str) -> list[dict[str, Any]]:
    """Returns the first entries of a list of JSON objects (0: all), each with its time `at` (s) and these texts.

    Leaves damaged entries out.
    """
    good: list[dict[str, Any]] = []
    start, step = 0, max(limit, LEAST_READ)
    while (not limit or len(good) < limit) and (page := redis.lrange(key, start, start + step - 1)):
        found = (read_json(entry) for entry in page)
        good += [entry for entry in found if isinstance(entry, dict) and _is_entry(entry, texts)]
        start += step
    return good[: limit or None]


def _is_entry(entry: dict[str, Any], texts: Iterable[str]) -> bool:
    until = entry.get("until")
    return (
        _is_time(entry.get("at"))
        and (until is None or _is_time(until))
        and all(isinstance(entry.get(name), str) for name in texts)
        and all(_is_change(entry.get(name) or {}, dict if name == "old_for" else object) for name in CHANGES)
    )


def _is_change(change: object, kind: type) -> bool:
    return isinstance(change, dict) and all(
        isinstance(value, kind) and not isinstance(value, list) for value in change.values()
    )


def _is_time(value: object) -> bool:
    return isinstance(value, (int, float)) and abs(value) < LATEST


def read_json(reply: object) -> Any:
    """Reads a reply as JSON; None if it is no JSON. Bytes that are not UTF-8 are replaced."""
    try:
        return json.loads(cast("bytes", reply).decode(errors="replace"))
    except (ValueError, RecursionError):
        return None


def read_hash(redis: Redis, key: str) -> dict[str, str]:
    """Reads a whole hash; empty if there is none."""
    return text_hash(redis.hgetall(key))


def read_hashes(redis: Redis, keys: Iterable[str]) -> list[dict[str, str]]:
    """Reads whole hashes in one round trip."""
    pipeline = redis.pipeline(transaction=False)
    for key in keys:
        pipeline.hgetall(key)
    return [text_hash(fields) for fields in pipeline.execute()]
