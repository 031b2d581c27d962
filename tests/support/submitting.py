"""A submission server inside the test process, and a client that sends exactly the bytes it is given."""

from __future__ import annotations

import asyncio
import select
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sesq.producer.submission.server import Options, SubmissionServer
from sesq.simulator.smtp.certificate import Certificate

PATIENCE_SECONDS = 20.0


class MovableLoop(asyncio.SelectorEventLoop):
    """An event loop with a clock that a test moves."""

    ahead_seconds = 0.0

    def time(self) -> float:
        return super().time() + self.ahead_seconds


def pass_seconds(server: SubmissionServer, seconds: float) -> None:
    """Moves the server's clock. All that is due until then has happened when this returns."""
    listener = server.listeners[0]._accepting
    assert listener is not None
    loop = listener.get_loop()

    async def move() -> None:
        loop.ahead_seconds += seconds  # type: ignore[attr-defined]
        for _ in range(2):  # what is due runs in the loop's next step, after what is ready
            await asyncio.sleep(0)

    asyncio.run_coroutine_threadsafe(move(), loop).result(PATIENCE_SECONDS)


@contextmanager
def submission_server(
    outbox: Any, *, open_to_the_world: bool = False, **options: Any
) -> Iterator[SubmissionServer]:
    """Runs a server on free ports. `open_to_the_world`: it treats loopback like any other address."""
    server = SubmissionServer(outbox, Options(**{"port": 0, **options}))
    if open_to_the_world:
        for listener in server.listeners:
            listener.loopback = False
    loop = MovableLoop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        asyncio.run_coroutine_threadsafe(server.start(), loop).result(PATIENCE_SECONDS)
        yield server
    finally:
        asyncio.run_coroutine_threadsafe(server.stop(), loop).result(PATIENCE_SECONDS)
        asyncio.run_coroutine_threadsafe(_quiet(), loop).result(PATIENCE_SECONDS)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(PATIENCE_SECONDS)
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()


async def _quiet() -> None:
    """Cancels all other tasks, and waits until they have ended."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


def certificate_files(folder: Path) -> tuple[Path, Path]:
    """Makes the files of a certificate for localhost, and of its key."""
    made = Certificate("localhost")
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    certificate.write_text(made.pem)
    key.write_bytes(made._key)
    return certificate, key


class Line:
    """A connection. `say` sends bytes as they are and returns the server's reply, "" if it has hung up."""

    def __init__(self, port: int, source: str = "127.0.0.1") -> None:
        self._socket = socket.create_connection(
            ("127.0.0.1", port), timeout=PATIENCE_SECONDS, source_address=(source, 0)
        )
        self._file = self._socket.makefile("rb")
        self.greeting = self.reply()

    def __enter__(self) -> Line:  # noqa: PYI034  (Self is not in Python 3.10)
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def say(self, data: bytes) -> str:
        try:
            self._socket.sendall(data)
        except OSError:
            return ""
        return self.reply()

    def reply(self) -> str:
        """Reads all lines of one reply."""
        lines: list[str] = []
        while not lines or lines[-1][3:4] == "-":
            try:
                line = self._file.readline()
            except OSError:
                line = b""
            if not line:
                break
            lines.append(line.decode("ascii").rstrip("\r\n"))
        return "\n".join(lines)

    def await_reply(self) -> None:
        """Waits a moment for a reply, and goes on if none comes."""
        select.select([self._socket], [], [], 0.02)

    def rest(self) -> str:
        """Sends no more, and returns what still comes."""
        try:
            self._socket.shutdown(socket.SHUT_WR)
            return self._file.read().decode("ascii")
        except OSError:
            return ""

    def close(self) -> None:
        self._file.close()
        self._socket.close()

    def begin(self, sender: str = "shop@example.com", *recipients: str) -> str:
        """Begins a mail up to DATA, and returns the reply to that."""
        self.say(b"EHLO test\r\n")
        self.say(f"MAIL FROM:<{sender}>\r\n".encode())
        for recipient in recipients or ("ada@example.org",):
            self.say(f"RCPT TO:<{recipient}>\r\n".encode())
        return self.say(b"DATA\r\n")
