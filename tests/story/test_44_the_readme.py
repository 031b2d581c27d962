"""What a new user types, as it is printed: README's first use, and then the recipe for events beside it. No AWS."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from redis import Redis

from pages import code_on
from sesq.config.embedded import EmbeddedRedis
from sesq.queue.messages import Messages
from sesq.simulator import Simulator

README = "../README.md"
INSTALLS = ("make ", "git ", "python3 -m venv ", "pip ", ". .venv/", "mkdir ../shop")
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


def shell(script: str, folder: Path, environment: dict[str, str]) -> str:
    """Types it in a folder, and returns what was printed."""
    bash = subprocess.Popen(
        ["bash", "-c", script],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        printed, complaints = bash.communicate(timeout=120)
    finally:
        with suppress(ProcessLookupError):  # whatever it has left in the background
            os.killpg(bash.pid, signal.SIGKILL)
    assert bash.returncode == 0, f"{printed}\n{complaints}"
    return printed


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def environment_of(folder: Path) -> dict[str, str]:
    return {"HOME": str(folder), "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}


def test_the_first_real_use_works_as_printed(
    redis: Redis, redis_server: EmbeddedRedis, tmp_path: Path
) -> None:
    # Given an empty folder with the settings of the page, and an SES in the sandbox
    (settings,) = code_on(README, "toml")
    (tmp_path / "sesq.toml").write_text(settings, "utf-8")
    (tmp_path / "order.py").write_text(code_on(README, "python")[0], "utf-8")
    environment = environment_of(tmp_path) | {"SESQ_REDIS_URL": redis_server.url}
    with Simulator() as ses:
        script = as_script(commands()).replace("http://127.0.0.1:9797", ses.endpoint_url)
        # When somebody types the commands in their order
        shell(script, tmp_path, environment)
        # Then the mail to the verified recipient has gone, and the other one waits for its recipient
        states = {record.envelope.recipients: record.state for record in Messages(redis).list()}
        assert states == {("ada@example.org",): "sent", ("bob@example.org",): "held"}
        assert ses.report(region="eu-west-1")["accepted"] == 2


def test_the_recipe_for_events_works_as_printed_beside_the_first_real_use(tmp_path: Path) -> None:
    # Given a user in README's folder, with README's settings and variables, whose simulator takes its port
    (settings,) = code_on(README, "toml")
    (tmp_path / "sesq.toml").write_text(settings, "utf-8")
    (recipe,) = (code for code in code_on("how-to/events.md", "sh") if "sesq simulator" in code)
    for typed, meant in {
        "9897": str(free_port()),
        "sleep 3": "true",
        "curl -X PUT": "curl --retry 60 --retry-delay 1 --retry-connrefused -X PUT",
        "sleep 5": "until sesq messages list --json | grep bounced; do sleep 0.3; done",
    }.items():
        assert typed in recipe
        recipe = recipe.replace(typed, meant)
    with Simulator() as ses:
        environment = environment_of(tmp_path) | {
            "AWS_ENDPOINT_URL_SESV2": ses.endpoint_url,
            "AWS_ACCESS_KEY_ID": "any",
            "AWS_SECRET_ACCESS_KEY": "any",
        }
        # When somebody types the recipe there
        printed = shell(f"set -e\n{recipe}\nwait || true", tmp_path, environment)
        # Then its mail has bounced, and README's simulator has got none
        assert "bob@example.org" in printed
        assert "bounced" in printed
        assert ses.report(region="us-east-1")["accepted"] == 0
