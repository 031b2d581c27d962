"""Mail over HTTP in the form of Resend's API, for applications in any language: its SDKs queue mail here.

`sesq console --intake` adds it: POST /emails, /emails/batch and /emails/{id}/cancel, GET and PATCH /emails/{id}.
A body is bounded before anything of it is read: its size by the guard, all bodies together here.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sesq.config.errors import SesqError
from sesq.console.web.emails.failures import TooBusy, WrongToken, tell
from sesq.console.web.emails.sending import Mailer
from sesq.console.web.guard import is_json
from sesq.console.web.problem import EMAILS, LOG_IN
from sesq.console.web.site import NotLoggedIn, Site

MOST_BYTES_AT_ONCE = 128 * 1024 * 1024
"""Bytes of all bodies that are being read or queued. Each body takes several times its size in memory."""

Do = Callable[[Mailer, Request, bytes], dict[str, Any]]


class Space:
    """Counts how much of MOST_BYTES_AT_ONCE is in use. Only one event loop uses it."""

    def __init__(self, most: int = MOST_BYTES_AT_ONCE) -> None:
        self.left = most

    @contextmanager
    def hold(self, size: int) -> Iterator[None]:
        """Counts the bytes as in use until the block ends. Raises TooBusy if there is no room for them."""
        if size > self.left:
            raise TooBusy("the console is busy with other mail: send this again in a moment")
        self.left -= size
        try:
            yield
        finally:
            self.left += size


def email_routes(site: Site, space: Space | None = None) -> list[Route]:
    """Returns the routes."""
    held = space or Space()

    def route(path: str, method: str, do: Do) -> Route:
        return Route(EMAILS + path, _endpoint(site, held, do), methods=[method])

    return [
        route("", "POST", lambda mailer, _, body: mailer.send(body)),
        route("/batch", "POST", lambda mailer, _, body: mailer.send_several(body)),
        route("/{id}", "GET", lambda mailer, asked, _: mailer.show(asked.path_params["id"])),
        route("/{id}", "PATCH", lambda mailer, asked, body: mailer.delay(asked.path_params["id"], body)),
        route("/{id}/cancel", "POST", lambda mailer, asked, _: mailer.cancel(asked.path_params["id"])),
    ]


def _endpoint(site: Site, space: Space, do: Do) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        try:
            if not is_json(request.headers):
                raise HTTPException(415, "send JSON, with the header Content-Type: application/json")
            mailer = await run_in_threadpool(_mailer, site, request)
            with space.hold(int(request.headers.get("content-length", "0"))):
                body = await request.body()
                return JSONResponse(await run_in_threadpool(do, mailer, request, body))
        except (SesqError, ValidationError, HTTPException) as error:
            return tell(error)

    return answer


def _mailer(site: Site, request: Request) -> Mailer:
    visitor = site.program(request)
    if visitor is None:
        known = "authorization" in request.headers
        raise (WrongToken if known else NotLoggedIn)(LOG_IN)
    return Mailer(site, visitor, request.headers)
