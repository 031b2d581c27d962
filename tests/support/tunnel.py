"""An HTTP proxy that makes tunnels (CONNECT), and records their hosts."""

from __future__ import annotations

import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field


@dataclass
class Tunnels:
    """The proxy. Every tunnel leads to `target`, for whatever host it was asked."""

    port: int
    target: tuple[str, int]
    asked: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


class _Handler(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        tunnels: Tunnels = self.server.tunnels  # type: ignore[attr-defined]
        tunnels.asked.append(self.rfile.readline().decode().rpartition(" ")[0])
        while self.rfile.readline().strip():
            """The headers."""
        with socket.create_connection(tunnels.target) as there:
            self.wfile.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            back = threading.Thread(target=_copy, args=(there, self.connection))
            back.start()
            _copy(self.connection, there)
            back.join()


def _copy(source: socket.socket, to: socket.socket) -> None:
    with suppress(OSError):  # either side may end the tunnel at any time
        while data := source.recv(65536):
            to.sendall(data)
        to.shutdown(socket.SHUT_WR)


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True


@contextmanager
def tunnels_to(target: tuple[str, int]) -> Iterator[Tunnels]:
    """Runs a proxy until the block ends. A tunnel ends with its client."""
    with _Server(("127.0.0.1", 0), _Handler) as server:
        server.tunnels = tunnels = Tunnels(server.server_address[1], target)  # type: ignore[attr-defined]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield tunnels
        finally:
            server.shutdown()
            thread.join()
