"""Opens listening sockets. Its error names the one that cannot be opened."""

from __future__ import annotations

import socket


class CannotListen(OSError):
    """A socket cannot be opened. It names what wanted to listen, and where."""

    def __init__(self, what: str, host: str, port: int, cause: OSError) -> None:
        super().__init__(cause.errno, f"{what}: cannot listen on {host}:{port}: {cause.strerror or cause}")

    def __str__(self) -> str:
        return str(self.strerror)


def listen(what: str, host: str, port: int, backlog: int = 128) -> socket.socket:
    """Opens a listening socket for `what`. Port 0 takes a free one. Raises CannotListen."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=backlog)
    except OSError as error:
        raise CannotListen(what, host, port, error) from error
