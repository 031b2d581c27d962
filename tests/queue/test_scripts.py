"""Scripts on a Redis that forgets them, and what one failing call does to its neighbours."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from redis import Redis
from redis.exceptions import ResponseError

from sesq.config.embedded import EmbeddedRedis
from sesq.config.errors import QueueUnavailable
from sesq.config.server_binary import in_wheels
from sesq.producer import Message, Outbox
from sesq.queue.careful_redis import connect
from sesq.queue.scripts import GATE, MESSAGES, Script, compose, run_many


def script(text: str) -> Script:
    return Script(text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())


COUNT = script("return redis.call('INCR', KEYS[1] or ARGV[3])")


def test_a_forgotten_script_is_loaded_again(redis: Redis) -> None:
    COUNT.run(redis, "default", "n")
    redis.script_flush()
    assert COUNT.run(redis, "default", "n") == 2


def test_forgotten_scripts_in_a_pipeline_run_once_each(redis: Redis) -> None:
    redis.script_flush()
    other = script("return redis.call('INCRBY', ARGV[3], 10)")
    answers = run_many(redis, "default", [(COUNT, ["n"]), (other, ["n"]), (COUNT, ["n"])])
    assert sorted(answers) == [1, 11, 12]
    assert redis.get("n") == b"12"


def test_one_failing_call_does_not_stop_the_others_and_is_raised(redis: Redis) -> None:
    redis.set("word", "abc")
    COUNT.run(redis, "default", "n")
    redis.script_flush()
    broken = script("return redis.call('INCR', 'word')")
    with pytest.raises(ResponseError, match="not an integer"):
        run_many(redis, "default", [(COUNT, ["n"]), (broken, []), (COUNT, ["n"])])
    assert redis.get("n") == b"3"


def test_every_script_begins_with_the_account_and_rqs_prefix(redis: Redis) -> None:
    echo = script("return {ARGV[1], ARGV[2], ARGV[3]}")
    assert echo.run(redis, "shop", "x") == [b"shop", b"rq", b"x"]


def test_a_composed_script_has_its_base_in_front() -> None:
    composed = compose("change.lua", MESSAGES)
    assert composed.text.startswith(MESSAGES)
    assert composed.digest == hashlib.sha1(composed.text.encode(), usedforsecurity=False).hexdigest()


def test_loading_the_library_asks_redis_nothing(redis: Redis) -> None:
    # Given the whole library, before a script that does nothing
    nothing = script(f"{GATE}\nreturn 1")
    redis.config_resetstat()
    # When it is run
    assert nothing.run(redis, "default") == 1
    # Then no command was called
    called = {name.removeprefix("cmdstat_").partition("|")[0] for name in redis.info("commandstats")}
    assert called <= {"config", "evalsha", "eval", "info"}


@pytest.fixture
def renaming(short_path: Path) -> Callable[[str], AbstractContextManager[EmbeddedRedis]]:
    """`renaming("SCRIPT")`: a server on which a command has no name."""

    def start(command: str) -> EmbeddedRedis:
        real = os.environ.get("SESQ_TEST_REDIS_SERVER") or next(in_wheels())
        program = short_path / "redis-server"
        program.write_text(
            f'#!/bin/sh\n[ $# = 1 ] && exec \'{real}\' "$1"\nexec \'{real}\' "$@" --rename-command {command} ""\n'
        )
        program.chmod(0o755)
        return EmbeddedRedis(short_path / "data", program)

    return start


def test_scripts_run_on_a_server_without_the_command_script(
    renaming: Callable[[str], AbstractContextManager[EmbeddedRedis]],
) -> None:
    with renaming("SCRIPT") as server, connect(server.url) as client:
        ids = Outbox(client).send_many(mail(f"p{i}@example.org") for i in range(3))
        assert client.llen("rq:queue:sesq.default.transactional") == len(ids) == 3


def test_a_server_without_a_command_that_scripts_need_is_told(
    renaming: Callable[[str], AbstractContextManager[EmbeddedRedis]],
) -> None:
    with renaming("EVALSHA") as server, connect(server.url) as client:
        with pytest.raises(QueueUnavailable, match="lacks a command"):
            Outbox(client).send(mail("ada@example.org"))
        assert client.keys() == [b"sesq:layout"]


def mail(to: str) -> Message:
    return Message(sender="shop@example.com", to=[to], subject="Hi", text="Hello.")
