"""Whether Redis's user may do what sesq does: each right is tried, on keys and channels that nothing else uses."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from redis import Redis
from redis.exceptions import NoPermissionError, NoScriptError, ResponseError
from rq.defaults import RQ_KEY_PREFIX

from sesq.config.connection import mapped
from sesq.console.checkup.check import Check, fail, ok, warn
from sesq.queue.replies import texts
from sesq.queue.scripts import lua_files, read_lua

ACL = (
    "ACL SETUSER sesq reset on >PASSWORD ~sesq:* ~rq:* resetchannels &sesq:* &rq:* -@all +@read +@write +@connection "
    "+@transaction +@pubsub -@dangerous +eval +evalsha +script|load +script|exists +time +info +role +wait"
)
"""The least rights for producers, workers and the console, as Redis 6.2 and newer take them. The docs have the same."""
CURE = f"give it the rights of this line: {ACL}"

PREFIXES = ("sesq", RQ_KEY_PREFIX)
OF_PYTHON = (
    "HEXISTS HKEYS HSCAN LPUSH LRANGE LTRIM MGET SCAN SISMEMBER SMEMBERS SSCAN TYPE XACK XPENDING XREADGROUP ZCARD "
    "ZRANK ZREVRANGE ZSCAN"
)
"""What sesq and RQ send that is in no script."""
WITH_SUBCOMMANDS = ("XGROUP", "XINFO")
"""Commands that need a second word."""
HELPFUL = {
    "PUBLISH": "workers hear of new mail a second late",
    "SUBSCRIBE": "workers hear of new mail a second late",
    "INFO": "a fail-over is not noticed",
    "ROLE": "nothing waits for a replica",
    "WAIT": "nothing waits for a replica",
}
"""What goes on without a right. Without any other, mail does not go."""


def check_rights(redis: Redis) -> Check:
    """Raises QueueUnavailable where scripts may not run at all."""
    denied = list(_denied(redis))
    needed = [what for what in denied if what.split()[0] not in HELPFUL]
    if needed:
        return fail("rights", f"this user may not use {_listed(denied)}", CURE)
    if denied:
        lost = dict.fromkeys(HELPFUL[what.split()[0]] for what in denied)
        return warn("rights", f"this user may not use {_listed(denied)}: {', '.join(lost)}", CURE)
    return ok("rights", "this user may do what sesq does")


def _denied(redis: Redis) -> Iterator[str]:
    """`HSET on sesq:*`, `WAIT`, …"""
    with mapped():
        found = redis.eval(read_lua("rights.lua"), 0, *PREFIXES, *_commands())
        yield from texts(found)
        for name, try_it in _TRIES.items():
            if _is_denied(redis, try_it):
                yield name
        for prefix in PREFIXES:
            if _is_denied(redis, lambda redis, prefix=prefix: _subscribe(redis, prefix)):  # type: ignore[misc]
                yield f"SUBSCRIBE on {prefix}:*"


def _commands() -> list[str]:
    """The commands that the scripts name, and those of Python."""
    found = set(OF_PYTHON.split())
    for name in lua_files():
        for command, second in re.findall(r"call\('([A-Z]+)'(?:, '([A-Z]+)')?", read_lua(name)):
            found.add(f"{command} {second}" if command in WITH_SUBCOMMANDS else command)
    return sorted(found)


def _is_denied(redis: Redis, try_it: Callable[[Redis], Any]) -> bool:
    try:
        try_it(redis)
    except (NoPermissionError, ResponseError) as error:
        return not isinstance(error, NoScriptError)
    return False


def _subscribe(redis: Redis, prefix: str) -> None:
    with redis.pubsub() as channel:  # type: ignore[no-untyped-call]
        channel.subscribe(f"{prefix}:doctor")
        channel.get_message(timeout=1)


def _transact(redis: Redis) -> None:
    with redis.pipeline(transaction=True) as pipeline:
        pipeline.exists(f"{PREFIXES[0]}:doctor")
        pipeline.execute()


_TRIES: dict[str, Callable[[Redis], Any]] = {
    "EVALSHA": lambda redis: redis.evalsha("0" * 40, 0),
    "MULTI": _transact,
    "INFO": lambda redis: redis.info("server"),
    "ROLE": lambda redis: redis.execute_command("ROLE"),  # type: ignore[no-untyped-call]
    "WAIT": lambda redis: redis.execute_command("WAIT", 0, 1),  # type: ignore[no-untyped-call]
}


def _listed(denied: list[str]) -> str:
    """The first few of them, each once."""
    some = list(dict.fromkeys(denied))
    return ", ".join(some[:6]) + (f" and {len(some) - 6} more" if len(some) > 6 else "")
