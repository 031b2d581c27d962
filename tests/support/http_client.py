"""An HTTP server of ours in a thread, and clients that talk to a port byte by byte."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from sesq.worker.http_server import HttpServer

PATIENCE_SECONDS = 120


@contextmanager
def serving(server: HttpServer) -> Iterator[str]:
    """The server's URL, while it runs."""
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        yield server.url
    finally:
        server.should_exit = True
        thread.join(PATIENCE_SECONDS)


def connect(port: int) -> socket.socket:
    """A connection to a port of this machine; close it."""
    return socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_SECONDS)


def read_to_the_end(client: socket.socket) -> bytes:
    """What comes until the server closes the connection; TimeoutError where it does not."""
    read = bytearray()
    with contextlib.suppress(ConnectionResetError):
        while piece := client.recv(65_536):
            read += piece
    return bytes(read)


def taken(client: socket.socket, pieces: Iterable[bytes]) -> int:
    """How many bytes could be sent until the server closed the connection."""
    count = 0
    with contextlib.suppress(ConnectionResetError, BrokenPipeError):
        for piece in pieces:
            client.sendall(piece)
            count += len(piece)
    return count
