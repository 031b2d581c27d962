"""The first real use as README prints it: its settings and its commands, in an empty folder, without AWS."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from redis import Redis

from pages import code_on
from sesq.config.embedded import EmbeddedRedis
from sesq.queue.messages import Messages
from sesq.simulator import Simulator

README = "../README.md"
INSTALLS = ("make ", "git ", "python3 -m venv ", "pip ", ". .venv/")
"""CI has done this: the commands are those of its own environment."""
INSTEAD = {
    "sesq simulator": "true",  # the test's own, on a free port
    "sesq worker --processes 2": "sesq worker --processes 2 --burst",
    "sesq status --watch": "sesq status",
}


def commands() -> list[str]:
    lines = "\n".join(code_on(README, "console")).splitlines()
    typed = [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]
    return [line for line in typed if not line.startswith(INSTALLS)]


def as_script(lines: list[str]) -> str:
    text = "\n".join(["set -ex", *lines])
    for typed, meant in INSTEAD.items():
        assert typed in text
        text = text.replace(typed, meant)
    return text


def test_the_first_real_use_works_as_printed(
    redis: Redis, redis_server: EmbeddedRedis, tmp_path: Path
) -> None:
    # Given an empty folder with the settings of the page, and an SES in the sandbox
    (settings,) = code_on(README, "toml")
    (tmp_path / "sesq.toml").write_text(settings, "utf-8")
    environment = {
        "HOME": str(tmp_path),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "SESQ_REDIS_URL": redis_server.url,
    }
    with Simulator() as ses:
        script = as_script(commands()).replace("http://127.0.0.1:9797", ses.endpoint_url)
        # When somebody types the commands in their order
        ran = subprocess.run(
            ["bash", "-c", script],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert ran.returncode == 0, f"{ran.stdout}\n{ran.stderr}"
        # Then the mail to the verified recipient has gone, and the other one waits for its recipient
        states = {record.envelope.recipients: record.state for record in Messages(redis).list()}
        assert states == {("ada@example.org",): "sent", ("bob@example.org",): "held"}
        assert ses.report(region="eu-west-1")["accepted"] == 1
