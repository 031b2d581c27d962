"""The embedded Redis: a private server for the processes of one user, with its data under one directory.

The first process starts it, and others join. It stops when the last of them is gone, even if that one was killed
(see `redis_supervisor`); what is queued stays on disk. It listens on a unix socket in a directory that only its user
may enter, and on no TCP port. It answers a write only when the data is on the disk. If the disk is full, it ends, so
that it accepts nothing then.

    DIRECTORY/redis.sock    the socket
    DIRECTORY/users.lock    every user of the server holds a shared lock on it
    DIRECTORY/start.lock    held while one process checks whether the server runs, and starts it
    DIRECTORY/server.log    the server's own log
    DIRECTORY/written-by    the name and version of the server that wrote the files last
"""

from __future__ import annotations

import fcntl
import logging
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING
from urllib.parse import quote

from redis import Redis, exceptions
from redis.backoff import NoBackoff
from redis.retry import Retry

from sesq.config import redis_supervisor
from sesq.config.errors import MissingPart, QueueUnavailable, SettingsError
from sesq.config.server_binary import Server, ask, find_server, read_server

if TYPE_CHECKING:
    from typing_extensions import Self

log = logging.getLogger("sesq.redis")

SOCKET_PATH_BYTES = 103  # what the smallest sockaddr_un (of macOS) holds, without the closing zero
START_SECONDS = 60  # reading a large append-only file takes a while
STOP_SECONDS = 10
POLL_SECONDS = 0.01
WRITTEN_BY = "written-by"


class EmbeddedRedis:
    """Keeps the server of `directory` running, as a context manager. `server` is an executable; None: one is found.

    Raises `MissingPart` if no server can run here, `SettingsError` if the directory cannot be used, and
    `QueueUnavailable` if the server does not start.
    """

    def __init__(self, directory: Path | str, server: Path | str | None = None) -> None:
        self.directory = Path(directory).absolute()
        self.socket = self.directory / "redis.sock"
        self._executable = server
        self._share: int | None = None

    @property
    def url(self) -> str:
        """The address for a client: `unix:///…/redis.sock`."""
        return f"unix://{quote(str(self.socket))}"

    def start(self) -> Self:
        """Joins the server, or starts it. A second call does nothing."""
        if self._share is None:
            _make_private(self.directory, self.socket)
            self._share = _shared_lock(self.directory / "users.lock")
            try:
                self._join_or_launch()
            except BaseException:
                self.stop()
                raise
        return self

    def stop(self) -> None:
        """Leaves the server. If nobody else uses it, it has ended when this returns."""
        if self._share is None:
            return
        os.close(self._share)
        self._share = None
        deadline = time.monotonic() + STOP_SECONDS
        while self._ping() is not None:
            if self._has_users() or time.monotonic() > deadline:
                return
            time.sleep(POLL_SECONDS)
        os.close(_shared_lock(self.directory / "users.lock"))  # granted when the server has ended

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _join_or_launch(self) -> None:
        with _exclusive_lock(self.directory / "start.lock"):
            found = self._ping() is not None
            if not found:
                server = self._find()
                self._launch(server)
                (self.directory / WRITTEN_BY).write_text(f"{server}\n")
            self._wait_until_loaded()
            if found:
                log.debug("joined the embedded Redis at %s", self.socket)

    def _find(self) -> Server:
        """Finds a server that can read the files here. Another one would not start, or would start empty."""
        writer = self._writer()
        if self._executable is None:
            return find_server(writer)
        server = ask(Path(self._executable))
        if server is None:
            raise MissingPart(
                f"{self._executable} is no Redis or Valkey server that runs here; name another executable"
            )
        if writer and not server.can_read(writer):
            raise MissingPart(
                f"the queue in {self.directory} was written by {writer}: {server} cannot read it; "
                f"install {writer} or a newer one"
            )
        return server

    def _writer(self) -> Server | None:
        try:
            return read_server(self.directory, (self.directory / WRITTEN_BY).read_text().strip())
        except OSError:
            return None

    def _launch(self, server: Server) -> None:
        """Starts the supervisor, which starts the server, in a session of its own: Ctrl-C here does not stop it."""
        command = [sys.executable, "-I", "-S", redis_supervisor.__file__, str(self.directory / "users.lock")]
        command += [str(server.path), *self._options()]
        log.log(
            logging.DEBUG if self._writer() else logging.INFO,  # it is told once for each folder
            "no redis_url is set: starting the embedded Redis (%s) with its data in %s",
            server,
            self.directory,
        )
        with (self.directory / "server.log").open("ab") as output:
            launched = subprocess.Popen(
                command,
                bufsize=0,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=output,
                start_new_session=True,
            )
        launched.wait()  # the supervisor went to the background
        assert launched.stdout is not None
        with launched.stdout as supervisor_lives:
            os.set_blocking(supervisor_lives.fileno(), False)
            while self._ping() is None:
                if supervisor_lives.read(1) == b"":  # the pipe ends when the supervisor does
                    raise self._did_not_start()
                time.sleep(POLL_SECONDS)

    def _options(self) -> list[str]:
        options = {
            "port": "0",
            "unixsocket": str(self.socket),
            "unixsocketperm": "700",
            "dir": str(self.directory),
            "appendonly": "yes",
            "appendfsync": "always",  # a write is on the disk before its answer
            "save": "",
            "maxmemory-policy": "noeviction",
        }
        return [word for name, value in options.items() for word in (f"--{name}", value)]

    def _wait_until_loaded(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not (answer := self._ping()):
            if answer is None or time.monotonic() > deadline:
                raise self._did_not_start()
            time.sleep(POLL_SECONDS)

    def _ping(self) -> bool | None:
        """Asks the server. True: it serves. False: it is there, but still reads its data. None: nobody listens."""
        client = Redis(
            unix_socket_path=str(self.socket),
            socket_timeout=STOP_SECONDS,
            retry=Retry(NoBackoff(), 0),
            protocol=2,
        )
        try:
            return bool(client.ping())
        except (exceptions.BusyLoadingError, exceptions.TimeoutError):
            return False
        except exceptions.ConnectionError:
            return None
        except (
            exceptions.ResponseError
        ):  # it is there, but refuses commands: it cannot write, or has no memory left
            return True
        finally:
            client.close()

    def _has_users(self) -> bool:
        """Whether another process uses the server. False while the supervisor stops it."""
        with (self.directory / "users.lock").open("rb") as users:
            return not _try_lock(users.fileno(), fcntl.LOCK_EX) and _try_lock(users.fileno(), fcntl.LOCK_SH)

    def _did_not_start(self) -> QueueUnavailable:
        file = self.directory / "server.log"
        lines = file.read_text(errors="replace").splitlines() or ["it said nothing"]
        return QueueUnavailable(f"the embedded Redis did not start: {lines[-1]} (see {file})")


def _make_private(directory: Path, socket: Path) -> None:
    if len(os.fsencode(socket)) > SOCKET_PATH_BYTES:
        raise SettingsError(
            f"{socket}: too long for a socket; allowed: {SOCKET_PATH_BYTES} bytes. Set a shorter SESQ_DATA_DIR"
        )
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        directory.chmod(0o700)  # fails for a directory of another user's
    except OSError as error:
        raise SettingsError(
            f"{directory}: cannot be the embedded Redis's private directory: {error.strerror}; "
            "set SESQ_DATA_DIR to a folder of yours, or SESQ_REDIS_URL"
        ) from error


def _shared_lock(file: Path) -> int:
    """Takes a shared lock. Waits while a server that nobody uses any more is being stopped."""
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_SH)
    return descriptor


@contextmanager
def _exclusive_lock(file: Path) -> Iterator[None]:
    with file.open("ab") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield


def _try_lock(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
