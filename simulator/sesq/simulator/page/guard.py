"""Keeps other web pages away from the page and the control: by DNS rebinding, or by a form on somebody's site."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from urllib.parse import urlsplit


def allowed(headers: Mapping[str, str], hosts: frozenset[str]) -> bool:
    """Whether a request comes from us, or from no web page at all.

    Its Host must be an IP address, localhost, a name without a dot (of a container, say), or one of `hosts`: a rebound
    name is none of these. Where a browser says on whose behalf it asks, that must be ourselves.
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
