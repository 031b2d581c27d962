"""Makes Redis clients that go on when one key is damaged.

A key of a wrong type is renamed (set aside), and `sesq doctor` lists it. The scripts do the same (`lua/damage.lua`).
"""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING, Any

from redis import Redis
from redis.client import Pipeline
from redis.exceptions import ResponseError

from sesq.config import connection
from sesq.queue.replies import text
from sesq.queue.scripts import MESSAGES, compose

if TYPE_CHECKING:
    from sesq.config.essentials import Essentials
    from sesq.config.settings import Settings

log = logging.getLogger("sesq.redis")

SET_ASIDE = compose("set_aside.lua", MESSAGES)

DEFAULT = "default"
TYPES = (
    (r"H[A-Z]+", "hash"),
    (r"Z[A-Z]+", "zset"),
    (r"(L|R)(PUSH|PUSHX|POP|RANGE|LEN|REM|POS|INDEX|TRIM|INSERT|MOVE|SET)", "list"),
    (r"S(ADD|REM|MEMBERS|CARD|ISMEMBER|MISMEMBER|RANDMEMBER|POP|SCAN)", "set"),
    (r"GET|GETBIT|GETRANGE|SET|SETBIT|SETRANGE|APPEND|STRLEN|INCR[A-Z]*", "string"),
    (r"X[A-Z]+", "stream"),
)
"""Patterns of commands, and the type that these need their key to have."""
_ours = re.compile(r"sesq:accounts$|sesq:(?P<account>[^:]+):.|rq:(?:.*\bsesq\.(?P<queue>[^.:]+)\.)?").match


def connect(url: str | None = None, *, settings: Settings | Essentials | None = None) -> Redis:
    """Returns a careful client for `url`, or for the settings; see `sesq.config.connection.connect`."""
    return connection.connect(url, settings=settings, client=CarefulRedis)


def careful(redis: Redis) -> Redis:
    """Returns a careful client of the same server, which sends each command once."""
    return redis if isinstance(redis, CarefulRedis) else connection.connect_as(redis, CarefulRedis)


class CarefulRedis(Redis):
    """Is a client that sets a key of a wrong type aside, and then repeats the command."""

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
    """Does the same for many commands at once."""

    def execute(self, raise_on_error: bool = True) -> list[Any]:
        stack = list(self.command_stack)
        answers = super().execute(raise_on_error=False)
        for place, answer in enumerate(answers):
            if isinstance(answer, ResponseError):
                answers[place] = self._once_more(answer, *stack[place])
        if raise_on_error:
            self.raise_first_error(stack, answers)  # type: ignore[no-untyped-call]
        return answers

    def _once_more(self, error: ResponseError, args: tuple[Any, ...], options: dict[str, Any]) -> Any:
        """Sets the damaged key aside and repeats the command. Returns its answer, or the error if it is another one."""
        client = CarefulRedis(connection_pool=self.connection_pool)
        return client.execute_command(*args, **options) if set_aside(client, error, args) else error


def set_aside(redis: Redis, error: ResponseError, command: tuple[Any, ...]) -> bool:
    """Sets a key aside if the error is about a wrong type, and the key is sesq's. Returns whether it did."""
    if "WRONGTYPE" not in str(error):
        return False
    expected, key = type_expected(str(command[0])), text(command[1])
    found = _ours(key)
    if not expected or not found:
        return False
    account = found["account"] or found["queue"] or DEFAULT
    SET_ASIDE.run(redis, account, key, expected)
    log.error("account %s: key %s of Redis is damaged and set aside: see `sesq doctor`", account, key)
    return True


def type_expected(command: str) -> str:
    """Returns the type that a Redis command needs its key to have; empty if it takes any key, or none."""
    return next((kind for pattern, kind in TYPES if re.fullmatch(pattern, command.upper())), "")
