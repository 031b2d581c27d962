"""Who may use the API, and which errors an endpoint can answer."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Security
from fastapi.params import Form
from fastapi.routing import APIRoute
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.exceptions import HTTPException
from starlette.responses import Response

from sesq.console.web.api.answers import Problem
from sesq.console.web.guard import is_json
from sesq.console.web.people import Visitor
from sesq.console.web.problem import LOG_IN, MEDIA_TYPE
from sesq.console.web.site import NotAllowed, NotLoggedIn, Room, Site, require_looking

Json = dict[str, Any]
SAID = {
    401: "no token, or an unknown one",
    403: "the token may not do this",
    404: "no such account, message or batch",
    409: "it is in a state in which that cannot be done",
    413: "the body is too large",
    415: "the body has another media type than described",
    422: "the request is not valid",
    502: "SES or AWS refused, or could not be reached",
    503: "Redis cannot be reached",
}
IS_PROBLEM = {MEDIA_TYPE: {"schema": {"$ref": f"#/components/schemas/{Problem.__name__}"}}}
ERRORS: Any = {status: {"description": words, "content": IS_PROBLEM} for status, words in SAID.items()}
bearer = HTTPBearer(
    auto_error=False, description="A token of the users file; without that file none is needed."
)


class CheckedRoute(APIRoute):
    """An endpoint that takes only a body of the described media type. It does not read any other, and answers 415."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def checked(request: Request) -> Response:
            if self.body_field is not None:
                _require_form(request, self.body_field.field_info)
            return await handle(request)

        return checked


def api_router(tag: str, prefix: str = "") -> APIRouter:
    """Makes the router of one part of the API."""
    return APIRouter(prefix=prefix, tags=[tag], route_class=CheckedRoute)


def operation(
    id: str,
    answer: Any,
    status: int = 200,
    media_type: str = "application/json",
    errors: Iterable[int] = ERRORS,
) -> dict[str, Any]:
    """Describes an endpoint: its name for programs, which never changes, and its answers."""
    done: Json = {"description": "done", "model": answer}
    if media_type != "application/json":
        done = {"description": "a line of JSON each", "content": {media_type: {"schema": _ref(answer)}}}
    responses = {status: done, **{each: ERRORS[each] for each in errors}}
    return {"operation_id": id, "status_code": status, "response_model": None, "responses": responses}


def _ref(model: Any) -> Json:
    return {"$ref": f"#/components/schemas/{model.__name__}"}


def _require_form(request: Request, body: Any) -> None:
    if not isinstance(body, Form):
        if not is_json(request.headers):
            raise HTTPException(415, "send JSON, with the header Content-Type: application/json")
    elif not request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
        raise HTTPException(
            415, "send a form with its files, with the header Content-Type: multipart/form-data"
        )


def _visit(
    request: Request, _token: Annotated[HTTPAuthorizationCredentials | None, Security(bearer)]
) -> Visitor:
    """Returns the visitor whose token it is. A session does not count: a browser sends it without being asked."""
    site: Site = request.app.state.site
    visitor = site.program(request)
    if visitor is None:
        raise NotLoggedIn(LOG_IN)
    return visitor


def _look(visitor: Annotated[Visitor, Depends(_visit)]) -> Visitor:
    require_looking(visitor)
    return visitor


def _enter(request: Request, account: str, visitor: Annotated[Visitor, Depends(_look)]) -> Room:
    site: Site = request.app.state.site
    return Room(site, request, site.check_account(account), visitor)


def _operate(room: Annotated[Room, Depends(_enter)]) -> Room:
    if not room.visitor.may_operate:
        raise NotAllowed(f"{room.visitor.name} may look, but not change anything")
    return room


def _send(request: Request, account: str, visitor: Annotated[Visitor, Depends(_visit)]) -> Room:
    if not visitor.may_send:
        raise NotAllowed(f"{visitor.name} may look, but not send")
    if visitor.rights and visitor.rights.account != account:
        raise NotAllowed(f"{visitor.name} may not send from account {account}")
    site: Site = request.app.state.site
    return Room(site, request, site.check_account(account), visitor)


Looking = Annotated[Visitor, Depends(_look)]
"""The parameter of an endpoint that any visitor with the right to look may use, if it is not about one account."""
Viewing = Annotated[Room, Depends(_enter)]
"""The parameter of an endpoint that only shows something."""
Operating = Annotated[Room, Depends(_operate)]
"""The parameter of an endpoint that changes something."""
Sending = Annotated[Room, Depends(_send)]
"""The parameter of an endpoint that queues mail."""
