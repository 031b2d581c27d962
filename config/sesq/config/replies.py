"""Redis's replies as text. sesq's clients read bytes (`decode_responses` off), whatever redis-py's types allow."""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

from redis import Redis


def text(reply: object) -> str:
    """One reply; empty where there is none."""
    return cast("bytes", reply).decode() if reply is not None else ""


def texts(replies: Iterable[object]) -> list[str]:
    """A list or set of replies."""
    return [text(reply) for reply in replies]


def text_hash(fields: object) -> dict[str, str]:
    """The reply of HGETALL."""
    return {text(name): text(value) for name, value in cast("dict[bytes, bytes]", fields).items()}


def read_hash(redis: Redis, key: str) -> dict[str, str]:
    """A whole hash; empty where there is none."""
    return text_hash(redis.hgetall(key))


def read_hashes(redis: Redis, keys: Iterable[str]) -> list[dict[str, str]]:
    """Whole hashes, in one round trip."""
    pipeline = redis.pipeline(transaction=False)
    for key in keys:
        pipeline.hgetall(key)
    return [text_hash(fields) for fields in pipeline.execute()]
