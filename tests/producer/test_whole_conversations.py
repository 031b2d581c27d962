"""Whole conversations: each command that a mail program may give, and every character of the reply."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis

from busy_account import read_transcript
from sesq.config.embedded import EmbeddedRedis
from sesq.producer import Outbox
from sesq.producer.sendmail import command
from sesq.producer.submission.server import SubmissionServer
from submitting import Line, submission_server

SAID = read_transcript(Path(__file__).parent / "whole_conversations.txt")
"""Conversation -> `> ` what the client says, and below it what is answered."""


def _spoken(lines: list[str]) -> list[str]:
    return [line.removeprefix("> ") for line in lines if line.startswith("> ")]


def _sent(line: str) -> bytes:
    """`\\r\\n` within a line stands for the end of one, LARGE for a mail of 1,001 bytes."""
    whole = line.replace("LARGE", "x" * 999 + "\\r\\n.")
    return (whole.replace("\\r\\n", "\r\n") + "\r\n").encode()


def _plain(reply: str) -> list[str]:
    return re.sub(r"queued as \w+", "queued as ID", reply).split("\n")


@pytest.fixture
def server(redis: Redis) -> Iterator[SubmissionServer]:
    with submission_server(Outbox(redis), max_bytes=1000) as running:
        yield running


@pytest.mark.parametrize("name", [name for name in SAID if name.startswith("submission")])
def test_the_submission_server(server: SubmissionServer, name: str) -> None:
    with Line(server.listeners[0].port) as line:
        told = [line.greeting]
        for said in _spoken(SAID[name]):
            told += [f"> {said}", *_plain(line.say(_sent(said)))]
    assert told == SAID[name]


@pytest.mark.parametrize("name", [name for name in SAID if name.startswith("sendmail")])
def test_the_sendmail_command(
    redis: Redis, redis_server: EmbeddedRedis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("SESQ_REDIS_URL", redis_server.url)
    monkeypatch.setenv("SESQ_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("SESQ_MAIL_DOMAIN", "example.com")
    monkeypatch.chdir(tmp_path)
    spoken, told = _spoken(SAID[name]), list[str]()
    for number in range(len(spoken) + 1):
        answered = io.BytesIO()
        status = command.run(["-bs"], io.BytesIO(b"".join(map(_sent, spoken[:number]))), answered)
        lines = _plain(answered.getvalue().decode("ascii").replace("\r\n", "\n").rstrip("\n"))
        assert status == (75 if number and spoken[number - 1] == "DATA" else 0)
        new = lines[len([line for line in told if not line.startswith("> ")]) :]
        told += [*([f"> {spoken[number - 1]}"] if number else []), *new]
    assert told == SAID[name]
