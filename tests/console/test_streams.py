"""Lists, JSON and arguments in any locale, and on a full disk: real processes, since it is their streams."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from sesq.config.embedded import EmbeddedRedis
from sesq.producer import Message, Outbox

Sesq = Callable[..., "subprocess.CompletedProcess[bytes]"]
SUBJECT = "Gr\u00fc\u00dfe \u4f60\u597d"


@pytest.fixture
def sesq(redis_server: EmbeddedRedis, redis: object, tmp_path: Path) -> Sesq:
    """`sesq("status", PYTHONIOENCODING="latin-1")`: a process, and what it wrote."""

    def run(
        *words: str | bytes, stdout: int = subprocess.PIPE, **environment: str
    ) -> subprocess.CompletedProcess[bytes]:
        env = {**os.environ, "SESQ_REDIS_URL": redis_server.url, "HOME": str(tmp_path), **environment}
        command = [sys.executable, "-m", "sesq.console", *words]
        return subprocess.run(
            command, env=env, stdout=stdout, stderr=subprocess.PIPE, check=False, cwd=tmp_path
        )

    return run


def queue(redis_server: EmbeddedRedis, subject: str) -> str:
    message = Message(sender="shop@example.com", to=["ada@example.org"], subject=subject, text="Hello.")
    return Outbox(redis_server.url).send(message)


@pytest.mark.parametrize("encoding", ["latin-1", "ascii", "utf-8"])
def test_no_character_ends_a_list(sesq: Sesq, redis_server: EmbeddedRedis, encoding: str) -> None:
    id = queue(redis_server, SUBJECT)
    listed = sesq("messages", "list", PYTHONIOENCODING=encoding)
    assert (listed.returncode, id.encode() in listed.stdout) == (0, True), listed.stderr
    shown = sesq("messages", "show", id, "--json", PYTHONIOENCODING=encoding)
    assert json.loads(shown.stdout)["subject"] == SUBJECT


@pytest.mark.parametrize("raw", ["Gr\u00fc\u00dfe".encode(), "Gr\u00fc\u00dfe".encode("latin-1")])
@pytest.mark.parametrize("locale", ["C", "de_DE.ISO-8859-1"])
def test_arguments_are_text_in_whatever_bytes_they_come(sesq: Sesq, raw: bytes, locale: str) -> None:
    words = (
        "send",
        "--from",
        "shop@example.com",
        "--to",
        "ada@example.org",
        "--text",
        "Hi",
        "--subject",
        raw,
    )
    sent = sesq(*words, LC_ALL=locale)
    assert sent.returncode == 0, sent.stderr
    shown = sesq("messages", "show", sent.stdout.decode().strip(), "--json")
    assert json.loads(shown.stdout)["subject"] == "Gr\u00fc\u00dfe"


def test_a_full_disk_is_told(sesq: Sesq, redis_server: EmbeddedRedis) -> None:
    queue(redis_server, "Hi")
    with Path("/dev/full").open("wb") as full:
        ran = sesq("messages", "list", stdout=full.fileno())
    assert (ran.returncode, ran.stderr) == (
        1,
        b"sesq: standard output cannot be written: No space left on device\n",
    )
