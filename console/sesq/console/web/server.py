"""The console as a server on a port."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sesq.config.errors import InputError
from sesq.console.web.app import create_app
from sesq.console.web.site import Site
from sesq.worker.http_server import HttpServer


@dataclass(frozen=True, slots=True)
class ServerAddress:
    """Where the server listens, and whether it has HTTPS: by its own certificate, or through one of the `proxies`."""

    host: str = "127.0.0.1"
    port: int = 0
    certificate: Path | None = None
    key: Path | None = None
    proxies: tuple[str, ...] = ()

    @property
    def secure(self) -> bool:
        """Whether browsers use HTTPS."""
        return self.certificate is not None or bool(self.proxies)


def serve(
    site: Site, address: ServerAddress, announce: Callable[[str], None], *, intake: bool = False
) -> None:
    """Serves until SIGTERM or Ctrl-C. Raises InputError for a port or a certificate that cannot be used."""
    for option, file in (("--tls-cert", address.certificate), ("--tls-key", address.key)):
        if file and not os.access(file, os.R_OK):
            raise InputError(
                f"{option}: {file} cannot be read: check the path, and that this user may read it"
            )
    server = HttpServer(
        create_app(site, intake=intake), address.host, address.port, address.certificate, address.key
    )
    announce(server.url)
    server.run()
