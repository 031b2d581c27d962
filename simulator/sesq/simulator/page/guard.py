"""Refuses requests that other web pages make, by DNS rebinding or by a form on another site."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from urllib.parse import urlsplit


def allowed(headers: Mapping[str, str], hosts: frozenset[str]) -> bool:
    """Whether a request comes from our own page, or from no web page at all.

    Its Host must be an IP address, localhost, a name without a dot (of a container, say), or one of `hosts`. A name for
    DNS rebinding is none of these. If a browser names the page that asks, it must be our own.
    """
    host = headers.get("host", "")
    if not _known(_name(f"//{host}"), hosts):
        return False
    origin = headers.get("origin")
    if origin is not None and urlsplit(origin).netloc != host:
        return False
    return headers.get("sec-fetch-site", "none") in ("none", "same-origin")


def _name(url: str) -> str:
    try:
        return (urlsplit(url).hostname or "").lower()
    except ValueError:
        return ""


def _known(name: str, hosts: frozenset[str]) -> bool:
    if name in hosts or name.endswith(".localhost") or (name and "." not in name and ":" not in name):
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
