"""The web console on a port of this machine, in this process; and browsers that remember their cookies."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import requests
from redis import Redis

from http_client import serving
from sesq.config.settings import Settings
from sesq.console import find
from sesq.console.web.app import create_app
from sesq.console.web.people import People
from sesq.console.web.reread import Reread
from sesq.console.web.site import Site
from sesq.worker.control import ControlUnavailable
from sesq.worker.http_server import HttpServer

CSRF = re.compile(r'name="csrf" value="([^"]+)"')


class Visit:
    """Somebody's browser, without scripts."""

    def __init__(self, site: str) -> None:
        self.site = site
        self.session = requests.Session()

    def get(self, path: str, **options: Any) -> requests.Response:
        """A page of the default account, or a whole path."""
        return self.session.get(self._url(path), timeout=20, **options)

    def post(self, path: str, form: dict[str, Any] | None = None, **options: Any) -> requests.Response:
        """A form, with the token of a page that was looked at before."""
        token = CSRF.search(self.get("/login").text)
        assert token
        return self.session.post(self._url(path), {"csrf": token[1], **(form or {})}, timeout=20, **options)

    def log_in(self, name: str, password: str) -> requests.Response:
        return self.post("/login", {"name": name, "password": password})

    def _url(self, path: str) -> str:
        return self.site + (path if path.startswith("/") else f"/accounts/default/{path}")


class NoSes:
    """In place of SES's control calls."""

    def call(self, operation: str, **_parameters: Any) -> dict[str, Any]:
        raise ControlUnavailable(f"{operation}: no SES here")


@pytest.fixture
def console(redis: Redis, make_settings: Callable[..., Settings]) -> Iterator[Callable[..., Visit]]:
    """`console(users=file, hosts={"mail.example.com"})`: a running one, and a browser on it.

    Its searches end in one step, however busy this machine is.
    """
    with ExitStack() as open_, pytest.MonkeyPatch.context() as patient:
        patient.setattr(find, "PAGE_SECONDS", 60.0)

        def start(
            users: Path | None = None,
            *,
            settings: dict[str, Any] | None = None,
            settings_from: Reread[Settings] | None = None,
            intake: bool = False,
            **options: Any,
        ) -> Visit:
            people = People.read(users, "ops@here")
            options = {"control": lambda _account: NoSes(), **options}
            read = settings_from or Reread(None, lambda: make_settings(**(settings or {})))
            site = Site(redis, read, people, **options)
            return Visit(
                open_.enter_context(serving(HttpServer(create_app(site, intake=intake), "127.0.0.1", 0)))
            )

        yield start
