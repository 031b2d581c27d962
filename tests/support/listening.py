"""Starts `sesq submission` for stories."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from sesq.producer.submission.users import hash_password
from submitting import certificate_files
from system import System, eventually


def listening(s: System, *options: str) -> int:
    """Starts the server on a free port, and returns the port."""
    return _ports(s, *options)[0]


def _ports(s: System, *options: str) -> list[int]:
    s.start("sesq.console", "submission", "--port", "0", *options)
    log = s.folder / f"process-{len(s.processes) - 1}.log"
    expected = 1 + ("--tls-port" in options)

    def announced() -> list[str]:
        lines = [x.removesuffix(" (TLS)") for x in log.read_text().splitlines() if x.startswith("listening")]
        return lines if len(lines) == expected else []

    return [int(line.rpartition(":")[2]) for line in eventually(announced, s.log())]


@dataclass(frozen=True)
class Servers:
    """The servers of the how-tos: one on loopback for everybody, and one that wants a password and TLS."""

    port: int
    starttls_port: int
    tls_port: int
    certificate: Path

    def fill_in(self, how_to: str) -> str:
        """Returns a how-to's text with the addresses, password and files of these servers in place of its own."""
        ours: dict[str, object] = {
            "2525": self.port,
            "587": self.starttls_port,
            "465": self.tls_port,
            "mail.example.com": "localhost",
            "/etc/ssl/certs/ca-certificates.crt": self.certificate,
        }
        return re.sub("|".join(map(re.escape, ours)), lambda found: str(ours[found[0]]), how_to)


def servers_of_the_how_tos(s: System, folder: Path) -> Servers:
    """Starts both. The second has the user `shop` with `the-password`; its files are in `folder`."""
    certificate, key = certificate_files(folder)
    users = folder / "users.toml"
    users.write_text(
        f'[shop]\npassword = "{hash_password("the-password")}"\nsenders = ["shop@example.com"]\n'
    )
    options = (
        "--tls-cert",
        str(certificate),
        "--tls-key",
        str(key),
        "--users",
        str(users),
        "--tls-port",
        "0",
    )
    return Servers(listening(s), *_ports(s, *options), certificate)
