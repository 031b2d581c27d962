"""The console as a server on a port."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import uvicorn

from sesq.config.errors import InputError
from sesq.console.web.app import create_app
from sesq.console.web.site import Site

IDLE_SECONDS = 15
STOP_SECONDS = 5


@dataclass(frozen=True, slots=True)
class Door:
    """Where it listens, and how HTTPS comes to it: by a certificate of its own, or through one of the `proxies`."""

    host: str = "127.0.0.1"
    port: int = 0
    certificate: Path | None = None
    key: Path | None = None
    proxies: tuple[str, ...] = ()

    @property
    def secure(self) -> bool:
        """Whether browsers come by HTTPS."""
        return self.certificate is not None or bool(self.proxies)


def serve(site: Site, door: Door, announce: Callable[[str], None]) -> None:
    """Until SIGTERM or Ctrl-C. Raises InputError for a port or a certificate that cannot be used."""
    for option, file in (("--tls-cert", door.certificate), ("--tls-key", door.key)):
        if file and not os.access(file, os.R_OK):
            raise InputError(f"{option}: {file} cannot be read")
    try:
        config = uvicorn.Config(
            create_app(site),
            log_level="warning",
            access_log=False,
            server_header=False,
            # who is behind a proxy is judged by the proxy's address, and tries by the client's: each where it belongs
            proxy_headers=False,
            ssl_certfile=str(door.certificate) if door.certificate else None,
            ssl_keyfile=str(door.key) if door.key else None,
            timeout_keep_alive=IDLE_SECONDS,
            timeout_graceful_shutdown=STOP_SECONDS,
        )
        config.load()
        family = socket.AF_INET6 if ":" in door.host else socket.AF_INET
        listener = socket.create_server((door.host, door.port), family=family, backlog=128)
    except OSError as error:  # ssl's errors are of this kind as well
        raise InputError(f"{door.host}:{door.port}: cannot listen there: {error}") from error
    with listener:
        name = f"[{door.host}]" if ":" in door.host else door.host
        scheme = "https" if door.certificate else "http"
        announce(f"{scheme}://{name}:{listener.getsockname()[1]}")
        uvicorn.Server(config).run(sockets=[listener])
