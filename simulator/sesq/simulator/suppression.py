"""The account's suppression list. Mail to an address on it is accepted, counted, and not delivered."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from sesq.simulator.addresses import bare_address
from sesq.simulator.errors import SesError

REASONS = ("BOUNCE", "COMPLAINT")


class Suppressed(NamedTuple):
    address: str
    reason: str
    at: float


class SuppressionList:
    """`reasons`: those for which SES adds an address by itself, and does not deliver mail."""

    def __init__(self) -> None:
        self.reasons: list[str] = list(REASONS)
        self._by_address: dict[str, Suppressed] = {}

    def __iter__(self) -> Iterator[Suppressed]:
        return iter(sorted(self._by_address.values()))

    def put(self, address: str, reason: str, at: float) -> None:
        """Adds or replaces an address. Raises SesError(bad_request)."""
        if reason not in REASONS:
            raise SesError("bad_request", f"Reason is not one of {', '.join(REASONS)}.")
        if bare_address(address) != address:
            raise SesError("bad_request", f"Invalid email address {address[:320]}.")
        key = _key(address)
        self._by_address[key] = Suppressed(key, reason, at)

    def get(self, address: str) -> Suppressed:
        """Raises SesError(not_found)."""
        found = self._by_address.get(_key(address))
        if found is None:
            raise SesError("not_found", f"Email address {address} does not exist on your suppression list.")
        return found

    def delete(self, address: str) -> None:
        del self._by_address[self.get(address).address]

    def stops(self, address: str, reasons: list[str] | None = None) -> bool:
        """Whether mail to a bare address is not delivered. `reasons`: a configuration set's own, if it has any."""
        found = self._by_address.get(_key(address)) if self._by_address else None
        return found is not None and found.reason in (self.reasons if reasons is None else reasons)


def check_reasons(reasons: list[str]) -> list[str]:
    """Raises SesError(bad_request) if one is given twice. Returns the reasons."""
    if len(set(reasons)) < len(reasons):
        raise SesError("bad_request", "Each suppressed reason can only be specified at most once")
    return reasons


def _key(address: str) -> str:
    """Writes the domain in lower case, and keeps the local part, as SES does."""
    local, _, domain = address.rpartition("@")
    return f"{local}@{domain.lower()}"
