"""Finds the domain for names without one, such as `root`: SESQ_MAIL_DOMAIN, else the host's own."""

from __future__ import annotations

import socket
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

from sesq.config.errors import SesqError
from sesq.config.essentials import Essentials

MAIL_NAME = Path("/etc/mailname")


class NoDomain(SesqError):
    """A name without a domain, on a host that has none."""


def mail_domain(configured: str | None) -> str:
    """Returns the domain for names without one on this host. Raises NoDomain."""
    if configured:
        return configured
    with suppress(OSError, UnicodeError):
        if name := MAIL_NAME.read_text("utf-8").strip():
            return name
    name = socket.getfqdn()
    if "." not in name:
        raise NoDomain(
            f"a name without a domain gets the host's, and this host ({name}) has none: set SESQ_MAIL_DOMAIN"
        )
    return name


@lru_cache(maxsize=1)
def known_domain() -> str:
    """Returns the same by the settings; "" if there is none.

    It is looked up once a process, since a name server may be slow.
    """
    with suppress(NoDomain):
        return mail_domain(Essentials.load().mail_domain)
    return ""
