"""Starts the workers of the demo: real processes, as the Procfile starts them, that cannot reach the real AWS."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from honcho.environ import parse_procfile  # type: ignore[import-untyped]

from sesq.config.errors import MissingPart, SesqError
from sesq.console.demo.shipped import shipped

REGION = "us-east-1"
SYNC_SECONDS = 2
STOP_SECONDS = 15


class PartFailed(SesqError):
    """A part of the demo did not start, or ended too early; the text has the last line it wrote."""


class Part:
    """One process in a session of its own, so that a Ctrl-C at the terminal reaches only the demo. It writes a log."""

    def __init__(self, name: str, command: list[str], env: Mapping[str, str], directory: Path) -> None:
        self.name, self.log = name, directory / f"{name}.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                command, env=env, cwd=directory, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True,
            )  # fmt: skip

    def check(self) -> None:
        """Raises PartFailed if it has ended."""
        if self.process.poll() is not None:
            last = (self.log.read_text(errors="replace").strip().splitlines() or ["it wrote nothing"])[-1]
            raise PartFailed(f"{self.name} ended with status {self.process.returncode}: {last}")

    def wait(self) -> None:
        """Waits for its end, and kills its session after STOP_SECONDS."""
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


@contextmanager
def workers(count: int, redis_url: str, endpoint_url: str, directory: Path) -> Iterator[list[Part]]:
    """Starts so many processes of the Procfile's `worker` line, and stops all of them at the end."""
    env = _environment(redis_url, endpoint_url, directory)
    command = _worker_command(env["PATH"])
    with ExitStack() as waits, ExitStack() as signals:  # all are told to stop before one is waited for
        parts = []
        for number in range(1, count + 1):
            part = Part(f"worker-{number}", command, env, directory)
            waits.callback(part.wait)
            signals.callback(part.process.terminate)
            parts.append(part)
        yield parts


def _worker_command(path: str) -> list[str]:
    line = parse_procfile(shipped("Procfile").read_text()).processes["worker"]
    program, *arguments = shlex.split(line)
    found = shutil.which(program, path=path)
    if found is None:
        raise MissingPart(f"the Procfile starts {program!r}, which is not on PATH: is sesq installed?")
    return [found, *arguments]


def _environment(redis_url: str, endpoint_url: str, directory: Path) -> dict[str, str]:
    """Returns this environment, without what would lead to another queue or to the real AWS."""
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
