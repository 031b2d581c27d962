"""The API for programs: the pages' data and actions as JSON, described by OpenAPI at /api/v1/openapi.json."""

from __future__ import annotations

from collections.abc import Callable

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from sesq.config.errors import SesqError
from sesq.console.web.api import account, batches, messages, quota, webhooks
from sesq.console.web.api.entry import ERRORS
from sesq.console.web.site import NotLoggedIn, Site


def make_api(site: Site, status_of: Callable[[Exception], int]) -> FastAPI:
    """The API as an application of its own, to be mounted."""

    def tell(_request: Request, error: Exception) -> JSONResponse:
        if isinstance(error, RequestValidationError):
            # without what was sent: that may be what JSON cannot carry back
            problems = [
                {"where": [*map(str, each["loc"])], "problem": each["msg"]} for each in error.errors()
            ]
            return JSONResponse({"detail": "what was sent cannot be right", "problems": problems}, 422)
        status = 401 if isinstance(error, NotLoggedIn) else status_of(error)
        detail = (
            error.detail
            if isinstance(error, HTTPException)
            else str(error).encode("utf-8", "replace").decode()
        )
        headers = {"www-authenticate": "Bearer"} if status == 401 else getattr(error, "headers", None)
        return JSONResponse({"detail": detail}, status, headers)

    api = FastAPI(title="sesq", version="1", docs_url=None, redoc_url=None)
    api.state.site = site
    for part in (account, messages, quota, batches, webhooks):
        api.include_router(part.router, prefix="/accounts/{account}", responses=ERRORS)
    for kind in (SesqError, HTTPException, RequestValidationError):
        api.add_exception_handler(kind, tell)
    return api
