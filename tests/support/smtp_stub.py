"""An SMTP server that gives the replies a test chooses, also those that the simulator of SES never gives."""

from __future__ import annotations

import socketserver
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

HANG_UP = "hang up"
"""In place of a reply: the server closes the connection."""


@dataclass
class SmtpStub:
    """The server. `stub.says(DATA="454 …")` sets the next reply to a command, to the mail (`.`), or the `GREETING`."""

    port: int = 0
    scripted: dict[str, deque[str]] = field(default_factory=dict)
    heard: list[str] = field(default_factory=list)
    mails: list[bytes] = field(default_factory=list)
    connections: int = 0
    open: int = 0
    most_open: int = 0
    before_a_line: Callable[[], None] = lambda: None
    """Called before each line of a reply is sent."""
    offers: tuple[str, ...] = ("8BITMIME", "AUTH PLAIN LOGIN")

    def says(self, **replies: str) -> None:
        for step, reply in replies.items():
            self.scripted.setdefault(step, deque()).append(reply)

    def after_the_dot(self, reply: str) -> None:
        self.says(**{".": reply})

    def reply(self, step: str, usual: str) -> str:
        return self.scripted[step].popleft() if self.scripted.get(step) else usual


class _Handler(socketserver.StreamRequestHandler):
    server: _Server

    def handle(self) -> None:
        stub = self.server.stub
        with self.server.lock:
            stub.connections += 1
            stub.open += 1
            stub.most_open = max(stub.most_open, stub.open)
        try:
            if self._say(stub.reply("GREETING", "220 stub ESMTP")):
                self._converse(stub)
        except OSError:
            pass  # the client has gone
        finally:
            with self.server.lock:
                stub.open -= 1

    def _converse(self, stub: SmtpStub) -> None:
        while line := self.rfile.readline():
            command = line.decode().strip()
            verb = command.split(" ")[0].split(":")[0].upper()
            stub.heard.append(command if verb != "AUTH" else "AUTH")
            if verb == "QUIT" or not self._say(stub.reply(verb, self._usual(stub, verb))):
                return
            if verb == "DATA" and self._granted and not self._take_mail(stub):
                return

    def _usual(self, stub: SmtpStub, verb: str) -> str:
        if verb == "EHLO":
            return "\r\n".join(["250-stub", *(f"250-{offer}" for offer in stub.offers), "250 Ok"])
        return {"DATA": "354 End data", "AUTH": "235 Authentication successful."}.get(verb, "250 Ok")

    def _take_mail(self, stub: SmtpStub) -> bool:
        lines = []
        while (line := self.rfile.readline()) != b".\r\n":
            if not line:
                return False
            lines.append(line)
        stub.mails.append(b"".join(lines))
        return self._say(stub.reply(".", f"250 Ok stub-{len(stub.mails)}"))

    def _say(self, reply: str) -> bool:
        if reply == HANG_UP:
            return False
        self._granted = reply.startswith("354")
        for line in reply.split("\r\n"):
            self.server.stub.before_a_line()
            self.wfile.write(line.encode() + b"\r\n")
        # a greeting or a reply of 421 ends the session (RFC 5321, 3.8)
        return not reply.startswith("421")


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True
    stub: SmtpStub
    lock: threading.Lock


@contextmanager
def smtp_stub() -> Iterator[SmtpStub]:
    with _Server(("127.0.0.1", 0), _Handler) as server:
        server.stub, server.lock = SmtpStub(server.server_address[1]), threading.Lock()
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server.stub
        finally:
            server.shutdown()
            thread.join()
