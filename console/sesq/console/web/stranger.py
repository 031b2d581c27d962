"""How much is read of somebody who is not let in: FastAPI reads and parses a body before it asks who sends it."""

from __future__ import annotations

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from sesq.config.errors import QueueUnavailable
from sesq.console.web.problem import is_for_programs, refusal
from sesq.console.web.site import Site

MAX_BODY_BYTES = 16 * 1024


class StrangerLimit:
    """ASGI middleware, within the session's. The guard has seen to it that a body's length is known."""

    def __init__(self, app: ASGIApp, site: Site) -> None:
        self.app = app
        self.site = site

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        refused = scope["type"] == "http" and await self._is_too_much(Request(scope))
        await (_refusal(scope["path"]) if refused else self.app)(scope, receive, send)

    async def _is_too_much(self, request: Request) -> bool:
        if int(request.headers.get("content-length", "0")) <= MAX_BODY_BYTES:
            return False
        try:
            return await run_in_threadpool(self.site.visitor, request) is None
        except QueueUnavailable:  # the page says so
            return False


def _refusal(path: str) -> Response:
    if is_for_programs(path):
        return refusal(path, 401, "a token is needed: Authorization: Bearer …")
    return refusal(path, 413, "Log in first.")
