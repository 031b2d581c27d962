"""Limits the body of a client that is not logged in or may only look: FastAPI reads it before it asks who sends it."""

from __future__ import annotations

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from sesq.config.errors import QueueUnavailable
from sesq.console.web.guard import takes_batches
from sesq.console.web.problem import LOG_IN, is_for_programs, refusal
from sesq.console.web.site import Site

MAX_BODY_BYTES = 16 * 1024


class StrangerLimit:
    """ASGI middleware, inside the session's. The guard has already checked that the length of the body is known."""

    def __init__(self, app: ASGIApp, site: Site) -> None:
        self.app = app
        self.site = site

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        refused = await self._refusal(Request(scope)) if scope["type"] == "http" else None
        await (refused or self.app)(scope, receive, send)

    async def _refusal(self, request: Request) -> Response | None:
        """Returns the answer that refuses the body; None if the whole body may be read."""
        if int(request.headers.get("content-length", "0")) <= MAX_BODY_BYTES:
            return None
        path = request.url.path
        try:
            visitor = await run_in_threadpool(self.site.visitor, request)
        except QueueUnavailable:  # the endpoint answers that
            return None
        if visitor is None and is_for_programs(path):
            return refusal(path, 401, LOG_IN)
        may = visitor is not None and (visitor.may_operate or (visitor.may_send and not takes_batches(path)))
        if not may:
            most = f"Too large: this user may send at most {MAX_BODY_BYTES:,} bytes here."
            return refusal(path, 413, "Log in first." if visitor is None else most)
        return None
