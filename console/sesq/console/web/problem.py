"""What a program is told of an error: problem details (RFC 9457) by the API, and by `emails` what Resend's API says."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import Any

from starlette.responses import JSONResponse, PlainTextResponse, Response

from sesq.config.errors import SesqError

MEDIA_TYPE = "application/problem+json"
API, EMAILS = "/api/", "/emails"
OF_STATUS = {401: "missing_api_key", 404: "not_found", 405: "method_not_allowed", 429: "rate_limit_exceeded"}
RETRY_SECONDS = "1"
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
    """What refuses a request where no endpoint does, in the form of the interface that was asked."""
    if path.startswith(API):
        return problem(status, detail)
    if is_of_emails(path):
        return failure(status, detail)
    return PlainTextResponse(f"{detail}\n", status)


def is_for_programs(path: str) -> bool:
    """Whether a program asks there, which reads no page."""
    return path.startswith(API) or is_of_emails(path)


def is_of_emails(path: str) -> bool:
    return path == EMAILS or path.startswith(f"{EMAILS}/")


def failure(status: int, message: str, name: str = "") -> Response:
    """An error in the form of Resend's API. `name`: for programs; what is usual for the status where none is given."""
    name = name or OF_STATUS.get(status, "validation_error" if status < 500 else "application_error")
    told = {"statusCode": status, "name": name, "message": _whole(message)}
    wait = {"retry-after": RETRY_SECONDS} if status in (429, 503) else None
    return JSONResponse(told, status, wait)


def _whole(text: str) -> str:
    """Without half a character, which nothing can write down."""
    return text.encode("utf-8", "replace").decode()
