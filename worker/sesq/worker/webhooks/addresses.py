"""Finds the addresses of an endpoint, and refuses those inside a private network.

A name is resolved once, and the connection goes to an address that was checked. So another answer the second
time (DNS rebinding) has no effect.
"""

from __future__ import annotations

import ipaddress
import socket
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from dataclasses import dataclass
from urllib.parse import urlsplit

from sesq.config.webhook_settings import is_loopback

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolve = Callable[[str, int], Sequence[str]]

MOST_ADDRESSES = 3
"""How many of a name's addresses are tried."""
UNICAST = ipaddress.ip_network("2000::/3")
"""All public IPv6 addresses (RFC 4291, IANA's register). The others are private or reserved."""
NOT_PUBLIC = (
    ipaddress.ip_network("168.63.129.16/32"),  # Azure's own services, at an address of the public range
    ipaddress.ip_network("192.0.0.0/24"),  # for protocols (RFC 6890), and the metadata of Oracle's cloud
    ipaddress.ip_network("2001::/23"),  # for protocols (RFC 2928), Teredo among them
    ipaddress.ip_network("2001:db8::/32"),  # for documentation (RFC 3849)
    ipaddress.ip_network("3fff::/20"),  # for documentation (RFC 9637)
)
"""Networks that are not public, although `is_global` is true for them in some or all versions of Python."""
NAT64 = ipaddress.ip_network("64:ff9b::/96")
"""Its last 32 bits are an IPv4 address (RFC 6052)."""


class NotReached(Exception):
    """The endpoint could not be reached, or its answer was not complete in time. The text says why, without the URL."""


class RefusedAddress(NotReached):
    """The endpoint has an address to which requests may not go."""


@dataclass(frozen=True, slots=True)
class Place:
    """Holds the parts of a URL: `host` is for the certificate and the Host header, `target` is the path."""

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
        """The value of the Host header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.is_tls else 80) else f"{host}:{self.port}"


def resolve(host: str, port: int) -> list[str]:
    """Returns the addresses of a name, by the system's resolver. Raises OSError."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(address[0]) for *_, address in found]


def checked_addresses(
    place: Place, *, allow_private: bool, resolve: Resolve = resolve, seconds: float | None = None
) -> list[str]:
    """Returns the addresses to connect to, found within so many seconds.

    Raises RefusedAddress if one of them is private, NotReached if there is none.
    """
    try:
        found = list(dict.fromkeys(_in_time(resolve, place, seconds)))
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


def _in_time(resolve: Resolve, place: Place, seconds: float | None) -> Sequence[str]:
    """Resolves a name in a thread of its own, because the system's resolver has no time limit."""
    answer: Future[Sequence[str]] = Future()

    def look_up() -> None:
        try:
            answer.set_result(resolve(place.host, place.port))
        except Exception as error:  # noqa: BLE001  (raised where it is waited for)
            answer.set_exception(error)

    threading.Thread(target=look_up, name=f"look up {place.host}", daemon=True).start()
    try:
        return answer.result(seconds)
    except FutureTimeout:
        if answer.done():  # the resolver's own error
            raise
        raise NotReached(f"the name {place.host} was not resolved in time") from None


def _is_allowed(address: Address, place: Place, *, allow_private: bool) -> bool:
    if is_loopback(place.host):  # only the settings can name this machine
        return address.is_loopback
    return allow_private or is_public(address)


def is_public(address: Address) -> bool:
    """Whether an address is public. For an IPv6 address that leads to an IPv4 address, the IPv4 address counts."""
    inner = _inner(address)
    if inner is not None:
        return is_public(inner)
    if address.version == 6 and address not in UNICAST:
        return False
    named = any(address in network for network in NOT_PUBLIC)
    return address.is_global and not address.is_multicast and not named


def _inner(address: Address) -> ipaddress.IPv4Address | None:
    """Returns the IPv4 address that an IPv6 address leads to."""
    if isinstance(address, ipaddress.IPv4Address):
        return None
    if address in NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour
