"""Reads mail addresses as SES does, with SES's texts for what is wrong with one."""

from __future__ import annotations

import re
from email import utils
from typing import Any

from sesq.simulator.errors import SesError

_PLAIN = re.compile(
    r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@(?:[A-Za-z0-9_](?:[A-Za-z0-9_-]*[A-Za-z0-9_])?\.)*[A-Za-z0-9-]+"
)
_IN_ANGLES = re.compile(r"[^<>]*<([^<>]*)>\s*")
_CONTROL_OR_SPACE = re.compile(r"[\x00-\x20\x7f]")
_DOMAIN = re.compile(r"[A-Za-z0-9_.-]+")
_LOCAL = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+")
_QUOTED_LOCAL = re.compile(r'"(?:[^"\\\x00-\x1f\x7f-\uffff]|\\[\x20-\x7e])*"')

MAILBOX_SIMULATOR = "simulator.amazonses.com"
SIMULATED = frozenset({"success", "bounce", "ooto", "complaint", "suppressionlist"})


def bare_address(text: str) -> str:
    """Returns the address in `Name <local@domain>` or `local@domain`. Raises SesError(bad_request)."""
    if _PLAIN.fullmatch(text):
        return text
    if not text.strip():
        raise SesError("bad_request", "Invalid email address .")
    if any(character in text for character in "\r\n\0"):
        raise SesError("bad_request", "Illegal address")
    angled = _IN_ANGLES.fullmatch(text)
    if angled is None and ("<" in text or ">" in text):
        raise SesError("bad_request", "Illegal address")
    address = angled[1] if angled else text.strip()
    _check(address)
    return address


def _check(address: str) -> None:
    local, at, domain = address.rpartition("@")
    if not at:
        raise SesError("bad_request", "Missing final '@domain'")
    if not domain:
        raise SesError("bad_request", "Missing domain")
    if not local:
        raise SesError("bad_request", "Missing local name")
    _check_domain(domain)
    if _QUOTED_LOCAL.fullmatch(local):
        return
    if _CONTROL_OR_SPACE.search(local):
        raise SesError("bad_request", "Local address contains control or whitespace")
    if not _LOCAL.fullmatch(local):
        raise SesError("bad_request", "Local address contains illegal character")


def _check_domain(domain: str) -> None:
    if _CONTROL_OR_SPACE.search(domain):
        raise SesError("bad_request", "Domain contains control or whitespace")
    if not _DOMAIN.fullmatch(domain):
        raise SesError("bad_request", "Domain contains illegal character")
    if domain.endswith("."):
        raise SesError("bad_request", "Domain ends with dot.")
    if domain.startswith(".") or ".." in domain:
        raise SesError("bad_request", "Illegal address")


_LOOSELY: dict[str, Any] = {"strict": False} if hasattr(utils, "supports_strict_parsing") else {}
"""Without it, newer Pythons find no address in a field if they cannot read all of it."""


def header_addresses(values: list[str]) -> list[str]:
    """Lists every address of some To, Cc or From headers as given, with its display name if it has one.

    Raises SesError(bad_request).
    """
    try:
        pairs = utils.getaddresses(values, **_LOOSELY)
    except RecursionError as error:  # a comment in a comment, and so on
        raise SesError("bad_request", "Illegal address") from error
    return [f"{name} <{address}>" if name else address for name, address in pairs if name or address]


def without_label(address: str) -> str:
    """Removes the label: `sender+label@example.com` -> `sender@example.com`."""
    local, _, domain = address.rpartition("@")
    return f"{local.partition('+')[0]}@{domain}"


def simulated(address: str) -> str | None:
    """Says which of the mailbox simulator's addresses this is (a label is allowed), or None."""
    local, _, domain = address.rpartition("@")
    if domain.lower() != MAILBOX_SIMULATOR:
        return None
    name = local.partition("+")[0].lower()
    return name if name in SIMULATED else None
