"""A Redis client that lets one damaged key stop nothing else.

A key of another type than sesq keeps there is set aside, and listed for `sesq doctor`. The scripts do the same for
themselves (`lua/damage.lua`).
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
"""Commands, and the type that they expect of their key."""
_ours = re.compile(r"sesq:accounts$|sesq:(?P<account>[^:]+):.|rq:(?:.*\bsesq\.(?P<queue>[^.:]+)\.)?").match


def connect(url: str | None = None, *, settings: Settings | Essentials | None = None) -> Redis:
    """Returns a careful client for `url`, or for the settings; see `sesq.config.connection.connect`."""
    return connection.connect(url, settings=settings, client=CarefulRedis)


def careful(redis: Redis) -> Redis:
    """Returns a careful client of the server of another client's, whatever that one would do with a lost reply."""
    return redis if isinstance(redis, CarefulRedis) else connection.connect_as(redis, CarefulRedis)


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
        for place, answer in enumerate(answers):
            if isinstance(answer, ResponseError):
                answers[place] = self._once_more(answer, *stack[place])
        if raise_on_error:
            self.raise_first_error(stack, answers)  # type: ignore[no-untyped-call]
        return answers

    def _once_more(self, error: ResponseError, args: tuple[Any, ...], options: dict[str, Any]) -> Any:
        """Sets the damaged key aside and gives the answer of a second call; the error, where it is another one."""
        client = CarefulRedis(connection_pool=self.connection_pool)
        return client.execute_command(*args, **options) if set_aside(client, error, args) else error


def set_aside(redis: Redis, error: ResponseError, command: tuple[Any, ...]) -> bool:
    """Whether the error is about a key of sesq's, or of its queues, of another type; then its place is empty now."""
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
    """Returns the type of key that a command of Redis needs; empty for one that takes any, or none."""
    return next((kind for pattern, kind in TYPES if re.fullmatch(pattern, command.upper())), "")
