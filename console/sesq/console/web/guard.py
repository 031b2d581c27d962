"""Checks each request first: its host, the site it comes from, and its size."""

from __future__ import annotations

import ipaddress
import re
from http.cookies import CookieError, SimpleCookie
from urllib.parse import unquote, urlsplit
from zoneinfo import ZoneInfo

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sesq.console.times import ZONE
from sesq.console.web.problem import is_of_emails, refusal
from sesq.producer.rules import MAX_MESSAGE_BYTES

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
MAX_BODY_BYTES = 2 * 1024 * 1024
MAX_MAIL_BYTES = MAX_MESSAGE_BYTES + MAX_BODY_BYTES
"""The size of a mail with its attachments in base64, as SES counts them, and of the other fields of the request."""
MAX_UPLOAD_BYTES = 64 * 1024 * 1024
"""The size of a batch with its rows, which are written to a file while they are read."""
takes_batches = re.compile(r"/api/v1/accounts/[^/]+/batches(/check)?").fullmatch
ZONE_COOKIE = "sesq_zone"
_charset = re.compile(r"""charset[*\d\s]*=\s*"?([^\s;"]*)""", re.IGNORECASE).findall
"""What a Content-Type names. Some of Python's codecs make text of a form that nothing can write down."""

PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; frame-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
MAIL_POLICY = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'self'"
"""For the HTML of mail: no script, no form, no picture or style from outside, and another origin than ours."""
ALWAYS = {
    "content-security-policy": PAGE_POLICY,
    "x-content-type-options": "nosniff",
    # not no-referrer: browsers would then send "Origin: null" with our own forms
    "referrer-policy": "same-origin",
    "cache-control": "no-store",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
}


class Guard:
    """ASGI middleware. `hosts`: names under which the console is known, besides localhost and IP addresses."""

    def __init__(self, app: ASGIApp, hosts: frozenset[str], secure: bool) -> None:
        self.app = app
        self.hosts = hosts
        self.always = ALWAYS | ({"strict-transport-security": "max-age=31536000"} if secure else {})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                told = MutableHeaders(scope=message)
                for name, value in self.always.items():
                    told.setdefault(name, value)
            await send(message)

        refused = self.refuse(scope["path"], scope["method"], headers)
        before = ZONE.set(_zone(headers.get("cookie", "")))
        try:
            await (refused or self.app)(scope, receive, send_guarded)
        finally:
            ZONE.reset(before)

    def refuse(self, path: str, method: str, headers: Headers) -> Response | None:
        """Returns the answer that refuses the request; None if it may go on."""
        found = self._fault(path, method, headers)
        return refusal(path, *found) if found else None

    def _fault(self, path: str, method: str, headers: Headers) -> tuple[int, str] | None:
        host = headers.get("host", "")
        if not is_known_host(host, self.hosts):
            return (
                421,
                "The console is not known by this name. Start it with --allowed-host NAME, or use its address.",
            )
        if "transfer-encoding" in headers:  # its length is not known beforehand, and every limit needs it
            return 411, "The header Content-Length is missing."
        if method in SAFE_METHODS:
            return None
        if not _is_from_us(host, headers):
            return 403, "Refused: this request came from another site."
        length = headers.get("content-length", "0")
        if not length.isascii() or not length.isdigit():
            return 411, "The header Content-Length is missing."
        most = most_bytes(path)
        if int(length) > most:
            return 413, f"Too large: a body may have {most:,} bytes."
        if not all(name.lower() == "utf-8" for name in _charset(headers.get("content-type", ""))):
            return 415, "Send the body in UTF-8."
        return None


def most_bytes(path: str) -> int:
    """Returns how long a body may be at this path."""
    if is_of_emails(path):
        return MAX_MAIL_BYTES
    return MAX_UPLOAD_BYTES if takes_batches(path) else MAX_BODY_BYTES


def is_known_host(host: str, hosts: frozenset[str]) -> bool:
    """Whether a Host header names this console. A name that DNS rebinding sends here does not."""
    try:
        name = (urlsplit(f"//{host}").hostname or "").lower()
    except ValueError:
        return False
    if name in hosts or name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def is_json(headers: Headers) -> bool:
    """Whether a request declares a JSON body, or has no body. A browser's form cannot declare JSON."""
    if headers.get("content-length", "0") == "0":
        return True
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    return kind == "application/json" or (kind.startswith("application/") and kind.endswith("+json"))


def _is_from_us(host: str, headers: Headers) -> bool:
    """Whether a request is from our own pages or from a program: a browser says which site it asks for."""
    try:
        origin = urlsplit(headers.get("origin", f"//{host}")).netloc
    except ValueError:
        return False
    if origin != host:
        return False
    return headers.get("sec-fetch-site", "none") in ("none", "same-origin")


def _zone(cookies: str) -> ZoneInfo | None:
    """Returns the viewer's time zone, which the page's script has noted; None for the server's."""
    try:
        noted = SimpleCookie(cookies).get(ZONE_COOKIE)
        return ZoneInfo(unquote(noted.value)) if noted else None
    except (CookieError, ValueError, OSError, KeyError):  # no such zone, or none that is a file
        return None
