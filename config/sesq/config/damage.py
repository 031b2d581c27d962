"""Damaged data in Redis: a key of another type than sesq keeps there is set aside, so that nothing else stops for it.

The scripts do the same for themselves (`lua/damage.lua`). What was set aside is listed for `sesq doctor`.
"""

from __future__ import annotations

import json
import logging
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from redis import Redis
from redis.client import Pipeline
from redis.exceptions import ResponseError

from sesq.config.keys import Keys
from sesq.config.replies import read_hash, text

if TYPE_CHECKING:
    from sesq.config.scripts import Script

log = logging.getLogger("sesq.redis")

DEFAULT = "default"
TYPES = (
    (r"H[A-Z]+", "hash"),
    (r"Z[A-Z]+", "zset"),
    (r"(L|R)(PUSH|PUSHX|POP|RANGE|LEN|REM|POS|INDEX|TRIM|INSERT|MOVE|SET)", "list"),
    (r"S(ADD|REM|MEMBERS|CARD|ISMEMBER|MISMEMBER|RANDMEMBER|POP|SCAN)", "set"),
    (r"GET|GETBIT|GETRANGE|SET|SETBIT|SETRANGE|APPEND|STRLEN|INCR[A-Z]*", "string"),
    (r"X[A-Z]+", "stream"),
)
"""Commands, and the type that they expect of their key."""
_ours = re.compile(r"sesq:(?P<account>[^:]+):.|rq:(?:.*\bsesq\.(?P<queue>[^.:]+)\.)?").match


@dataclass(frozen=True, slots=True)
class Damage:
    """Something in Redis that is not as sesq keeps it. `at`: when it was found (seconds since the epoch)."""

    what: str
    why: str
    at: float


def read_damage(redis: Redis, account: str) -> list[Damage]:
    """What has been set aside, or left where it is because it cannot be understood; the latest first."""
    found = [_damage(*entry) for entry in read_hash(redis, Keys(account).damaged).items()]
    return sorted(found, key=lambda damage: (-damage.at, damage.what))


def _damage(what: str, packed: str) -> Damage:
    try:
        at, why = json.loads(packed)
        return Damage(what, str(why), float(at))
    except (ValueError, TypeError):
        return Damage(what, packed, 0.0)


class CarefulRedis(Redis):
    """A client that sets a key of another type aside, and asks once more."""

    def execute_command(self, *args: Any, **options: Any) -> Any:
        try:
            return super().execute_command(*args, **options)  # type: ignore[no-untyped-call]
        except ResponseError as error:
            if not set_aside(self, error, args):
                raise
            return super().execute_command(*args, **options)  # type: ignore[no-untyped-call]

    def pipeline(self, transaction: bool = True, shard_hint: Any = None) -> Pipeline:
        return CarefulPipeline(self.connection_pool, self.response_callbacks, transaction, shard_hint)


class CarefulPipeline(Pipeline):
    """The same for many commands at once."""

    def execute(self, raise_on_error: bool = True) -> list[Any]:
        stack = list(self.command_stack)
        answers = super().execute(raise_on_error=False)
        client = CarefulRedis(connection_pool=self.connection_pool)
        for place, (answer, (args, options)) in enumerate(zip(answers, stack, strict=False)):
            if isinstance(answer, ResponseError) and set_aside(client, answer, args):
                answers[place] = client.execute_command(*args, **options)
        if raise_on_error:
            self.raise_first_error(stack, answers)  # type: ignore[no-untyped-call]
        return answers


def set_aside(redis: Redis, error: ResponseError, command: tuple[Any, ...]) -> bool:
    """Whether the error is about a key of sesq's, or of its queues, of another type; then its place is empty now."""
    if "WRONGTYPE" not in str(error):
        return False
    expected, key = type_expected(str(command[0])), text(command[1])
    found = _ours(key)
    if not expected or not found:
        return False
    account = found["account"] or found["queue"] or DEFAULT
    _script().run(redis, account, key, expected)
    log.error("account %s: key %s of Redis is damaged and set aside: see `sesq doctor`", account, key)
    return True


def type_expected(command: str) -> str:
    """The type of key that a command of Redis needs; empty for one that takes any, or none."""
    return next((kind for pattern, kind in TYPES if re.fullmatch(pattern, command.upper())), "")


def _script() -> Script:
    from sesq.config.scripts import LIFECYCLE, compose  # here: connections are made without scripts

    return compose("sesq.config", "set_aside.lua", base=[LIFECYCLE])
