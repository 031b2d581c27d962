"""What a program is told of an error, in the form of the interface that it asked: problem details (RFC 9457)."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import Any

from starlette.responses import JSONResponse, PlainTextResponse, Response

from sesq.config.errors import SesqError

MEDIA_TYPE = "application/problem+json"
API = "/api/"
_words = re.compile(r"(?<=[a-z0-9])(?=[A-Z])").sub


def problem(status: int, detail: str, error: Exception | None = None, **more: Any) -> Response:
    """The problem as an answer. `error`: what it is a case of, for `code`."""
    told = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": _whole(detail),
        "code": code_of(status, error),
        **more,
    }
    headers = {"www-authenticate": "Bearer"} if status == HTTPStatus.UNAUTHORIZED else None
    return JSONResponse(told, status, headers, MEDIA_TYPE)


def code_of(status: int, error: Exception | None) -> str:
    """A name for programs: that of the error in sesq's tree, `unknown-message`; else that of the status."""
    if isinstance(error, SesqError):
        return _words("-", type(error).__name__).lower()
    return HTTPStatus(status).name.lower().replace("_", "-")


def refusal(path: str, status: int, detail: str) -> Response:
    """What refuses a request before an endpoint is looked for: a problem to programs, a line of text to browsers."""
    if path.startswith(API):
        return problem(status, detail)
    return PlainTextResponse(f"{detail}\n", status)


def _whole(text: str) -> str:
    """Without half a character, which nothing can write down."""
    return text.encode("utf-8", "replace").decode()
