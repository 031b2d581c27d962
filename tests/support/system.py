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
"""Only an auditor that walks without bounds needs that long for a story's mail, however busy the machine is."""

MOST_SHOWN = 2_000
"""How many characters of each process are shown when a story fails."""


def eventually(holds: Callable[[], Any], what: str, patience: float = PATIENCE_SECONDS) -> Any:
    """Looks until it holds; fails after `patience` seconds, which only a broken system needs."""
    deadline = time.monotonic() + patience
    while not (seen := holds()):
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {patience:g} s: {what}")
        time.sleep(0.02)
    return seen


class System:
    """What a story needs at hand. Workers are processes of their own, as in production."""

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
        """Whether there is one to look into when the story ends: by then a story may have taken it away."""
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
        """A small message."""
        return Message(**{"sender": SENDER, "to": to, "subject": "Hello", "text": "Hello.", **options})

    def send(self, count: int, **options: Any) -> list[str]:
        """Queues `count` small messages, each to somebody else."""
        return self.outbox.send_many(self.mail(f"person{i}@example.org", **options) for i in range(count))

    # processes

    def start(self, *command: str, **environment: str) -> subprocess.Popen[bytes]:
        """A process of sesq (`worker`, …) or of another program, with this system's settings; ended with the story."""
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
        """sesq's own workers."""
        return [self.start("sesq.console", "worker", *options, **environment) for _ in range(count)]

    def start_smtp_worker(self) -> None:
        """One that sends by SES's SMTP interface."""
        authority = self.folder / "ca.pem"
        authority.write_text(self.ses.certificate)
        settings = {"HOST": "localhost", "PORT": str(self.ses.smtp_port), "CA_FILE": str(authority)}
        settings |= {"USER": "AKIATEST", "PASSWORD": "anything"}
        environment = {f"SESQ_ACCOUNTS__DEFAULT__SMTP__{name}": value for name, value in settings.items()}
        self.start_workers(1, SESQ_ACCOUNTS__DEFAULT__TRANSPORT="smtp", **environment)

    def run(self, *command: str, check: bool = True) -> str:
        """A command that ends by itself; what it printed."""
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
        """What all processes said; with `most`, the last so many characters of each."""
        return "\n".join(path.read_text()[-most:] for path in sorted(self.folder.glob("process-*.log")))

    def stop(self) -> None:
        """Ends what is still running."""
        for process in self.processes:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        for process in self.processes:
            _wait_or_kill(process)

    # looking

    def audit(self) -> None:
        """Nothing that any account has in Redis is wrong, now that no process runs. Within its time."""
        started = time.monotonic()
        assert_agreement(self.redis, settled=False)
        took = time.monotonic() - started
        assert took < AUDIT_SECONDS, f"the auditor took {took:.0f} s"

    def count(self, state: State) -> int:
        """Messages in that state."""
        return self.messages.counts()[state]

    def wait_for(self, state: State, count: int, patience: float = PATIENCE_SECONDS) -> None:
        """Until so many messages are in the state."""
        eventually(
            lambda: self.count(state) >= count,
            f"{count} {state}; {self.messages.counts()}\n{self.log()[-3000:]}",
            patience,
        )

    def wait_for_sync(self) -> None:
        """Until SES was read anew. A sync while mail is on its way takes that mail for another program's."""
        for _ in range(2):  # the first may have asked SES before
            last = self.redis.hget(self.keys.snapshot, "synced_at")
            eventually(
                lambda last=last: self.redis.hget(self.keys.snapshot, "synced_at") != last,  # type: ignore[misc]
                "a sync",
            )

    def move_clocks(self, seconds: float) -> None:
        """Lets time pass at SES and for the gate."""
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
    """`account` as the Simulator takes it; `settings` as SESQ_ variables."""
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
