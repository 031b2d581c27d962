"""The real parts: a private Redis, SES on localhost in a process of its own, and the Procfile's workers.

Whatever is started is ended when its context is left, however that happens; nothing listens beyond loopback.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from honcho.environ import parse_procfile  # type: ignore[import-untyped]

from sesq.config.errors import MissingPart, SesqError
from sesq.console.demo.patience import Patience
from sesq.console.demo.shipped import shipped

REGION = "us-east-1"
SYNC_SECONDS = 2
STOP_SECONDS = 15
POLL_SECONDS = 0.05
READY = "listening on "


class PartFailed(SesqError):
    """A part of the demo did not start, or ended too early; the text has the last line it wrote."""


class Part:
    """One process in a session of its own, so that a Ctrl-C at the terminal reaches only the demo. It writes a log."""

    def __init__(self, name: str, command: list[str], env: Mapping[str, str], directory: Path) -> None:
        self.name = name
        self.log = directory / f"{name}.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                command,
                env=env,
                cwd=directory,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def check(self) -> None:
        """Raises PartFailed where it has ended."""
        if self.process.poll() is not None:
            last = (self.log.read_text(errors="replace").strip().splitlines() or ["it wrote nothing"])[-1]
            raise PartFailed(f"{self.name} ended with status {self.process.returncode}: {last}")

    def ask_to_stop(self) -> None:
        """SIGTERM: what it has begun, it ends."""
        if self.process.poll() is None:
            self.process.terminate()

    def wait(self) -> None:
        """Until it has ended; what is then left of its session is killed."""
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


@contextmanager
def simulator(verified: tuple[str, ...], directory: Path, patience: Patience) -> Iterator[str]:
    """A new account: in the sandbox, 1 recipient a second, 200 in 24 hours. The address of SES is what it gives."""
    account = directory / "account.json"
    account.write_text(json.dumps({"max_send_rate": 1, "max_24_hour_send": 200, "verified": verified}))
    command = [sys.executable, "-m", "sesq.simulator", "--port", "0", "--account", str(account)]
    part = Part("simulator", command, os.environ, directory)
    try:
        yield _address(part, patience)
    finally:
        part.ask_to_stop()
        part.wait()


def _address(part: Part, patience: Patience) -> str:
    while not (said := part.log.read_text(errors="replace")).startswith(READY) or "\n" not in said:
        part.check()
        patience.wait(POLL_SECONDS)
    return said.splitlines()[0].removeprefix(READY)


@contextmanager
def workers(count: int, redis_url: str, endpoint_url: str, directory: Path) -> Iterator[list[Part]]:
    """So many processes of the Procfile's `worker` line."""
    env = _environment(redis_url, endpoint_url, directory)
    command = _worker_command(env["PATH"])
    parts: list[Part] = []
    try:
        for number in range(1, count + 1):
            parts.append(Part(f"worker-{number}", command, env, directory))  # noqa: PERF401 - one may fail
        yield parts
    finally:
        for part in parts:
            part.ask_to_stop()
        for part in parts:
            part.wait()


def _worker_command(path: str) -> list[str]:
    line = parse_procfile(shipped("Procfile").read_text()).processes["worker"]
    program, *arguments = shlex.split(line)
    found = shutil.which(program, path=path)
    if found is None:
        raise MissingPart(f"the Procfile starts {program!r}, which is not on PATH: is sesq installed?")
    return [found, *arguments]


def _environment(redis_url: str, endpoint_url: str, directory: Path) -> dict[str, str]:
    """This environment, less what would lead to another queue or to the real AWS."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "SESQ_"))}
    no_settings = directory / "sesq.toml"
    no_settings.touch()
    return kept | {
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), kept.get("PATH", os.defpath)]),
        "SESQ_CONFIG": str(no_settings),
        "SESQ_REDIS_URL": redis_url,
        "SESQ_SYNC_SECONDS": str(SYNC_SECONDS),
        "AWS_ACCESS_KEY_ID": "demo",
        "AWS_SECRET_ACCESS_KEY": "demo",
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ENDPOINT_URL_SESV2": endpoint_url,
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        "NO_PROXY": "127.0.0.1",
        "no_proxy": "127.0.0.1",
    }
