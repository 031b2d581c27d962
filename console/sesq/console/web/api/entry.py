"""Who may come in, and what an endpoint can answer beside what it is for."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Depends, Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from sesq.console.web.site import NotAllowed, NotLoggedIn, Room, Site

Json = dict[str, Any]
ERRORS: Any = {
    401: {"description": "no token, or one that nobody has"},
    403: {"description": "the token may look, but not change anything"},
    404: {"description": "no such account, message or batch"},
    409: {"description": "it is in a state in which that cannot be done"},
    422: {"description": "what was sent cannot be right"},
    502: {"description": "SES or AWS refused, or could not be reached"},
    503: {"description": "Redis cannot be reached"},
}
bearer = HTTPBearer(
    auto_error=False, description="A token of the users file; without that file none is needed."
)


def _enter(
    request: Request, account: str, _token: Annotated[HTTPAuthorizationCredentials | None, Security(bearer)]
) -> Room:
    """Sessions do not count here: what a browser sends by itself shall change nothing."""
    site: Site = request.app.state.site
    visitor = site.program(request)
    if visitor is None:
        raise NotLoggedIn("a token is needed: Authorization: Bearer …")
    return Room(site, request, site.check_account(account), visitor)


def _operate(room: Annotated[Room, Depends(_enter)]) -> Room:
    if not room.visitor.may_operate:
        raise NotAllowed(f"{room.visitor.name} may look, but not change anything")
    return room


Viewing = Annotated[Room, Depends(_enter)]
"""An endpoint's parameter: whoever may look."""
Operating = Annotated[Room, Depends(_operate)]
"""An endpoint's parameter: whoever may change things."""
