"""Puts the web application together: guard, sessions, pages, the API and the metrics. Turns errors into answers."""

from __future__ import annotations

import secrets
from http import HTTPStatus

from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from redis import Redis
from starlette.exceptions import HTTPException
from starlette.middleware.sessions import SessionMiddleware
from starlette.responses import RedirectResponse, Response

from sesq.config.connection import mapped
from sesq.config.errors import (
    InputError,
    QueueUnavailable,
    SesqError,
    TakenBefore,
    UnknownBatch,
    UnknownMessage,
    UnknownWebhook,
    WrongState,
)
from sesq.console.acts import UnknownAct
from sesq.console.web.api import NOTHING_HERE, make_api
from sesq.console.web.emails import email_routes
from sesq.console.web.guard import Guard
from sesq.console.web.metrics import CONTENT_TYPE, exposition
from sesq.console.web.pages import ROUTERS
from sesq.console.web.pages.login import login_path
from sesq.console.web.problem import answer_fault, is_for_programs, refusal
from sesq.console.web.render import ASSETS, asset, bare_page
from sesq.console.web.site import (
    SESSION_SECONDS,
    NotAllowed,
    NotLoggedIn,
    Site,
    UnknownAccount,
    require_looking,
)
from sesq.console.web.stranger import StrangerLimit
from sesq.queue.keys import CONSOLE_SECRET
from sesq.queue.replies import text

STATUS: dict[type[SesqError], int] = {
    UnknownAct: 404,
    UnknownWebhook: 404,
    InputError: 422,
    NotAllowed: 403,
    UnknownAccount: 404,
    UnknownBatch: 404,
    UnknownMessage: 404,
    WrongState: 409,
    TakenBefore: 409,
    QueueUnavailable: 503,
}
"""Error -> HTTP status; 502 for what SES or AWS refused."""

common = APIRouter()


@common.get("/assets/{name}")
def asset_(name: str) -> Response:
    if name not in ASSETS:
        raise HTTPException(404)
    return Response(asset(name), headers={"cache-control": "max-age=300"}, media_type=ASSETS[name])


@common.get("/metrics")
def metrics(request: Request) -> Response:
    site: Site = request.app.state.site
    visitor = site.visitor(request)
    if visitor is None:
        return Response("a token is needed\n", 401, {"www-authenticate": "Bearer"})
    require_looking(visitor)
    return Response(exposition(site.redis, site.accounts()), media_type=CONTENT_TYPE)


def create_app(site: Site, *, intake: bool = False) -> Guard:
    """Makes the console as an ASGI application. `intake`: it also takes mail over HTTP, in the form of Resend's API."""
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    app.state.site = site
    app.mount("/api/v1", make_api(site, status_of))
    for router in (common, *ROUTERS):
        app.include_router(router)
    if intake:
        app.router.routes.extend(email_routes(site))
    app.add_exception_handler(SesqError, _show_error)
    app.add_exception_handler(HTTPException, _show_error)
    app.add_exception_handler(RequestValidationError, _show_error)
    app.add_exception_handler(Exception, answer_fault)
    app.add_middleware(StrangerLimit, site=site)
    app.add_middleware(
        SessionMiddleware,
        secret_key=session_secret(site.redis),
        session_cookie="sesq_session",
        max_age=SESSION_SECONDS,
        same_site="strict",
        https_only=site.secure,
    )
    return Guard(app, site.hosts, site.secure)


def session_secret(redis: Redis) -> str:
    """Returns the secret that signs the cookies.

    All consoles of this Redis have the same, so that a restart logs nobody out.
    """
    with mapped():
        redis.set(CONSOLE_SECRET, secrets.token_urlsafe(32), nx=True)
        return text(redis.get(CONSOLE_SECRET))


def status_of(error: Exception) -> int:
    """Returns the HTTP status of an error."""
    if isinstance(error, HTTPException):
        return error.status_code
    if isinstance(error, RequestValidationError):
        return 422
    return next((status for kind, status in STATUS.items() if isinstance(error, kind)), 502)


def _show_error(request: Request, error: Exception) -> Response:
    if isinstance(error, NotLoggedIn):
        return RedirectResponse(login_path(request), 303)
    status = status_of(error)
    if is_for_programs(request.url.path):
        return refusal(request.url.path, status, _no_endpoint(status))
    said = (
        "something in the address or the form is not as it should be"
        if status == 422
        else "there is no such page"
    )
    problem = str(error) if isinstance(error, SesqError) else said
    return bare_page(request, "error", status, problem=problem, status_code=status)


def _no_endpoint(status: int) -> str:
    return NOTHING_HERE if status == 404 else HTTPStatus(status).phrase
