"""Lua scripts: composed from `.lua` files, called by their digest, loaded again where Redis has forgotten them."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any

from redis import Redis
from redis.client import Pipeline
from redis.exceptions import NoScriptError
from rq.defaults import RQ_KEY_PREFIX

from sesq.config.replicas import Replicas

Argument = str | bytes | int | float


@dataclass(frozen=True, slots=True)
class Script:
    """One script: the files it is made of, in order, as one text."""

    text: str
    digest: str

    def arguments(self, account: str, arguments: Sequence[Argument]) -> list[Argument]:
        """The script's ARGV: every script begins with the account and RQ's key prefix."""
        return [account, RQ_KEY_PREFIX, *arguments]

    def run(self, redis: Redis, account: str, *arguments: Argument) -> Any:
        """One round trip; a second one where Redis does not know the script yet."""
        argv = self.arguments(account, arguments)
        try:
            return redis.evalsha(self.digest, 0, *argv)
        except NoScriptError:
            return redis.eval(self.text, 0, *argv)

    def queue(self, pipeline: Pipeline, account: str, *arguments: Argument) -> None:
        """Adds one call to a pipeline; see `run_many` for one that minds forgotten scripts."""
        pipeline.evalsha(self.digest, 0, *self.arguments(account, arguments))


Call = tuple[Script, Sequence[Argument]]


def run_many(
    redis: Redis, account: str, calls: Sequence[Call], replicas: Replicas | None = None
) -> list[Any]:
    """Runs script calls in one round trip, each atomic by itself. Raises the first error, after all have run.

    A call whose script Redis has forgotten had no effect, so it is simply run again. With `replicas` it returns when
    one of them has it all, where there are any.
    """
    answers = _run_all(redis, account, calls, replicas)
    forgotten = [i for i, answer in enumerate(answers) if isinstance(answer, NoScriptError)]
    if forgotten:
        again = [calls[i] for i in forgotten]
        texts = {script.text for script, _ in again}
        for i, answer in zip(forgotten, _run_all(redis, account, again, replicas, load=texts), strict=True):
            answers[i] = answer
    for answer in answers:
        if isinstance(answer, Exception):
            raise answer
    return answers


def _run_all(
    redis: Redis, account: str, calls: Sequence[Call], replicas: Replicas | None, load: Collection[str] = ()
) -> list[Any]:
    """The answers, or errors. The wait for a replica is part of it: it is for what the same connection has written."""
    pipeline = redis.pipeline(transaction=False)
    for text in load:
        pipeline.execute_command("SCRIPT LOAD", text)  # type: ignore[no-untyped-call]
    for script, arguments in calls:
        script.queue(pipeline, account, *arguments)
    waits = replicas is not None and replicas.queue_wait(pipeline)
    answers: list[Any] = pipeline.execute(raise_on_error=False)
    if replicas is not None and waits:
        replicas.note(answers.pop())
    return answers[len(load) :]


def read_lua(package: str, name: str) -> str:
    """The text of a `.lua` file in the folder `lua` beside a package's modules."""
    return (resources.files(package) / "lua" / name).read_text(encoding="utf-8")


def compose(package: str, *names: str, base: Sequence[Script] = ()) -> Script:
    """A script of the files `names` of `package`, put after the scripts of `base`, whose functions it uses."""
    text = "\n".join([*(script.text for script in base), *(read_lua(package, name) for name in names)])
    return Script(text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())


LIFECYCLE = compose("sesq.config", "clock.lua", "lifecycle.lua", "batch.lua")
"""How a message changes its state, and how a batch counts that: before every script that changes one."""
