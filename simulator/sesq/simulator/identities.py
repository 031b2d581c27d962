"""Verified identities of one account, and what they cover."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from sesq.simulator.addresses import bare_address, without_label
from sesq.simulator.errors import SesError

PENDING, SUCCESS, FAILED = "PENDING", "SUCCESS", "FAILED"
ADDRESS_EXPIRES_AFTER = 86_400.0  # the link in the verification mail works for 24 hours
DOMAIN_EXPIRES_AFTER = 3 * 86_400.0  # SES looks for the DKIM records for 72 hours
MAX_IDENTITIES = 10_000


@dataclass
class Identity:
    """`name` is an address (its case counts, also in the domain) or a domain (lower case).

    `tags` and `dkim` (the signing keys given to CreateEmailIdentity) come back, and have no effect.
    """

    name: str
    created_at: float
    verified: bool = False
    configuration_set: str | None = None
    tags: list[Any] = field(default_factory=list)
    dkim: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_domain(self) -> bool:
        return "@" not in self.name

    def status(self, now: float) -> str:
        if self.verified:
            return SUCCESS
        lifetime = DOMAIN_EXPIRES_AFTER if self.is_domain else ADDRESS_EXPIRES_AFTER
        return PENDING if now - self.created_at < lifetime else FAILED


class Identities:
    """One covers an address if it is the address, with or without +label, its domain or a parent domain."""

    def __init__(self) -> None:
        self._by_name: dict[str, Identity] = {}

    def __iter__(self) -> Iterator[Identity]:
        return iter(sorted(self._by_name.values(), key=lambda identity: identity.name))

    def find(self, name: str) -> Identity | None:
        return self._by_name.get(identity_key(name))

    def get(self, name: str) -> Identity:
        """Returns an identity. Raises SesError(not_found)."""
        identity = self.find(name)
        if identity is None:
            raise SesError("not_found", f"Email identity {name} does not exist.")
        return identity

    def create(self, name: str, now: float) -> Identity:
        """Makes a pending identity, or replaces a failed one. Raises SesError(already_exists, bad_request, limit)."""
        key = _checked(name)
        known = self._by_name.get(key)
        if known is not None and known.status(now) != FAILED:
            raise SesError("already_exists", f"Email identity {name} already exist.")
        if known is None and len(self._by_name) >= MAX_IDENTITIES:
            raise SesError("limit", f"Maximum number of identities ({MAX_IDENTITIES}) reached.")
        identity = self._by_name[key] = Identity(key, now)
        return identity

    def verify(self, name: str, now: float) -> Identity:
        """Does what a click on the link or a DNS record does. Makes the identity if there is none."""
        identity = self.find(name) or self.create(name, now)
        identity.verified = True
        return identity

    def delete(self, name: str) -> None:
        del self._by_name[self.get(name).name]

    def covers(self, address: str) -> bool:
        """Whether mail from (or, in the sandbox, to) this bare address may go."""
        names = self._by_name
        for candidate in covering(address):
            identity = names.get(candidate)
            if identity is not None and identity.verified:
                return True
        return False

    def nearest(self, address: str) -> Identity | None:
        """Returns the identity that counts for an address: the most exact one; None if there is none."""
        known = (self._by_name.get(candidate) for candidate in covering(address))
        return next((identity for identity in known if identity is not None), None)


def covering(address: str) -> Iterator[str]:
    """Yields the names of identities that could count for an address, the most exact one first."""
    yield address
    if "+" in address:
        yield without_label(address)
    domain = address.rpartition("@")[2].lower()
    while domain:
        yield domain
        domain = domain.partition(".")[2]


def identity_key(name: str) -> str:
    """Returns the key of an identity's name: case counts in an address (also in its domain), not in a domain."""
    return name if "@" in name else name.lower()


def _checked(name: str) -> str:
    if "@" in name:
        if bare_address(name) != name:
            raise SesError("bad_request", f"Invalid email address {name}.")
    elif "." not in name or bare_address(f"postmaster@{name}") != f"postmaster@{name}":
        raise SesError("bad_request", f"Invalid domain name {name}.")
    return identity_key(name)
