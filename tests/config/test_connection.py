from __future__ import annotations

import re
import socket
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
from redis import Redis
from redis import exceptions as redis_errors

from sesq.config.connection import (
    FULL,
    MEANINGS,
    RENAMED,
    REPLICA,
    RIGHTS,
    connect,
    connect_as,
    mapped,
    may_pass,
)
from sesq.config.embedded import EmbeddedRedis
from sesq.config.errors import QueueUnavailable
from sesq.config.settings import Settings


def test_a_client_talks_to_the_server_of_the_url(redis_server: EmbeddedRedis, redis: Redis) -> None:
    connect(redis_server.url).set("greeting", "hello")
    assert redis.get("greeting") == b"hello"


def test_without_a_url_the_settings_count(make_settings: Callable[..., Settings], redis: Redis) -> None:
    client = connect(settings=make_settings(redis_timeout_seconds=7))
    client.set("greeting", "hello")
    assert redis.get("greeting") == b"hello"
    assert client.get_connection_kwargs()["socket_timeout"] == 7


def test_without_any_url_the_embedded_redis_is_started(
    short_path: Path, make_settings: Callable[..., Settings]
) -> None:
    settings = make_settings(redis_url=None, data_dir=short_path)
    try:
        assert connect(settings=settings).ping()
        assert (short_path / "redis" / "redis.sock").is_socket()
    finally:
        leave(short_path / "redis")


def leave(directory: Path) -> None:
    from sesq.config.connection import _shares

    _shares.pop(directory).stop()


def test_a_command_whose_reply_is_lost_is_not_sent_again() -> None:
    # Given a server that takes a command and closes the connection instead of answering
    with socket.create_server(("127.0.0.1", 0)) as server:
        client = connect(
            f"redis://127.0.0.1:{server.getsockname()[1]}?socket_timeout=0.2&health_check_interval=0"
        )
        # When a command is sent, Then it fails, and nobody has knocked a second time
        with pytest.raises(QueueUnavailable, match="did not answer in time"), mapped():
            client.lpush("queue", "message")
        server.accept()[0].close()
        server.setblocking(False)
        with pytest.raises(BlockingIOError):
            server.accept()


def test_a_redis_that_is_away_is_told_at_once() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(QueueUnavailable, match="Redis cannot be reached"), mapped():
        connect(f"redis://127.0.0.1:{port}").ping()


def test_sentinels_that_are_away_are_told_in_one_short_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with (
        pytest.raises(QueueUnavailable, match=r"^Redis cannot be reached: No master found for 'mail'$"),
        mapped(),
    ):
        connect(f"redis+sentinel://127.0.0.1:{port}/mail").ping()


def test_a_connection_that_the_server_closed_is_replaced(redis_server: EmbeddedRedis, redis: Redis) -> None:
    client = connect(redis_server.url)
    client.ping()
    redis.client_kill_filter(skipme=True, _type="normal")
    assert client.ping()


@pytest.mark.parametrize("write", [lambda r: r.set("a", 1), lambda r: r.eval("redis.call('SET', 'a', 1)", 0)])
def test_a_server_that_takes_no_writes_is_unavailable(redis: Redis, write: Callable[[Redis], object]) -> None:
    redis.config_set("min-replicas-to-write", 1)
    try:
        with pytest.raises(QueueUnavailable, match="too few of its replicas"), mapped():
            write(redis)
    finally:
        redis.config_set("min-replicas-to-write", 0)


def test_what_nobody_foresaw_is_told_in_redis_own_words(redis: Redis) -> None:
    redis.set("word", "abc")
    with pytest.raises(QueueUnavailable, match=r"could not do what sesq asked.*not an integer"), mapped():
        redis.incr("word")


@pytest.mark.parametrize(
    ("said", "meaning"),
    [
        # Redis 6.2, 7.0 and newer, each in its own words
        ("@user_script:9: @user_script: 9: The user executing the script can't run this command", RIGHTS),
        ("The user executing the script can't access at least one of the keys mentioned", RIGHTS),
        ("The user executing the script can't publish to the channel mentioned in the command", RIGHTS),
        ("ACL failure in script: User app has no permissions to run the 'publish' command", RIGHTS),
        ("NOPERM this user has no permissions to access one of the channels", RIGHTS),
        ("unknown command 'EVALSHA', with args beginning with: 'f00'", RENAMED),
        ("unknown command `SCRIPT`, with args beginning with: `LOAD`,", RENAMED),
        ("Unknown Redis command called from script script: f00", RENAMED),
        ("-OOM command not allowed when used memory > 'maxmemory'.", FULL),
        ("@user_script: 17: -READONLY You can't write against a read only replica.", REPLICA),
        ("DB index is out of range", "names a database that this Redis does not have"),
    ],
)
def test_each_wording_of_redis_has_its_meaning(said: str, meaning: str) -> None:
    with pytest.raises(QueueUnavailable, match=re.escape(meaning)), mapped():
        raise redis_errors.ResponseError(said)


@pytest.mark.parametrize(("kind", "meaning"), [entry[:2] for entry in MEANINGS])
def test_each_error_of_redis_has_a_meaning(kind: type[Exception], meaning: str) -> None:
    with pytest.raises(QueueUnavailable, match=f"^{re.escape(meaning)}: 16 host:7000") as raised, mapped():
        raise kind("16 host:7000")
    assert isinstance(raised.value.__cause__, kind)


@pytest.mark.parametrize("size", [300, 301])
def test_of_what_redis_says_300_characters_are_shown(size: int) -> None:
    with pytest.raises(QueueUnavailable, match=f": {'x' * 300}$"), mapped():
        raise redis_errors.ResponseError("x" * size)


@contextmanager
def full(redis: Redis) -> Iterator[None]:
    redis.config_set("maxmemory", 1)
    yield
    redis.config_set("maxmemory", 0)


@contextmanager
def replica(redis: Redis) -> Iterator[None]:
    redis.execute_command("REPLICAOF", "127.0.0.1", "1")
    yield
    redis.execute_command("REPLICAOF", "NO", "ONE")


@pytest.mark.parametrize(("what", "meaning"), [(full, FULL), (replica, REPLICA)])
def test_what_a_script_may_not_write_has_the_same_meaning(
    redis: Redis, what: Callable[[Redis], AbstractContextManager[None]], meaning: str
) -> None:
    with what(redis), pytest.raises(QueueUnavailable, match=meaning), mapped():
        redis.eval("return redis.call('SET', 'word', 'abc')", 0)


def test_mapped_decorates_a_function_and_lets_errors_of_others_pass() -> None:
    @mapped()
    def wrong_value() -> None:
        raise ValueError("a bug")

    with pytest.raises(ValueError):
        wrong_value()


@pytest.mark.parametrize(
    "theirs", [Redis(port=1), Redis(host="::1", port=1, db=3), Redis(unix_socket_path="/x")]
)
def test_another_client_of_the_same_server_can_be_made_of_any(theirs: Redis) -> None:
    own = connect_as(theirs, Redis)
    told, options = theirs.get_connection_kwargs(), own.get_connection_kwargs()
    assert options["protocol"] == 2
    same = ("host", "port", "db", "path", "password")
    assert {name: options.get(name) for name in same} == {name: told.get(name) for name in same}


def test_a_sentinel_url_asks_each_sentinel_for_the_master() -> None:
    client = connect("redis+sentinel://app:p%40ss@one:7000,[::1]/mail/3")
    pool = client.connection_pool
    sentinels = [s.get_connection_kwargs() for s in pool.sentinel_manager.sentinels]  # type: ignore[attr-defined]
    assert [(s["host"], s["port"]) for s in sentinels] == [("one", 7000), ("::1", 26379)]
    assert sentinels[0].get("password") is None
    assert pool.service_name == "mail"  # type: ignore[attr-defined]
    wanted = {"username": "app", "password": "p@ss", "db": 3, "socket_timeout": 5.0}
    assert wanted.items() <= pool.connection_kwargs.items()


@pytest.mark.parametrize(
    ("said", "passes"),
    [
        ("NOREPLICAS Not enough good replicas to write.", True),
        (
            "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk.",
            True,
        ),
        ("OOM command not allowed when used memory > 'maxmemory'.", True),
        ("NOPERM this user has no permissions to run the 'evalsha' command", False),
        ("WRONGTYPE Operation against a key holding the wrong kind of value", False),
        ("DB index is out of range", False),
    ],
)
def test_a_worker_waits_for_what_may_pass_by_itself(said: str, passes: bool) -> None:
    with pytest.raises(QueueUnavailable) as caught, mapped():
        raise redis_errors.ResponseError(said)
    assert may_pass(caught.value) is passes


def test_a_wrong_password_does_not_pass_by_itself() -> None:
    for error, passes in (
        (redis_errors.AuthenticationError("no"), False),
        (redis_errors.ConnectionError("no"), True),
    ):
        with pytest.raises(QueueUnavailable) as caught, mapped():
            raise error
        assert may_pass(caught.value) is passes
