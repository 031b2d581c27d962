"""Whether this Redis can hold a queue: reachable, new enough, writes to disk, forgets nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from redis import Redis
from redis.exceptions import ResponseError

from sesq.config.connection import mapped
from sesq.config.errors import QueueUnavailable
from sesq.console.checkup.check import Check, fail, ok, warn
from sesq.console.checkup.rights import check_rights
from sesq.queue.keys import CLOCK_OFFSET

OLDEST = (6, 2)
NEARLY_FULL = 0.8
FSYNC = {
    "always": ", written before each answer",
    "everysec": ", written each second: a crash of the host loses up to a second",
}


CURE = "see that redis_url (SESQ_REDIS_URL) names a Redis that runs, and lets this user read, write and run scripts"


def check_redis(redis: Redis, embedded_in: Path | None = None) -> Iterator[Check]:
    """The first check says whether Redis answers, to this user; where it does not, there are no others.

    `embedded_in`: the folder of its data, where it is the embedded one.
    """
    try:
        info, rights = _info(redis), check_rights(redis)
    except QueueUnavailable as error:
        yield fail("redis", str(error), CURE)
        return
    yield ok(
        "redis", f"the embedded one answers, with its data in {embedded_in}" if embedded_in else "answers"
    )
    yield rights
    yield from check_info(info)
    if not info.get("aof_enabled"):
        yield _snapshots(redis)
    yield _clock(redis)


def check_info(info: Mapping[str, Any]) -> Iterator[Check]:
    """What INFO tells of version, persistence and memory."""
    yield _version(info)
    if info.get("aof_enabled"):
        yield _append_only_file(info)
    yield _eviction(info)
    limit = int(info.get("maxmemory") or 0)
    used = int(info.get("used_memory") or 0)
    if limit and used >= limit:
        yield fail(
            "memory", f"full: {used:,} of {limit:,} bytes are used", "raise maxmemory: no mail is taken"
        )
    elif limit and used > NEARLY_FULL * limit:
        yield warn(
            "memory", f"{used:,} of {limit:,} bytes are used", "raise maxmemory before sends are refused"
        )


def _info(redis: Redis) -> dict[str, Any]:
    with mapped():
        redis.ping()
        info = _if_allowed(
            lambda: {**redis.info("server"), **redis.info("persistence"), **redis.info("memory")}
        )
        return info | _if_allowed(lambda: redis.config_get("appendfsync"))


def _if_allowed(ask: Callable[[], Mapping[Any, Any]]) -> dict[str, Any]:
    """Empty for a user with few rights."""
    try:
        return dict(ask())
    except ResponseError:
        return {}


def _version(info: Mapping[str, Any]) -> Check:
    """Valkey calls itself a Redis 7.2 for the sake of clients."""
    text = str(info.get("redis_version", ""))
    name = f"Valkey {info['valkey_version']}" if "valkey_version" in info else f"Redis {text}"
    if not text:
        return warn(
            "version", "this user may not ask (INFO)", "see that it is Redis 6.2, Valkey 7.2 or newer"
        )
    if tuple(int(part) for part in text.split(".")[:2]) < OLDEST:
        return fail("version", f"{name} is too old", "use Redis 6.2 or newer, or Valkey 7.2 or newer")
    return ok("version", name)


def _append_only_file(info: Mapping[str, Any]) -> Check:
    if info.get("aof_last_write_status", "ok") != "ok":
        return fail(
            "persistence", "the last write of the append-only file failed", "look at Redis's disk and log"
        )
    if info.get("appendfsync") == "no":
        return warn(
            "persistence",
            "append-only file, written when the system likes: a crash of the host loses some of what was accepted",
            "set appendfsync everysec, or always",
        )
    return ok("persistence", f"append-only file{FSYNC.get(str(info.get('appendfsync')), '')}")


def _snapshots(redis: Redis) -> Check:
    """Without an append-only file, says what a crash would lose, if we may ask how often Redis saves."""
    cure = "set appendonly yes, so that a crash loses no accepted mail"
    with mapped():
        try:
            saves = str(redis.config_get("save").get("save", ""))
        except ResponseError:
            return warn(
                "persistence", "no append-only file, and this user may not ask for more (CONFIG)", cure
            )
    if saves:
        return warn(
            "persistence", f"snapshots only (save {saves}): a crash loses what came since the last", cure
        )
    return fail("persistence", "nothing is written to disk: a restart loses the queue", cure)


def _eviction(info: Mapping[str, Any]) -> Check:
    policy = str(info.get("maxmemory_policy", ""))
    cure = "set maxmemory-policy noeviction, so that a full Redis refuses mail instead of forgetting some"
    if not policy:
        return warn("eviction", "this user may not ask (INFO)", cure)
    if policy != "noeviction":
        return fail("eviction", f"maxmemory-policy is {policy}", cure)
    return ok("eviction", policy)


def _clock(redis: Redis) -> Check:
    with mapped():
        offset = redis.get(CLOCK_OFFSET)
    if offset is not None:
        text = offset.decode() if isinstance(offset, bytes) else str(offset)
        cure = f"this is for tests alone, and breaks SES's limits: redis-cli DEL {CLOCK_OFFSET}"
        return fail("clock", f"the clock is moved by {text} s", cure)
    return ok("clock", "Redis's own")
