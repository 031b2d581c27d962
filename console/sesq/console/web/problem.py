"""Errors for programs: problem details (RFC 9457) for the API, and the form of Resend's API for `emails`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from sesq.config.errors import InvalidMessage, SesqError, in_words

MEDIA_TYPE = "application/problem+json"
API, EMAILS = "/api/", "/emails"
FAULT = "an error inside sesq: its log says where"
LOG_IN = "a token is needed: Authorization: Bearer …"
OF_STATUS = {401: "missing_api_key", 404: "not_found", 405: "method_not_allowed", 429: "rate_limit_exceeded"}
RETRY_SECONDS = "1"
NAMES = {"sender": "from"}
"""Field of a message -> its name in JSON, where that is another."""
FLAGS = ("force", "again")
"""Fields that are true or false."""
_words = re.compile(r"(?<=[a-z0-9])(?=[A-Z])").sub


def said(error: Exception, names: Mapping[str, str] = NAMES) -> str:
    """Says what is wrong with the names that the fields have in the body of a request."""

    def field(name: str) -> str:
        return f'"{name}": true' if name in FLAGS else f'"{names.get(name, name)}"'

    if isinstance(error, InvalidMessage):
        return f"{names.get(error.field, error.field)}: {in_words(error.problem, field)}"
    return in_words(str(error), field)


def problem(status: int, detail: str, error: Exception | None = None, **more: Any) -> Response:
    """Returns an answer with problem details. `code` is the name of `error`, or of the status."""
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
    """Returns a name for programs: that of sesq's error, such as `unknown-message`; otherwise that of the status."""
    if isinstance(error, SesqError):
        return _words("-", type(error).__name__).lower()
    return HTTPStatus(status).name.lower().replace("_", "-")


def answer_fault(request: Request, _error: Exception) -> Response:
    """Answers a fault in sesq itself without its text, which may have content in it. The log has the text."""
    return refusal(request.url.path, 500, FAULT)


def refusal(path: str, status: int, detail: str) -> Response:
    """Returns an answer for a request that reaches no endpoint, in the form of the interface that was asked."""
    if path.startswith(API):
        return problem(status, detail)
    if is_of_emails(path):
        return failure(status, detail)
    return PlainTextResponse(f"{detail}\n", status)


def is_for_programs(path: str) -> bool:
    """Whether the path is for programs, which read no pages."""
    return path.startswith(API) or is_of_emails(path)


def is_of_emails(path: str) -> bool:
    return path == EMAILS or path.startswith(f"{EMAILS}/")


def failure(status: int, message: str, name: str = "") -> Response:
    """Returns an error in the form of Resend's API. `name` is for programs; without one, the status gives it."""
    name = name or OF_STATUS.get(status, "validation_error" if status < 500 else "application_error")
    told = {"statusCode": status, "name": name, "message": _whole(message)}
    wait = {"retry-after": RETRY_SECONDS} if status in (429, 503) else None
    return JSONResponse(told, status, wait)


def _whole(text: str) -> str:
    """Replaces halves of characters (lone surrogates), which UTF-8 cannot encode."""
    return text.encode("utf-8", "replace").decode()
