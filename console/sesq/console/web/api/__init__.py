"""The API for programs: the pages' data and actions as JSON, described by OpenAPI at /api/v1/openapi.json."""

from __future__ import annotations

from collections.abc import Callable

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from sesq.config.errors import SesqError
from sesq.console.web.api import account, accounts, acts, batches, messages, pauses, quota, uploads, webhooks
from sesq.console.web.api.description import describe
from sesq.console.web.problem import answer_fault, problem, said
from sesq.console.web.site import NotLoggedIn, Site

NOTHING_HERE = "there is nothing at this address: see /api/v1/openapi.json"


def make_api(site: Site, status_of: Callable[[Exception], int]) -> FastAPI:
    """Makes the API, as an application that `app` mounts."""

    def tell(_request: Request, error: Exception) -> Response:
        if isinstance(error, RequestValidationError):
            # without the values that were sent: JSON may not be able to write them
            problems = [
                {"where": [*map(str, each["loc"])], "problem": each["msg"]} for each in error.errors()
            ]
            return problem(422, "the request is not valid", problems=problems)
        if isinstance(error, HTTPException):
            answer = problem(error.status_code, _detail(error))
            answer.headers.update(error.headers or {})
            return answer
        return problem(401 if isinstance(error, NotLoggedIn) else status_of(error), said(error), error)

    api = FastAPI(title="sesq", version="1", docs_url=None, redoc_url=None)
    api.state.site = site
    api.include_router(accounts.router)
    for part in (account, messages, acts, quota, pauses, uploads, batches, webhooks):
        api.include_router(part.router, prefix="/accounts/{account}")
    for kind in (SesqError, HTTPException, RequestValidationError):
        api.add_exception_handler(kind, tell)
    api.add_exception_handler(Exception, answer_fault)
    api.openapi = describe(api)  # type: ignore[method-assign]
    return api


def _detail(error: HTTPException) -> str:
    return NOTHING_HERE if error.status_code == 404 else str(error.detail)
