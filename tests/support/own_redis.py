"""A Redis server that a story may stop, kill and start again on its append-only file."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from redis import Redis
from redis.exceptions import ConnectionError as NotThere
from redis.exceptions import RedisError

from sesq.config.server_binary import in_wheels
from sesq.queue.careful_redis import connect
from system import eventually


class OwnRedis:
    """The server. It listens on a unix socket in `folder`, whose path must be short."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.url = f"unix://{folder}/redis.sock"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Starts the server, and returns when it answers with the data of its file."""
        server = os.environ.get("SESQ_TEST_REDIS_SERVER") or next(in_wheels())
        options = {"port": "0", "unixsocket": f"{self.folder}/redis.sock", "dir": str(self.folder)}
        options |= {"appendonly": "yes", "appendfsync": "always", "save": ""}
        words = [word for name, value in options.items() for word in (f"--{name}", value)]
        self.process = subprocess.Popen([server, *words], stdout=subprocess.DEVNULL)
        eventually(self._answers, "Redis answers")

    def stop(self, number: int = signal.SIGTERM) -> None:
        """Stops the server, and returns when it has ended. SIGKILL is a crash."""
        assert self.process is not None
        self.process.send_signal(number)
        self.process.wait()

    def freeze(self) -> None:
        """Stops it from answering. Its connections stay."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Lets it answer again, also what it was asked meanwhile."""
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)

    def client(self) -> Redis:
        return connect(self.url)

    def _answers(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, "the server has ended"
        try:
            with self.client() as client:
                return bool(client.ping())
        except (NotThere, RedisError):
            return False


@contextmanager
def own_redis(folder: Path) -> Iterator[OwnRedis]:
    server = OwnRedis(folder)
    server.start()
    try:
        yield server
    finally:
        if server.process is not None and server.process.poll() is None:
            server.process.kill()
            server.process.wait()
