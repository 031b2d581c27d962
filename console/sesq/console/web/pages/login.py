"""Logging in and out, and the way from `/` to the first page."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlencode, urlsplit

from fastapi import APIRouter, Form, Request
from starlette.responses import RedirectResponse, Response

from sesq.console.web.people import TooManyTries
from sesq.console.web.render import bare_page
from sesq.console.web.site import Site, log, require_own_form

router = APIRouter()


@router.get("/")
def root(request: Request) -> Response:
    site: Site = request.app.state.site
    return RedirectResponse(f"/accounts/{site.accounts()[0]}/overview", 303)


@router.get("/login")
def form(request: Request, next: str = "/") -> Response:  # noqa: A002  (the parameter's name)
    return bare_page(request, "login", next=_ours(next), problem="")


@router.post("/login")
def log_in(
    request: Request,
    name: Annotated[str, Form()] = "",
    password: Annotated[str, Form()] = "",
    csrf: Annotated[str, Form()] = "",
    next: Annotated[str, Form()] = "/",  # noqa: A002
) -> Response:
    site: Site = request.app.state.site
    require_own_form(request, csrf)
    address = site.address(request)
    try:
        user = site.people.log_in(name, password, address)
    except TooManyTries as error:
        log.warning("login refused: too many tries from %s", address)
        return bare_page(request, "login", 429, next=_ours(next), problem=str(error))
    if user is None:
        log.warning("login refused: a wrong name or password from %s", address)
        return bare_page(request, "login", 403, next=_ours(next), problem="wrong name or password")
    site.open_session(request, user)
    log.info("%s logged in from %s", user.name, address)
    return RedirectResponse(_ours(next), 303)


@router.post("/logout")
def log_out(request: Request, csrf: Annotated[str, Form()] = "") -> Response:
    site: Site = request.app.state.site
    require_own_form(request, csrf)
    site.close_session(request)
    return RedirectResponse("/login", 303)


def login_path(request: Request) -> str:
    """Returns the login page's address. After the login it leads back to the page, or to the page of the form."""
    came_from = urlsplit(request.headers.get("referer", ""))
    if request.method == "GET":
        asked, query = request.url.path, request.url.query
    elif came_from.netloc == request.headers.get("host"):
        asked, query = came_from.path, came_from.query
    else:
        asked, query = "/", ""
    return f"/login?{urlencode({'next': f'{asked}?{query}' if query else asked})}"


def _ours(path: str) -> str:
    """Returns the path, or `/` if it leads to another site."""
    return path if path.startswith("/accounts/") and "\\" not in path else "/"
