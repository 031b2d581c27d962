"""What every page and every call uses: the queue, the settings, and the user."""

from __future__ import annotations

import hmac
import logging
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Form, Request
from redis import Redis
from starlette.responses import RedirectResponse, Response

from sesq.config.connection import mapped
from sesq.config.errors import SesqError
from sesq.config.settings import Settings
from sesq.config.webhook_settings import WebhookSettings
from sesq.console.audit import UNKNOWN, Audit, Change
from sesq.console.web.people import People, User, Visitor
from sesq.console.web.reread import Reread
from sesq.queue.gate import Gate
from sesq.queue.keys import console_session
from sesq.queue.messages import Messages, accounts
from sesq.queue.policy import Policy

log = logging.getLogger("sesq.console")

SESSION_SECONDS = 12 * 3600


class NotLoggedIn(SesqError):
    """The request is not from a user who is known."""


class NotAllowed(SesqError):
    """This visitor may not do it, or the request did not come from one of our pages."""


class UnknownAccount(SesqError):
    """Neither sesq.toml nor Redis knows an account of that name."""


@dataclass(frozen=True)
class Site:
    """One running console. `proxy_header`: the header in which a reverse proxy, one of `proxies`, names the user."""

    redis: Redis
    read_settings: Reread[Settings]
    people: People
    control: Callable[[str], Any]
    """Account -> SES's control calls for it. Raises SettingsError, or MissingPart without boto3."""
    hosts: frozenset[str] = frozenset()
    secure: bool = False
    proxy_header: str | None = None
    proxies: frozenset[str] = frozenset()

    @property
    def settings(self) -> Settings:
        """The current settings: sesq.toml is read again when it changes."""
        return self.read_settings.now

    def accounts(self) -> list[str]:
        """Returns the accounts of sesq.toml, and those that have been used."""
        return sorted({*self.settings.accounts, *accounts(self.redis)})

    def check_account(self, name: str) -> str:
        """Returns the name. Raises UnknownAccount if there is no such account."""
        if name not in self.accounts():
            raise UnknownAccount(f"no account is called {name}; there are {', '.join(self.accounts())}")
        return name

    def visitor(self, request: Request) -> Visitor | None:
        """Returns the visitor, by a token, a reverse proxy's header, or a session; None if none of them names one."""
        if self.people.local or _token(request) is not None:
            return self.program(request)
        if self.proxy_header and request.client and request.client.host in self.proxies:
            return self.people.by_name(request.headers.get(self.proxy_header, ""))
        session = request.session
        visitor = self.people.by_session(str(session.get("name", "")), str(session.get("proof", "")))
        return visitor if visitor and self._is_open(str(session.get("id", ""))) else None

    def open_session(self, request: Request, user: User) -> None:
        """Begins a new session. It ends after SESSION_SECONDS, or when it is closed."""
        id = secrets.token_urlsafe(24)
        with mapped():
            self.redis.set(console_session(id), user.name, ex=SESSION_SECONDS)
        request.session.clear()
        request.session.update(name=user.name, proof=user.proof, id=id)

    def close_session(self, request: Request) -> None:
        """Ends the session: its cookie is not valid any more."""
        with mapped():
            self.redis.delete(console_session(str(request.session.get("id", ""))))
        request.session.clear()

    def _is_open(self, id: str) -> bool:
        with mapped():
            return bool(self.redis.exists(console_session(id)))

    def program(self, request: Request) -> Visitor | None:
        """Returns the visitor by a token only. A session does not count: a browser sends it without being asked."""
        token = _token(request)
        return self.people.local or (None if token is None else self.people.by_token(token))

    def address(self, request: Request) -> str:
        """Returns the address that a request comes from; behind one of our proxies, the last that the proxy names."""
        peer = request.client.host if request.client else ""
        said = request.headers.get("x-forwarded-for", "").rpartition(",")[2].strip()
        return said if said and peer in self.proxies else peer


@dataclass(frozen=True)
class Room:
    """One account, and one visitor who looks at it or works on it."""

    site: Site
    request: Request
    account: str
    visitor: Visitor

    @property
    def redis(self) -> Redis:
        return self.site.redis

    @property
    def messages(self) -> Messages:
        return Messages(self.redis, self.account)

    @property
    def policy(self) -> Policy:
        return Policy(self.redis, self.account)

    @property
    def gate(self) -> Gate:
        return Gate(self.redis, self.account)

    @property
    def control(self) -> Any:
        """SES's control calls for the account."""
        return self.site.control(self.account)

    @property
    def configured_webhooks(self) -> Mapping[str, WebhookSettings]:
        """The account's webhooks in sesq.toml."""
        account = self.site.settings.accounts.get(self.account)
        return account.webhooks if account else {}

    @property
    def by(self) -> str:
        """The name of the user, for the audit trail."""
        return f"{self.visitor.name} (console)"

    def note(self, what: str, about: str = "", change: Change = UNKNOWN) -> None:
        """Writes an act into the audit trail, and into the log without `about`, which may be an address."""
        Audit(self.redis, self.account).note(self.by, f"{what} {about}".strip(), **change)
        self.log(what)

    def log(self, what: str) -> None:
        """Writes an act into the log only, if another history has its entry."""
        log.info("account %s: %s: %s", self.account, self.visitor.name, what)

    def path(self, page: str = "") -> str:
        """Returns the path of a page of this account."""
        return f"/accounts/{self.account}/{page}"

    def go(self, page: str, said: str = "", *, bad: bool = False) -> Response:
        """Sends the browser to another page, which shows what is `said`."""
        if said:
            self.request.session["said"] = [said[:1000], bad]
        return RedirectResponse(self.path(page), 303)


def token_of(request: Request) -> str:
    """Returns the session's token against forged requests; makes one the first time."""
    return str(request.session.setdefault("csrf", secrets.token_urlsafe(24)))


def _token(request: Request) -> str | None:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


def require_looking(visitor: Visitor) -> None:
    """Raises NotAllowed for a visitor who may only send."""
    if not visitor.may_look:
        raise NotAllowed(f"{visitor.name} may queue mail, but not look at anything")


def _enter(request: Request, account: str) -> Room:
    site: Site = request.app.state.site
    visitor = site.visitor(request)
    if visitor is None:
        raise NotLoggedIn("log in first")
    require_looking(visitor)
    return Room(site, request, site.check_account(account), visitor)


def _enter_to_operate(room: Annotated[Room, Depends(_enter)], csrf: Annotated[str, Form()] = "") -> Room:
    if not room.visitor.may_operate:
        raise NotAllowed(f"{room.visitor.name} may look, but not change anything")
    require_own_form(room.request, csrf)
    return room


def require_own_form(request: Request, csrf: str) -> None:
    """Raises NotAllowed unless a form comes from a page of this session. `csrf`: the token that the form has."""
    expected = str(request.session.get("csrf", ""))
    if not expected or not hmac.compare_digest(csrf.encode(), expected.encode()):
        raise NotAllowed("this form is not one of this session's; load the page again and repeat it")


Viewing = Annotated[Room, Depends(_enter)]
"""The parameter of a page that only shows something."""
Operating = Annotated[Room, Depends(_enter_to_operate)]
"""The parameter of a form that changes something. It must come from a page of this session."""
