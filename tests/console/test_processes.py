"""The command line as real processes: the simulator, workers, and what a terminal does to them."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from redis import Redis

from http_client import connect, read_to_the_end, taken
from sesq.config.embedded import EmbeddedRedis
from sesq.console.workers import read_workers
from sesq.worker.http_server import HttpLimits

SESQ = [sys.executable, "-m", "sesq.console"]
PATIENCE_SECONDS = 120


@pytest.fixture
def start(
    redis: Redis, redis_server: EmbeddedRedis, here: Path
) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """`start("worker", AWS_REGION=…)`: the command, running on the test's Redis; it is gone after the test."""
    running: list[subprocess.Popen[str]] = []

    def launch(*words: str, **variables: str) -> subprocess.Popen[str]:
        env = os.environ | {"SESQ_REDIS_URL": redis_server.url, "PYTHONUNBUFFERED": "1"} | variables
        pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        process = subprocess.Popen([*SESQ, *words], text=True, env=env, **pipes)
        running.append(process)
        return process

    yield launch
    for process in running:
        if process.poll() is None:
            process.kill()
        process.communicate()


@pytest.fixture
def simulator(start: Callable[..., Any], here: Path) -> Iterator[str]:
    """The URL of a simulator in a process of its own; example.com is verified, and it allows 100 a second."""
    (here / "account.json").write_text(json.dumps({"verified": ["example.com"], "control_rate": None}))
    process = start(
        "simulator", "--port", "0", "--smtp-port", "0", "--account", "account.json", "--rate", "100"
    )
    yield re.fullmatch(r"listening on (http://\S+).*\n", process.stdout.readline())[1]
    process.send_signal(signal.SIGINT)
    assert process.wait(PATIENCE_SECONDS) == 0


@pytest.fixture
def aws(simulator: str) -> dict[str, str]:
    """The variables of a worker that sends to the simulator."""
    keys = {"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "secret"}
    return {**keys, "AWS_DEFAULT_REGION": "us-east-1", "AWS_ENDPOINT_URL_SESV2": simulator}


def accepted(simulator: str) -> list[dict[str, Any]]:
    with urlopen(f"{simulator}/_sim/messages", timeout=PATIENCE_SECONDS) as answer:
        return [message for message in json.load(answer) if message["accepted"]]


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "did not come true"
        time.sleep(0.02)


def test_a_worker_sends_what_was_queued_and_ends(
    start: Callable[..., Any], simulator: str, aws: dict[str, str], redis: Redis, queue: Callable[..., str]
) -> None:
    # Given five messages, one of them to somebody who is not verified
    sent = {queue(to=f"a{n}@example.com") for n in range(4)}
    held = queue(to="bob@example.org")
    # When a worker empties the queue
    worker = start("worker", "--burst", "--concurrency", "4", **aws)
    _, log = worker.communicate(timeout=PATIENCE_SECONDS)
    # Then it has ended well, and its log names no address and no content
    assert worker.returncode == 0, log
    assert {message["tags"]["sesq-id"] for message in accepted(simulator)} == sent
    assert "@" not in log.replace("…@", "")  # of an address the domain alone
    assert "subscribing" not in log
    assert "Hello" not in log
    # And the command line tells the same
    told, _ = start("status", "--json").communicate(timeout=PATIENCE_SECONDS)
    assert json.loads(told)["messages"] | {"sent": 4, "held": 1} == json.loads(told)["messages"]
    told, _ = start("messages", "show", held, "--json").communicate(timeout=PATIENCE_SECONDS)
    assert json.loads(told)["hold"] == "recipient:bob@example.org"


def test_several_processes_stop_together_on_ctrl_c(
    start: Callable[..., Any], aws: dict[str, str], redis: Redis
) -> None:
    parent = start("worker", "--processes", "2", **aws)
    until(lambda: len(read_workers(redis, "default")) == 2)
    pids = {worker.pid for worker in read_workers(redis, "default")}
    assert parent.pid not in pids
    parent.send_signal(signal.SIGINT)
    _, log = parent.communicate(timeout=PATIENCE_SECONDS)
    assert parent.returncode == 0, log
    assert "Traceback" not in log
    assert read_workers(redis, "default") == ()


@pytest.mark.parametrize("words", [["console"], ["events", "endpoint"]], ids=" ".join)
def test_strangers_take_neither_the_memory_nor_the_connections_of_a_port(
    words: list[str], start: Callable[..., Any]
) -> None:
    topic = "arn:aws:sns:us-east-1:123456789012:sesq-events"
    process = start(*words, "--port", "0", SESQ_ACCOUNTS__DEFAULT__EVENTS__TOPIC_ARN=topic)
    said = process.stdout.readline()
    port = int(re.fullmatch(r"listening on http://127\.0\.0\.1:(\d+)\n", said)[1])
    # When somebody sends headers without an end, then they are cut off
    with connect(port) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n")
        assert taken(client, [b"X: y\r\n" * 10_000] * 600) < 10_000_000
    # When somebody opens one connection more than there may be, then the first is closed
    with ExitStack() as open_:
        silent = [open_.enter_context(connect(port)) for _ in range(HttpLimits().connections + 1)]
        assert read_to_the_end(silent[0]) == b""
        # And whoever has something to say is answered
        asking = open_.enter_context(connect(port))
        asking.sendall(b"GET /nothing HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        assert read_to_the_end(asking).startswith(b"HTTP/1.1 404")
    process.send_signal(signal.SIGTERM)
    assert process.wait(PATIENCE_SECONDS) in (0, -signal.SIGTERM)


def test_a_sync_from_the_command_line_tells_what_ses_says(
    start: Callable[..., Any], aws: dict[str, str]
) -> None:
    process = start("quota", "sync", **aws)
    shown, log = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 0, log
    assert "account default: sandbox, 0 sent in 24 hours" in shown
    assert "100/second" in shown


def test_status_watches_a_terminal_until_q(
    start: Callable[..., Any], redis_server: EmbeddedRedis, redis: Redis
) -> None:
    # Given a terminal of its own
    ours, theirs = pty.openpty()
    env = os.environ | {"SESQ_REDIS_URL": redis_server.url, "TERM": "xterm", "COLUMNS": "100", "LINES": "40"}
    process = subprocess.Popen(
        [*SESQ, "status", "--watch"], stdin=theirs, stdout=theirs, stderr=theirs, env=env
    )
    os.close(theirs)
    try:
        # When it has drawn, and q is pressed
        seen = b""
        while b"account default" not in seen:
            seen += os.read(ours, 65_536)
        os.write(ours, b"q")
        # Then it ends
        assert process.wait(PATIENCE_SECONDS) == 0
    finally:
        process.kill()
        process.wait()
        os.close(ours)


def test_a_reader_that_has_seen_enough_is_no_error(
    redis: Redis, redis_server: EmbeddedRedis, queue: Any
) -> None:
    for _ in range(300):
        queue()
    env = os.environ | {"SESQ_REDIS_URL": redis_server.url}
    command = [*SESQ, "messages", "list", "--limit", "300", "--json"]
    listing = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env)
    assert listing.stdout is not None
    assert listing.stderr is not None
    listing.stdout.read(10)
    listing.stdout.close()
    said = listing.stderr.read()
    listing.stderr.close()
    listing.wait(PATIENCE_SECONDS)
    assert b"Traceback" not in said


def test_the_entry_point_is_this_command_line() -> None:
    said = subprocess.run(
        [*SESQ, "--version"], capture_output=True, text=True, check=True, timeout=PATIENCE_SECONDS
    )
    assert said.stdout.startswith("sesq ")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_processes_that_are_stopped_while_they_start_end_well(
    number: signal.Signals, start: Callable[..., Any], aws: dict[str, str]
) -> None:
    parent = start("worker", "--processes", "2", **aws)
    children = Path(f"/proc/{parent.pid}/task/{parent.pid}/children")
    until(lambda: len(children.read_text().split()) == 2)
    parent.send_signal(number)
    _, said = parent.communicate(timeout=PATIENCE_SECONDS)
    assert parent.returncode == 0
    assert "Traceback" not in said
