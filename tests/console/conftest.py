"""The command line as scripts see it: `run("send", …)` in this process, on the test's own Redis."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from typer.testing import CliRunner, Result

from sesq.config.embedded import EmbeddedRedis
from sesq.console.app import app
from sesq.producer import Message, Outbox
from sesq.queue.gate import SYNC, Gate
from sesq.queue.keys import CLOCK_OFFSET
from sesq.queue.results import SendResult
from sesq.queue.states import State

Run = Callable[..., Result]


@pytest.fixture
def quiet_logging() -> Iterator[None]:
    """Commands set up logging for their process; a test's process goes on."""
    root, ours = logging.getLogger(), logging.getLogger("sesq")
    handlers, level, our_level = list(root.handlers), root.level, ours.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    ours.setLevel(our_level)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory, and no settings or AWS account of this user's."""
    for name in ("SESQ_CONFIG", "AWS_PROFILE", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL_SESV2"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def run(
    redis: object,
    redis_server: EmbeddedRedis,
    here: Path,
    monkeypatch: pytest.MonkeyPatch,
    quiet_logging: None,
) -> Run:
    """`run("send", …, stdin=…)`: what a command answers. Redis is empty before the first."""
    monkeypatch.setenv("SESQ_REDIS_URL", redis_server.url)

    def invoke(*words: str, stdin: str | bytes | None = None) -> Result:
        result = CliRunner().invoke(app, list(words), input=stdin, prog_name="sesq")
        unexpected = result.exception is not None and not isinstance(result.exception, SystemExit)
        assert not unexpected, result.exc_info
        return result

    return invoke


@pytest.fixture
def ses_says(redis: Redis) -> Callable[..., None]:
    """`ses_says(rate=14, daily=-1)`: as if account sync had just read that; a sandbox of 1/s and 200 a day else."""

    def told(**facts: Any) -> None:
        sandbox = {"rate": 1, "daily": 200, "sent": 0, "production": 0, "sending": 1, "readable": 1}
        words = {"paused_because": "", "enforcement": "HEALTHY", "identities": {"example.com": 1}}
        SYNC.run(redis, "default", json.dumps({**sandbox, **words, **facts}))

    return told


@pytest.fixture
def queue(redis: Redis) -> Callable[..., str]:
    """`queue(to=[…], lane="bulk")`: the id of a message that is queued now."""

    def send(**options: Any) -> str:
        given = {"sender": "shop@example.com", "to": "ada@example.com", "subject": "Hi", "text": "Hello"}
        return Outbox(redis).send(Message(**{**given, **options}))

    return send


@pytest.fixture
def becomes(redis: Redis) -> Callable[..., None]:
    """`becomes(id, State.HELD, hold=…)`: the next message to go was claimed, and that is what became of it."""
    gate = Gate(redis)

    def settle(id: str, state: State, **result: Any) -> None:
        redis.incrbyfloat(CLOCK_OFFSET, 10)  # the bucket has filled
        claim = gate.claim("worker", f"claim-{id}", want=1, lease=30)
        assert claim.ids == (id,), claim
        gate.start(claim.grants)
        assert gate.settle([SendResult(claim.grants[0], state, **result)]) == [state]

    return settle


@pytest.fixture
def run_json(run: Run) -> Callable[..., Any]:
    """The same with --json: what stands on stdout, of a command that succeeds."""

    def invoke(*words: str) -> Any:
        result = run(*words, "--json")
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)

    return invoke
