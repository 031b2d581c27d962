"""Errors in the form of Resend's API: `{"statusCode", "name", "message"}`."""

from __future__ import annotations

from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from sesq.config.errors import (
    InvalidMessage,
    QueueUnavailable,
    SesqError,
    UnknownMessage,
)
from sesq.console.web import problem
from sesq.console.web.problem import failure
from sesq.console.web.site import NotAllowed, NotLoggedIn


class WrongToken(NotLoggedIn):
    """The request has a token that no user has."""


class UsedBefore(SesqError):
    """Another mail has used this idempotency key."""


class TooBusy(SesqError):
    """There is no room for this body beside those that are being read."""


KINDS: dict[type[Exception], tuple[int, str]] = {
    WrongToken: (403, "invalid_api_key"),
    NotLoggedIn: (401, "missing_api_key"),
    NotAllowed: (401, "restricted_api_key"),
    UsedBefore: (409, "invalid_idempotent_request"),
    TooBusy: (429, "rate_limit_exceeded"),
    UnknownMessage: (404, "not_found"),
    QueueUnavailable: (503, "application_error"),
    SesqError: (422, "validation_error"),
}
"""Error -> status and name, the first that fits."""
OF_FIELDS = {"idempotency_key": (400, "invalid_idempotency_key"), "sender": (422, "invalid_from_address")}
"""The same for InvalidMessage, by its field."""


NAMES = {"sender": "from", "send_at": "scheduled_at", "idempotency_key": "Idempotency-Key"}
"""Field of a message -> its name in the form."""


def tell(error: Exception) -> Response:
    """Turns an error of sesq, or of the request, into an answer."""
    if isinstance(error, ValidationError):
        return _of_fields(error)
    if isinstance(error, HTTPException):
        return failure(error.status_code, str(error.detail))
    status, name = next(told for kind, told in KINDS.items() if isinstance(error, kind))
    if isinstance(error, InvalidMessage):
        status, name = OF_FIELDS.get(error.field, (status, name))
    return failure(status, said(error), name)


def said(error: Exception) -> str:
    """Says what is wrong with the form's own field names, and without the values that were given."""
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        return f"{'.'.join(map(str, first['loc'])) or 'body'}: {first['msg']}"
    return problem.said(error, NAMES)


def _of_fields(error: ValidationError) -> Response:
    missing = error.errors(include_input=False)[0]["type"] == "missing"
    return failure(422, said(error), "missing_required_field" if missing else "validation_error")
