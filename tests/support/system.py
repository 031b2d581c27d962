"""A whole sesq on this machine, for stories: a simulated SES, a real Redis, real worker processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from redis import Redis

from agreement import assert_agreement
from sesq.producer import Message, Outbox
from sesq.queue.careful_redis import connect
from sesq.queue.gate import Gate
from sesq.queue.keys import CLOCK_OFFSET, Keys
from sesq.queue.messages import Messages
from sesq.queue.states import State
from sesq.simulator import Simulator

SENDER = "Shop <shop@example.com>"
PATIENCE_SECONDS = 60.0
AUDIT_SECONDS = 120.0
"""The longest time for an audit of a story's mail: only an auditor without bounds needs longer."""

MOST_SHOWN = 2_000
"""How many characters of each process's output are shown if a story fails."""


def eventually(holds: Callable[[], Any], what: str, patience: float = PATIENCE_SECONDS) -> Any:
    """Waits until `holds` returns something true, and returns it. Fails after `patience` seconds."""
    deadline = time.monotonic() + patience
    while not (seen := holds()):
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {patience:g} s: {what}")
        time.sleep(0.02)
    return seen


class System:
    """All that a story needs. Each worker is a process, as in production."""

    def __init__(self, redis_url: str, ses: Simulator, folder: Path, settings: dict[str, str]) -> None:
        self.ses = ses
        self.redis: Redis = connect(redis_url)
        self.outbox = Outbox(self.redis)
        self.messages = Messages(self.redis)
        self.gate = Gate(self.redis)
        self.keys = Keys("default")
        self.folder = folder
        self.processes: list[subprocess.Popen[bytes]] = []
        self.redis_is_there = True
        """Whether there is a Redis to audit when the story ends: a story may have stopped it."""
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("SESQ_", "AWS_"))},
            "SESQ_REDIS_URL": redis_url,
            "SESQ_SYNC_SECONDS": "1",
            "SESQ_ACCOUNTS__DEFAULT__ENDPOINT_URL": ses.endpoint_url,
            "AWS_REGION": "us-east-1",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_EC2_METADATA_DISABLED": "true",
            **settings,
        }

    # producing

    def mail(self, to: str | Sequence[str] = "ada@example.org", **options: Any) -> Message:
        """Makes a small message."""
        return Message(**{"sender": SENDER, "to": to, "subject": "Hello", "text": "Hello.", **options})

    def send(self, count: int, **options: Any) -> list[str]:
        """Queues `count` small messages, each to another recipient. Returns their ids."""
        return self.outbox.send_many(self.mail(f"person{i}@example.org", **options) for i in range(count))

    # processes

    def start(self, *command: str, **environment: str) -> subprocess.Popen[bytes]:
        """Starts sesq (`worker`, …) or another program, with this system's settings, until the story ends."""
        log = (self.folder / f"process-{len(self.processes)}.log").open("wb")
        process = subprocess.Popen(
            [sys.executable, "-m", *command],
            env={**self.environment, **environment},
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=self.folder,
        )
        log.close()
        self.processes.append(process)
        return process

    def start_workers(
        self, count: int = 1, *options: str, **environment: str
    ) -> list[subprocess.Popen[bytes]]:
        """Starts sesq's own workers."""
        return [self.start("sesq.console", "worker", *options, **environment) for _ in range(count)]

    def start_smtp_worker(self) -> None:
        """Starts a worker that sends by SES's SMTP interface."""
        authority = self.folder / "ca.pem"
        authority.write_text(self.ses.certificate)
        settings = {"HOST": "localhost", "PORT": str(self.ses.smtp_port), "CA_FILE": str(authority)}
        settings |= {"USER": "AKIATEST", "PASSWORD": "anything"}
        environment = {f"SESQ_ACCOUNTS__DEFAULT__SMTP__{name}": value for name, value in settings.items()}
        self.start_workers(1, SESQ_ACCOUNTS__DEFAULT__TRANSPORT="smtp", **environment)

    def run(self, *command: str, check: bool = True) -> str:
        """Runs a command until it ends, and returns what it printed."""
        ran = subprocess.run(
            [sys.executable, "-m", *command],
            env=self.environment,
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )
        assert not check or ran.returncode == 0, (command, ran.returncode, ran.stdout, ran.stderr)
        return ran.stdout

    def log(self, most: int = 0) -> str:
        """Returns the output of all processes; with `most`, the last `most` characters of each."""
        return "\n".join(path.read_text()[-most:] for path in sorted(self.folder.glob("process-*.log")))

    def stop(self) -> None:
        """Ends the processes that still run."""
        for process in self.processes:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        for process in self.processes:
            _wait_or_kill(process)

    # checking

    def audit(self) -> None:
        """Asserts that the auditor finds nothing in any account, and is fast enough. No process may run."""
        started = time.monotonic()
        assert_agreement(self.redis, settled=False)
        took = time.monotonic() - started
        assert took < AUDIT_SECONDS, f"the auditor took {took:.0f} s"

    def count(self, state: State) -> int:
        """Returns the number of messages in that state."""
        return self.messages.counts()[state]

    def wait_for(self, state: State, count: int, patience: float = PATIENCE_SECONDS) -> None:
        """Waits until `count` messages are in the state."""
        eventually(
            lambda: self.count(state) >= count,
            f"{count} {state}; {self.messages.counts()}\n{self.log()[-3000:]}",
            patience,
        )

    def wait_for_sync(self) -> None:
        """Waits until a new sync has read SES. A sync counts mail that is on its way as another program's."""
        for _ in range(2):  # the first of them may have begun before this call
            last = self.redis.hget(self.keys.snapshot, "synced_at")
            eventually(
                lambda last=last: self.redis.hget(self.keys.snapshot, "synced_at") != last,  # type: ignore[misc]
                "a sync",
            )

    def move_clocks(self, seconds: float) -> None:
        """Moves the clocks of SES and of the gate."""
        self.ses.advance(seconds)
        self.redis.incrbyfloat(CLOCK_OFFSET, seconds)
        self.redis.delete(self.keys.sync)
        self.redis.publish(self.keys.wake, "")


def _wait_or_kill(process: subprocess.Popen[bytes]) -> None:
    try:
        process.wait(timeout=10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@contextmanager
def running_system(
    redis: Redis, redis_url: str, folder: Path, *, settings: dict[str, str] | None = None, **account: Any
) -> Iterator[System]:
    """Runs a system. `account`: as the Simulator takes it. `settings`: the SESQ_ variables."""
    redis.flushall()
    with Simulator(**{"production": True, "control_rate": None, **account}) as ses:
        ses.verify("example.com")
        system = System(redis_url, ses, folder, settings or {})
        try:
            yield system
            system.stop()
            if system.redis_is_there:
                system.audit()
        except BaseException:
            sys.stdout.write(system.log(MOST_SHOWN))  # pytest shows it beside the failure
            raise
        finally:
            system.stop()
            system.redis.close()
