"""Scripts on a Redis that forgets them, and what one failing call does to its neighbours."""

from __future__ import annotations

import hashlib

import pytest
from redis import Redis
from redis.exceptions import ResponseError

from sesq.config.scripts import LIFECYCLE, Script, compose, run_many


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
    composed = compose("sesq.config", "change.lua", base=[LIFECYCLE])
    assert composed.text.startswith(LIFECYCLE.text)
    assert composed.digest == hashlib.sha1(composed.text.encode(), usedforsecurity=False).hexdigest()
