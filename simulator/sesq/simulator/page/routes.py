"""Serves the page: its three files, and the parts of a message."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sesq.simulator.cloud import Cloud
from sesq.simulator.http import DEFAULT_REGION
from sesq.simulator.page.view import View, view

_FOLDER = Path(__file__).parent
_FILES = {"index.html": "text/html", "page.css": "text/css", "page.js": "text/javascript"}
_ALWAYS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
    "cross-origin-resource-policy": "same-origin",
}
_PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; frame-src 'self'; img-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
# Mail gets no script, no form, no link to follow, no picture from outside, and never our origin.
_MAIL_POLICY = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'self'"


class Page:
    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud

    def routes(self) -> list[Route]:
        one = "/_sim/messages/{number:int}"
        return [
            Route("/", _file("index.html")),
            Route("/_sim/page.css", _file("page.css")),
            Route("/_sim/page.js", _file("page.js")),
            Route(one, self.message),
            Route(one + "/html", self.html),
            Route(one + "/raw", self.raw),
            Route(one + "/attachments/{index:int}", self.attachment),
        ]

    async def message(self, request: Request) -> Response:
        """Returns a message's summary, headers, text, and what else there is."""
        shown = self._view(request)
        entry, region = self._entry(request), self._region(request)
        parts = {
            "headers": shown.headers,
            "text": shown.text,
            "has_html": bool(shown.html),
            "attachments": [
                {"name": each.name, "content_type": each.content_type, "bytes": len(each.data)}
                for each in shown.attachments
            ],
        }
        return JSONResponse(entry.summary(region) | parts, headers=_ALWAYS)

    async def html(self, request: Request) -> Response:
        headers = {**_ALWAYS, "content-security-policy": _MAIL_POLICY}
        html = self._view(request).html.encode("utf-8", "replace")
        return Response(html, media_type="text/html; charset=utf-8", headers=headers)

    async def raw(self, request: Request) -> Response:
        headers = {**_ALWAYS, "content-security-policy": _MAIL_POLICY}
        return Response(self._view(request).raw, media_type="text/plain; charset=utf-8", headers=headers)

    async def attachment(self, request: Request) -> Response:
        """Returns an attachment as a download without a type, so that the browser does not open it here."""
        index, attachments = request.path_params["index"], self._view(request).attachments
        if index >= len(attachments):
            raise HTTPException(404)
        headers = {**_ALWAYS, "content-disposition": f'attachment; filename="attachment-{index}"'}
        return Response(attachments[index].data, media_type="application/octet-stream", headers=headers)

    def _region(self, request: Request) -> str:
        return request.query_params.get("region", DEFAULT_REGION)

    def _entry(self, request: Request) -> Any:
        try:
            entry = self._cloud.account(self._region(request)).record.find(request.path_params["number"])
        except ValueError as error:
            raise HTTPException(400) from error
        if entry is None:
            raise HTTPException(404)
        return entry

    def _view(self, request: Request) -> View:
        shown = view(self._entry(request), self._cloud.account(self._region(request)).templates)
        if shown is None:
            raise HTTPException(410, "the content is no longer kept")
        return shown


def _file(name: str) -> Callable[[Request], Awaitable[Response]]:
    content = (_FOLDER / name).read_bytes()
    headers = {**_ALWAYS, "content-security-policy": _PAGE_POLICY}

    async def endpoint(_request: Request) -> Response:
        return Response(content, media_type=_FILES[name], headers=headers)

    return endpoint
