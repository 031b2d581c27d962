"""The Redis user of the docs: it has the rights that sesq needs, and `doctor` names each one that is missing."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from redis import Redis
from typer.testing import Result

from redis_user import redis_user
from sesq.config.embedded import EmbeddedRedis
from sesq.console.checkup.rights import ACL
from sesq.queue.states import State
from system import eventually, running_system

DOCS = Path(__file__).parents[2] / "docs" / "how-to" / "redis-user.md"
RIGHTS = tuple(word for word in ACL.split()[3:] if word not in ("reset", "on", ">PASSWORD"))


def test_the_docs_have_the_line() -> None:
    assert ACL in DOCS.read_text().splitlines()


def rights_check(run: Callable[..., Result], monkeypatch: pytest.MonkeyPatch, url: str) -> tuple[str, str]:
    """Status and text of doctor's check."""
    monkeypatch.setenv("SESQ_REDIS_URL", url)
    checks = json.loads(run("doctor", "--json").stdout)
    return next(
        (check["status"], check["detail"])
        for check in checks
        if check["name"] in ("rights", "redis")
        if check["name"] == "rights" or check["status"] == "fail"
    )


@pytest.mark.parametrize(
    ("without", "status", "named"),
    [
        ((), "ok", "may do what sesq does"),
        (("resetchannels",), "warn", "PUBLISH on sesq:*, PUBLISH on rq:*, SUBSCRIBE on sesq:*"),
        (
            ("resetchannels", "&sesq:*"),
            "warn",
            "PUBLISH on rq:*, SUBSCRIBE on rq:*: workers hear of new mail",
        ),
        (("-wait", "-role", "-info"), "warn", "INFO"),
        (("-time",), "fail", "TIME on sesq:*"),
        (("-hincrby",), "fail", "HINCRBY on sesq:*, HINCRBY on rq:*"),
        (("resetkeys", "~sesq:*"), "fail", "APPEND on rq:*"),
        (("-info",), "warn", "INFO on rq:*, INFO: a fail-over is not noticed"),
        (("-role",), "warn", "may not use ROLE: nothing waits for a replica"),
        (("-wait",), "warn", "may not use WAIT: nothing waits for a replica"),
        (("-evalsha",), "fail", "EVALSHA"),
        (("-multi",), "fail", "may not use MULTI"),
        (("-exec",), "fail", "may not use MULTI"),
        (("-eval",), "fail", "lacks rights that sesq needs"),
    ],
)
def test_doctor_names_what_is_missing(
    without: Sequence[str],
    status: str,
    named: str,
    run: Callable[..., Result],
    redis: Redis,
    redis_server: EmbeddedRedis,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with redis_user(redis, redis_server.url, (*RIGHTS, *without)) as url:
        found = rights_check(run, monkeypatch, url)
    assert found[0] == status
    assert named in found[1]
    assert not redis.exists("sesq:doctor", "rq:doctor")


@pytest.mark.parametrize(
    ("without", "named"),
    [
        (("-time", "-evalsha", "-multi", "-role", "-wait"), "EVALSHA, MULTI, ROLE, WAIT"),
        (
            ("-time", "-evalsha", "-multi", "-role", "-wait", "resetchannels", "&sesq:*"),
            "PUBLISH on rq:*, TIME on rq:*, EVALSHA, MULTI, ROLE and 2 more",
        ),
    ],
)
def test_doctor_names_six_rights_at_most(
    without: Sequence[str],
    named: str,
    run: Callable[..., Result],
    redis: Redis,
    redis_server: EmbeddedRedis,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with redis_user(redis, redis_server.url, (*RIGHTS, *without)) as url:
        found = rights_check(run, monkeypatch, url)
    assert found[0] == "fail"
    assert found[1].startswith("this user may not use TIME on sesq:*, ")
    assert found[1].endswith(f", {named}")


def test_such_a_user_is_enough_for_producers_and_workers(
    redis: Redis, redis_server: EmbeddedRedis, tmp_path: Path
) -> None:
    # Given producers and a worker that have no other rights
    with redis_user(redis, redis_server.url, RIGHTS) as url, running_system(redis, url, tmp_path) as s:
        s.start_workers()
        eventually(
            lambda: redis.pubsub_numsub("sesq:default:wake")[0][1] == 1,  # type: ignore[no-untyped-call]
            f"the worker hears\n{s.log()}",
        )
        # When mail is sent, and limits are set
        s.send(5)
        s.wait_for(State.SENT, 5)
        for command in (
            ("quota", "set", "--rate", "1/second"),
            ("quota", "pause"),
            ("quota", "resume"),
            ("status",),
            ("messages", "list"),
        ):
            s.run("sesq.console", *command)
        # Then all is sent, and nobody lacks a right
        s.send(1)
        s.wait_for(State.SENT, 6)
        assert "rights" not in s.log()
