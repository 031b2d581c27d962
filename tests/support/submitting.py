"""A submission server inside the test process, and a client that says exactly the bytes it is told."""

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
    """A loop whose clock a test moves on."""

    ahead_seconds = 0.0

    def time(self) -> float:
        return super().time() + self.ahead_seconds


def pass_seconds(server: SubmissionServer, seconds: float) -> None:
    """Lets time pass for the server: what was to happen meanwhile happens now."""
    listener = server.listeners[0]._accepting
    assert listener is not None
    loop = listener.get_loop()

    def move() -> None:
        loop.ahead_seconds += seconds  # type: ignore[attr-defined]

    loop.call_soon_threadsafe(move)


@contextmanager
def submission_server(
    outbox: Any, *, open_to_the_world: bool = False, **options: Any
) -> Iterator[SubmissionServer]:
    """A running server on free ports. `open_to_the_world`: it asks of loopback what it asks of any other address."""
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
    """Until every conversation has ended."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


def certificate_files(folder: Path) -> tuple[Path, Path]:
    """A certificate for localhost, and its key."""
    made = Certificate("localhost")
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    certificate.write_text(made.pem)
    key.write_bytes(made._key)
    return certificate, key


class Line:
    """A connection. `say` sends bytes as they are and returns the server's reply, "" when it has hung up."""

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
        """One reply, all its lines."""
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
        """Waits for a moment, and does without a reply where none is due."""
        select.select([self._socket], [], [], 0.02)

    def rest(self) -> str:
        """What still comes once we say no more."""
        try:
            self._socket.shutdown(socket.SHUT_WR)
            return self._file.read().decode("ascii")
        except OSError:
            return ""

    def close(self) -> None:
        self._file.close()
        self._socket.close()

    def begin(self, sender: str = "shop@example.com", *recipients: str) -> str:
        """Up to DATA; its reply."""
        self.say(b"EHLO test\r\n")
        self.say(f"MAIL FROM:<{sender}>\r\n".encode())
        for recipient in recipients or ("ada@example.org",):
            self.say(f"RCPT TO:<{recipient}>\r\n".encode())
        return self.say(b"DATA\r\n")
