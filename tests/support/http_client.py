"""Runs one of our HTTP servers in a thread, and gives clients that send and read bytes."""

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
    """Runs the server until the block ends; gives its URL."""
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        yield server.url
    finally:
        server.should_exit = True
        thread.join(PATIENCE_SECONDS)


def connect(port: int) -> socket.socket:
    """Opens a connection to a port of this machine. The caller closes it."""
    return socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_SECONDS)


def read_to_the_end(client: socket.socket) -> bytes:
    """Returns all bytes until the server closes the connection. Raises TimeoutError if it does not."""
    read = bytearray()
    with contextlib.suppress(ConnectionResetError):
        while piece := client.recv(65_536):
            read += piece
    return bytes(read)


def taken(client: socket.socket, pieces: Iterable[bytes]) -> int:
    """Returns how many bytes could be sent until the server closed the connection."""
    count = 0
    with contextlib.suppress(ConnectionResetError, BrokenPipeError):
        for piece in pieces:
            client.sendall(piece)
            count += len(piece)
    return count
