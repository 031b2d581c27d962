"""Reads the users file: who may submit mail, as whom, and into which lanes. Hashes and checks passwords.

[shop]
password = "scrypt$16384$8$1$…$…"                  # `sesq submission --hash-password` prints one
senders = ["shop@example.com", "@news.example.com"] # addresses, domains, or "*"
lanes = ["bulk"]                                    # the first counts if the mail names none; all if left out
account = "default"
tenant = "acme"                                     # SES's tenant, for mail that names none
tenants = ["acme", "globex"]                        # those that the user's mail may name, or "*"; none if left out
contact_lists = ["news"]                            # the same for SES's contact lists
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any

from sesq.config.errors import InputError, InvalidMessage, SettingsError
from sesq.config.places import read_toml
from sesq.producer.rules import check_account, check_list, check_tenant
from sesq.producer.ses_headers import ANY, HeaderRule
from sesq.queue.addresses import shown, spec_of
from sesq.queue.states import Lane

COST, BLOCK_SIZE, PARALLELISM = 2**14, 8, 1
"""scrypt's n, r and p: 16 MB and about 50 ms for a guess."""
MOST_MEMORY = 64 * 1024 * 1024
SALT_BYTES = HASH_BYTES = 32
LEAST_PASSWORD = 12
"""Characters. Somebody who steals a users file can guess shorter passwords, even with a slow hash."""


CURE = "remove the header, or allow this to the user, with `tenants` or `contact_lists` in the users file"


@dataclass(frozen=True, slots=True)
class User:
    """One user. `password` is a hash."""

    name: str
    password: str
    senders: tuple[str, ...]
    lanes: tuple[Lane, ...] = tuple(Lane)
    account: str = "default"
    tenant: str | None = None
    tenants: tuple[str, ...] = ()
    contact_lists: tuple[str, ...] = ()

    @property
    def header_rule(self) -> HeaderRule:
        """What the headers of the user's mail may choose."""
        own = (self.tenant,) if self.tenant else ()
        return HeaderRule(self.tenants + own, self.contact_lists, self.may_send_as, CURE)

    def may_send_as(self, spec: str) -> bool:
        """Whether this address is one of the user's senders; case does not count."""
        spec = spec.lower()
        return any(rule in ("*", spec, f"@{spec.rpartition('@')[2]}") for rule in self.senders)

    def require_sender(self, field: str, wire: str) -> None:
        """Raises InvalidMessage for an address that is not among the user's senders."""
        if not self.may_send_as(spec_of(wire)):
            raise InvalidMessage(field, f"this user may not send as {spec_of(wire)}")

    def require_lane(self, lane: Lane) -> None:
        """Raises InvalidMessage for a lane that is not the user's."""
        if lane not in self.lanes:
            raise InvalidMessage("lane", f"this user may not use the lane {lane}")


RIGHTS = tuple(field.name for field in fields(User) if field.name not in ("name", "password"))
"""The keys of a table that say what its user may send."""
ANYBODY = User("", "", ("*",))
"""The user of a server on loopback without a users file: it takes mail from every program of the machine."""


class Users:
    """The users by name. A password that was right is known again without the cost of its hash."""

    def __init__(self, users: Mapping[str, User]) -> None:
        self._users = dict(users)
        self._nobody = User("", hash_of_nobody(), ())
        self._secret = secrets.token_bytes(32)
        self._known: dict[str, bytes] = {}

    @classmethod
    def read(cls, file: Path) -> Users:
        """Reads the users file. Raises SettingsError, which names the user and the key."""
        tables = read_users_file(file, ("password", *RIGHTS), "password = … and senders = […]")
        return cls({name: _user(name, table, f"{file}: [{name}]") for name, table in tables.items()})

    def find(self, name: str, password: str) -> User | None:
        """Returns the user whose name and password these are. It takes as long for a name that no user has."""
        known = self.known(name, password)
        if known is not None:
            return known
        user = self._users.get(name, self._nobody)
        if not is_password(password, user.password) or user is self._nobody:
            return None
        self._known[name] = self._proof(name, password)
        return user

    def known(self, name: str, password: str) -> User | None:
        """Does the same for a password that was right before, without the cost of its hash."""
        right = hmac.compare_digest(self._known.get(name, b""), self._proof(name, password))
        return self._users[name] if right else None

    def _proof(self, name: str, password: str) -> bytes:
        return hmac.digest(self._secret, f"{name}\0{password}".encode(errors="surrogatepass"), "sha256")


def hash_password(password: str) -> str:
    """Returns `scrypt$n$r$p$salt$hash`, the last two in base64. Raises InputError for a password that is too short, or
    that nobody could type.
    """
    if not _is_text(password):
        raise InputError("the password is not in UTF-8: encode it as UTF-8")
    if len(password) < LEAST_PASSWORD:
        raise InputError(f"the password is too short: give at least {LEAST_PASSWORD} characters")
    salt = secrets.token_bytes(SALT_BYTES)
    return _written(salt, _scrypt(password, salt, COST, BLOCK_SIZE, PARALLELISM))


def hash_of_nobody() -> str:
    """Returns a hash that no password leads to. To try a password on it takes as long as on another hash."""
    return _written(secrets.token_bytes(SALT_BYTES), secrets.token_bytes(HASH_BYTES))


def _written(salt: bytes, hashed: bytes) -> str:
    parts = (base64.b64encode(part).decode() for part in (salt, hashed))
    return "$".join(("scrypt", str(COST), str(BLOCK_SIZE), str(PARALLELISM), *parts))


def is_password(password: str, hashed: str) -> bool:
    """Whether `hashed` is the hash of this password; never for bytes that are not UTF-8.

    Raises ValueError if `hashed` is not a hash of ours.
    """
    cost, salt, wanted = _read(hashed)
    return _is_text(password) and hmac.compare_digest(_scrypt(password, salt, *cost), wanted)


def _read(hashed: str) -> tuple[tuple[int, int, int], bytes, bytes]:
    """Returns the cost (n, r, p), the salt and the hash itself. Raises ValueError."""
    kind, n, r, p, salt, wanted = hashed.split("$")
    if kind != "scrypt":
        raise ValueError(f"{kind} is no kind of hash that is known")
    return (int(n), int(r), int(p)), _bytes(salt), _bytes(wanted)


def _bytes(encoded: str) -> bytes:
    return base64.b64decode(encoded, validate=True)


@cache
def _try_cost(cost: tuple[int, int, int]) -> None:
    """Hashes once at this cost: it takes a while. Raises ValueError or TypeError if scrypt does not take the cost."""
    _scrypt("", b"", *cost)


def _is_text(password: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in password)


def _scrypt(password: str, salt: bytes, n: int, r: int, p: int) -> bytes:
    return hashlib.scrypt(password.encode(), salt=salt, n=n, r=r, p=p, maxmem=MOST_MEMORY, dklen=HASH_BYTES)


def read_users_file(file: Path, allowed: Sequence[str], example: str) -> dict[str, dict[str, Any]]:
    """Reads a TOML file with a table for each user: name -> table. Raises SettingsError for a key not allowed.

    `example`: what a table says, for the error about a file without tables.
    """
    try:
        data = read_toml(file)
    except (OSError, ValueError) as error:
        raise SettingsError(f"{file}: cannot be read as TOML: {error}") from error
    if not data:
        raise SettingsError(f"{file}: has no users: write [name], {example}")
    for name, table in data.items():
        if not isinstance(table, dict):
            raise SettingsError(f"{file}: {name} stands outside of a [user]: move it under one")
        unknown = next((key for key in table if key not in allowed), None)
        if unknown is not None:
            raise SettingsError(
                f"{file}: [{name}] {shown(unknown)} is unknown; allowed: {', '.join(allowed)}"
            )
    return data


def checked_hash(hashed: Any, where: str, command: str) -> str:
    """Checks a password's hash. Raises SettingsError, which names the `command` that prints one."""
    try:
        _try_cost(_read(hashed)[0])
    except (ValueError, TypeError, AttributeError) as error:
        raise SettingsError(
            f"{where} password: is no hash; `sesq {command} --hash-password` prints one"
        ) from error
    return str(hashed)


def _user(name: str, table: Mapping[str, Any], where: str) -> User:
    return read_user(name, checked_hash(table.get("password"), where, "submission"), table, where)


def read_user(name: str, password: str, table: Mapping[str, Any], where: str) -> User:
    """Reads a user, and what the table allows this user to send. Raises SettingsError."""
    return User(
        name,
        password,
        _senders(table.get("senders"), where),
        _lanes(table.get("lanes", [lane.value for lane in Lane]), where),
        _checked(check_account, table.get("account", "default"), where),
        None if (tenant := table.get("tenant")) is None else _checked(check_tenant, tenant, where),
        _names("tenants", table.get("tenants", []), check_tenant, where),
        _names("contact_lists", table.get("contact_lists", []), _check_list, where),
    )


def _senders(rules: Any, where: str) -> tuple[str, ...]:
    if not isinstance(rules, list) or not rules or not all(isinstance(rule, str) and rule for rule in rules):
        raise SettingsError(
            f'{where} senders: must be a list of addresses, of domains as "@example.com", or ["*"]'
        )
    return tuple(rule.lower() if "@" in rule or rule == "*" else f"@{rule.lower()}" for rule in rules)


def _lanes(names: Any, where: str) -> tuple[Lane, ...]:
    try:
        lanes = tuple(Lane(name) for name in names)
    except (ValueError, TypeError) as error:
        raise SettingsError(f"{where} lanes: must be a list of {' and '.join(Lane)}") from error
    if not lanes or isinstance(names, str):
        raise SettingsError(f"{where} lanes: must be a list of {' and '.join(Lane)}")
    return lanes


def _names(key: str, names: Any, check: Callable[[Any], None], where: str) -> tuple[str, ...]:
    if not isinstance(names, list):
        raise SettingsError(f'{where} {key}: must be a list of names, or ["{ANY}"]')
    return tuple(name if name == ANY else _checked(check, name, where) for name in names)


def _check_list(name: Any) -> None:
    check_list(name, None, recipients=1)


def _checked(check: Callable[[Any], None], name: Any, where: str) -> str:
    try:
        check(name)
    except InvalidMessage as error:
        raise SettingsError(f"{where} {error}") from error
    return str(name)
