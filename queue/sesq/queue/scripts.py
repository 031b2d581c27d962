"""Runs Lua scripts: composes them from `.lua` files, calls them by digest, and loads them again when needed."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any

from redis import Redis
from redis.client import Pipeline
from redis.exceptions import NoScriptError
from rq.defaults import RQ_KEY_PREFIX

from sesq.queue.replicas import Replicas

Argument = str | bytes | int | float


@dataclass(frozen=True, slots=True)
class Script:
    """Holds one script: the text of its files, and its digest."""

    text: str
    digest: str

    @classmethod
    def of(cls, text: str) -> Script:
        """Makes the script of a text."""
        return cls(text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())

    def arguments(self, account: str, arguments: Sequence[Argument]) -> list[Argument]:
        """Returns the script's ARGV, which begins with the account and RQ's key prefix."""
        return [account, RQ_KEY_PREFIX, *arguments]

    def run(self, redis: Redis, account: str, *arguments: Argument) -> Any:
        """Runs the script in one round trip, or in two if Redis does not know it yet."""
        argv = self.arguments(account, arguments)
        try:
            return redis.evalsha(self.digest, 0, *argv)
        except NoScriptError:
            return redis.eval(self.text, 0, *argv)

    def queue(self, pipeline: Pipeline, account: str, *arguments: Argument, by_text: bool = False) -> None:
        """Adds one call to a pipeline. `run_many` also repeats a call whose script Redis has forgotten."""
        argv = self.arguments(account, arguments)
        if by_text:
            pipeline.eval(self.text, 0, *argv)
        else:
            pipeline.evalsha(self.digest, 0, *argv)


Call = tuple[Script, Sequence[Argument]]


def run_many(
    redis: Redis, account: str, calls: Sequence[Call], replicas: Replicas | None = None
) -> list[Any]:
    """Runs script calls in one round trip, each atomic by itself. Raises the first error, after all have run.

    A call whose script Redis does not know had no effect, so it is run again. With `replicas`, it also waits until a
    replica has the data, if there is one.
    """
    if replicas is not None and not replicas.are_there():
        replicas = None
    if replicas is None and len(calls) == 1:
        script, arguments = calls[0]
        return [script.run(redis, account, *arguments)]
    answers = _run_all(redis, account, calls, replicas)
    forgotten = [i for i, answer in enumerate(answers) if isinstance(answer, NoScriptError)]
    if forgotten:
        again = [calls[i] for i in forgotten]
        for i, answer in zip(forgotten, _run_all(redis, account, again, replicas, by_text=True), strict=True):
            answers[i] = answer
    for answer in answers:
        if isinstance(answer, Exception):
            raise answer
    return answers


def _run_all(
    redis: Redis, account: str, calls: Sequence[Call], replicas: Replicas | None, *, by_text: bool = False
) -> list[Any]:
    """Returns the answers, or errors. It waits for a replica in the same pipeline, as WAIT counts by connection.

    `by_text`: the first call of each script sends its text, so that Redis knows it.
    """
    pipeline = redis.pipeline(transaction=False)
    known: set[str] = set()
    for script, arguments in calls:
        script.queue(pipeline, account, *arguments, by_text=by_text and script.digest not in known)
        known.add(script.digest)
    if replicas is not None:
        replicas.queue_wait(pipeline)
    answers: list[Any] = pipeline.execute(raise_on_error=False)
    if replicas is not None:
        replicas.note(answers.pop())
    return answers


def read_lua(name: str) -> str:
    """Reads a `.lua` file in the folder `lua`."""
    return (resources.files(__package__) / "lua" / name).read_text(encoding="utf-8")


def lua_files() -> list[str]:
    """Lists the names of all `.lua` files."""
    return sorted(file.name for file in (resources.files(__package__) / "lua").iterdir())


def library(*names: str, base: str = "") -> str:
    """Joins the files `names` into one text, after `base`, the text that they use."""
    return "\n".join([base, *(read_lua(name) for name in names)])


def compose(name: str, base: str) -> Script:
    """Makes the script that runs `main` of the file `name`, after `base`, the library that it uses."""
    return Script.of(library(name, base=base) + "\nreturn run(main)\n")


STREAM = library("values.lua", "clock.lua", "damage.lua", "wake.lua", "shares.lua", "stream.lua")
"""The library for the clock, for damaged keys, and to wake workers and write events."""
JOBS = library("writes.lua", "jobs.lua", base=STREAM)
"""The library of every script of an account."""
MESSAGES = library("windows.lua", "batches.lua", "chunks.lua", "messages.lua", base=JOBS)
"""The library for changes of a message's state, and for the counts of batches."""
GATE = library(
    "rows.lua",
    "server.lua",
    "bucket.lua",
    "ramp.lua",
    "limits.lua",
    "ledger.lua",
    "tenants.lua",
    "gate.lua",
    base=MESSAGES,
)
"""The library for the rules of the gate."""
