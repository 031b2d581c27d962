"""Users and their rights: the users file, passwords, tokens, and the limit of wrong tries.

[ada]
password = "scrypt$16384$8$1$…$…"   # `sesq console --hash-password` prints one
role = "operate"                    # or "view", which is the default
[prometheus]
token = "sha256$…"                  # `sesq console --new-token` prints one, and the token itself
[shop]
token = "sha256$…"
role = "send"                       # a program that queues mail and sees nothing; its other keys are those of the
senders = ["shop@example.com"]      # users file of `sesq submission`: lanes, account, tenant, tenants, contact_lists
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from threading import Lock
from typing import Any

from limits import parse
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from sesq.config.errors import SesqError, SettingsError
from sesq.console.web.reread import Reread
from sesq.producer.submission.hosts import host_of
from sesq.producer.submission.users import (
    RIGHTS,
    checked_hash,
    hash_of_nobody,
    is_password,
    read_user,
    read_users_file,
)
from sesq.producer.submission.users import User as Rights

TOKEN_KIND = "sha256$"  # noqa: S105  (the kind of a hash, no secret)
ALLOWED = ("password", "token", "role", *RIGHTS)
OF_A_NAME, OF_AN_ADDRESS = parse("5/minute"), parse("20/5minute")
"""Wrong tries for one name from one address, and for all names from one address."""


class TooManyTries(SesqError):
    """Too many wrong passwords from one address."""


class Role(str, Enum):
    """`view` sees everything but changes nothing. `send` queues mail, and neither sees nor changes anything else."""

    VIEW = "view"
    OPERATE = "operate"
    SEND = "send"


@dataclass(frozen=True, slots=True)
class Visitor:
    """A user who is let in. `name` goes into the audit trail. `rights`: what a `send` user may send; None: anything."""

    name: str
    role: Role
    rights: Rights | None = None

    @property
    def may_look(self) -> bool:
        """Whether this visitor may see anything."""
        return self.role is not Role.SEND

    @property
    def may_send(self) -> bool:
        """Whether this visitor may queue mail."""
        return self.role is not Role.VIEW

    @property
    def may_operate(self) -> bool:
        """Whether this visitor may change anything."""
        return self.role is Role.OPERATE


@dataclass(frozen=True, slots=True)
class User:
    """A line of the users file. `password` and `token` are hashes; if one is empty, it lets nobody in."""

    name: str
    role: Role
    password: str = ""
    token: str = ""
    rights: Rights | None = None

    @property
    def visitor(self) -> Visitor:
        return Visitor(self.name, self.role, self.rights)

    @property
    def proof(self) -> str:
        """A text that a session keeps. It changes with the password, so that a new password ends the session."""
        return hashlib.sha256(self.password.encode()).hexdigest()[:16]


class People:
    """The users by name. Without a users file everybody who reaches the port may operate: that is for loopback only."""

    def __init__(self, users: Reread[dict[str, User]], local: Visitor) -> None:
        self._file = users
        self._local = local
        self._nobody = User("", Role.VIEW, hash_of_nobody())
        self._tries = MovingWindowRateLimiter(MemoryStorage())
        self._one_try = Lock()

    @classmethod
    def read(cls, file: Path | None, local: str) -> People:
        """Reads the users file, again whenever it changes. Without a file, everybody operates under the name `local`.

        Raises SettingsError.
        """
        here = Visitor(local, Role.OPERATE)
        return cls(Reread(file, lambda: _users(file) if file else {}), here)

    @property
    def _users(self) -> Mapping[str, User]:
        return self._file.now

    @property
    def local(self) -> Visitor | None:
        """The visitor that everybody is if there is no users file; otherwise None."""
        return None if self._users else self._local

    def log_in(self, name: str, password: str, address: str) -> User | None:
        """Returns the user with this name and password, or None. Raises TooManyTries.

        It takes as long for an unknown name. It checks one try after the other, so that many at once
        neither pass the limit together nor take all processors.
        """
        place, hashed = _place(address), hashlib.sha256(name.encode(errors="replace")).hexdigest()
        counted = ((OF_AN_ADDRESS, place), (OF_A_NAME, place, hashed))
        with self._one_try:
            if not all(self._tries.test(*each) for each in counted):
                raise TooManyTries("too many tries; wait a few minutes and try again")
            user = self._checked(name, password)
            if user is None:
                for each in counted:
                    self._tries.hit(*each)
            return user

    def _checked(self, name: str, password: str) -> User | None:
        user = self._users.get(name, self._nobody)
        right = is_password(password, user.password or self._nobody.password)
        return user if right and user.password and user is not self._nobody else None

    def by_session(self, name: str, proof: str) -> Visitor | None:
        """Returns the visitor of a session, if the password is still the same."""
        user = self._users.get(name)
        return user.visitor if user and hmac.compare_digest(user.proof, proof) else None

    def by_token(self, token: str) -> Visitor | None:
        """Returns the visitor who has this token."""
        hashed = hash_token(token)
        found = [user for user in self._users.values() if hmac.compare_digest(user.token, hashed)]
        return found[0].visitor if found else None

    def by_name(self, name: str) -> Visitor | None:
        """Returns the visitor that a reverse proxy names."""
        user = self._users.get(name)
        return user.visitor if user else None


def _place(address: str) -> str:
    try:
        return host_of(address)
    except ValueError:
        return "elsewhere"


def new_token() -> str:
    """Returns a token of 256 random bits, which need no slow hash."""
    return secrets.token_urlsafe(32)


def hash_token(token: str) -> str:
    """Returns the hash of a token, for the users file."""
    return TOKEN_KIND + hashlib.sha256(token.encode(errors="replace")).hexdigest()


def _users(file: Path) -> dict[str, User]:
    tables = read_users_file(file, ALLOWED, "password = … and role = …")
    return {name: _user(name, table, f"{file}: [{name}]") for name, table in tables.items()}


def _user(name: str, table: Mapping[str, Any], where: str) -> User:
    try:
        role = Role(table.get("role", Role.VIEW.value))
    except ValueError as error:
        raise SettingsError(f"{where} role: allowed are {', '.join(Role)}") from error
    password, token = table.get("password", ""), _token(table, where)
    hashed = checked_hash(password, where, "console") if password else ""
    return User(name, role, hashed, token, _rights(name, role, table, where))


def _rights(name: str, role: Role, table: Mapping[str, Any], where: str) -> Rights | None:
    if role is Role.SEND:
        if "password" in table:
            raise SettingsError(
                f'{where} password: is for the pages, which role = "send" does not see; give a token'
            )
        return read_user(name, "", table, where)
    misplaced = next((key for key in RIGHTS if key in table), None)
    if misplaced:
        raise SettingsError(
            f'{where} {misplaced}: counts for role = "send" alone; remove it, or change the role'
        )
    return None


def _token(table: Mapping[str, Any], where: str) -> str:
    hashed = str(table.get("token", ""))
    if hashed and not (hashed.startswith(TOKEN_KIND) and len(hashed) == len(hash_token(""))):
        raise SettingsError(f"{where} token: is no hash; `sesq console --new-token` prints one")
    return hashed
