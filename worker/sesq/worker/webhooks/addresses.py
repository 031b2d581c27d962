"""Finds the addresses of an endpoint, and refuses those inside a private network.

A name is resolved once, and the connection goes to an address that was checked: a name that answers differently the
second time (DNS rebinding) reaches nothing.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from sesq.config.webhook_settings import is_loopback

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolve = Callable[[str, int], Sequence[str]]

MOST_ADDRESSES = 3
"""So many of a name's addresses are tried."""
NOT_PUBLIC = (
    ipaddress.ip_network("168.63.129.16/32"),  # Azure's own services, at an address of the public range
    ipaddress.ip_network("192.0.0.0/24"),  # for protocols (RFC 6890), and the metadata of Oracle's cloud
)
"""What `is_global` lets through, in some version of Python or in all."""
NAT64 = (ipaddress.ip_network("64:ff9b::/96"), ipaddress.ip_network("64:ff9b:1::/48"))
"""Networks whose last 32 bits are an IPv4 address (RFC 6052, RFC 8215)."""


class NotReached(Exception):
    """The endpoint could not be asked, or its answer was not whole in time. The text says why, without the URL."""


class RefusedAddress(NotReached):
    """The endpoint is at an address that requests may not go to."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where requests of one URL go: `host` is for the certificate and the Host header, `target` the path."""

    is_tls: bool
    host: str
    port: int
    target: str

    @classmethod
    def of(cls, url: str) -> Place:
        """Reads a URL that the settings have checked."""
        parts = urlsplit(url)
        is_tls = parts.scheme == "https"
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        return cls(is_tls, parts.hostname or "", parts.port or (443 if is_tls else 80), target)

    @property
    def authority(self) -> str:
        """What the Host header says."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.is_tls else 80) else f"{host}:{self.port}"


def resolve(host: str, port: int) -> list[str]:
    """The addresses of a name, by the system's resolver. Raises OSError."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(address[0]) for *_, address in found]


def checked_addresses(place: Place, *, allow_private: bool, resolve: Resolve = resolve) -> list[str]:
    """The addresses to connect to. Raises RefusedAddress where one of them is private, NotReached where none is."""
    try:
        found = list(dict.fromkeys(resolve(place.host, place.port)))
    except (OSError, UnicodeError) as error:
        raise NotReached(f"the name {place.host} could not be resolved") from error
    for each in found:
        if not _is_allowed(ipaddress.ip_address(each), place, allow_private=allow_private):
            raise RefusedAddress(
                f"{place.host} is at {each}, which is no public address: allow_private = true lets requests go there"
            )
    if not found:
        raise NotReached(f"the name {place.host} has no address")
    return found[:MOST_ADDRESSES]


def _is_allowed(address: Address, place: Place, *, allow_private: bool) -> bool:
    if is_loopback(place.host):  # the settings name this machine, and no other does
        return address.is_loopback
    return allow_private or is_public(address)


def is_public(address: Address) -> bool:
    """Whether an address is one of the Internet's; an IPv6 address that holds an IPv4 address is judged by both."""
    inner = _inner(address)
    if inner is not None:
        return is_public(inner)
    named = any(address in network for network in NOT_PUBLIC)
    return address.is_global and not address.is_multicast and not named


def _inner(address: Address) -> ipaddress.IPv4Address | None:
    """The IPv4 address that an IPv6 address leads to."""
    if isinstance(address, ipaddress.IPv4Address):
        return None
    if any(address in network for network in NAT64):
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    teredo = address.teredo
    return address.ipv4_mapped or address.sixtofour or (teredo[1] if teredo else None)
