"""Says which addresses count as one host, where tries and connections are counted."""

from __future__ import annotations

import ipaddress

IPV6_HOST_BITS = 64


def host_of(address: str) -> str:
    """Returns what counts as one host: an IPv4 address, or an IPv6 network, of which one host can use any address.

    Raises ValueError if it is no address.
    """
    parsed = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(parsed, ipaddress.IPv6Address):
        mapped = parsed.ipv4_mapped
        return str(mapped or ipaddress.IPv6Network((parsed, IPV6_HOST_BITS), strict=False))
    return str(parsed)
