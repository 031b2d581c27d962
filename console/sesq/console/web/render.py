"""Makes pages from templates. Values are escaped unless a template says otherwise, and no template does for mail."""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib import resources
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import HTMLResponse

from sesq.config.quotas import format_daily, format_rate
from sesq.console.limits import before_change, changed
from sesq.console.times import local, span, utc
from sesq.console.web.plots import amount, gauge, plot
from sesq.console.web.site import Room, token_of
from sesq.queue.snapshot import read_snapshot
from sesq.queue.states import State

PAGES = (
    ("overview", "Overview"),
    ("messages", "Messages"),
    ("batches", "Batches"),
    ("quota", "Quota"),
    ("identities", "Identities"),
    ("test", "Send a test mail"),
    ("suppression", "Suppression"),
    ("reputation", "Reputation"),
    ("webhooks", "Webhooks"),
    ("sandbox", "Sandbox"),
    ("activity", "Activity"),
)
"""Path -> its name in the navigation, in the order of the navigation."""
_override = re.compile("[\u202d\u202e]")
"""A character that shows the following text backwards, so that "gnp.exe" looks like "exe.png".

Real right-to-left text does not need it.
"""
_command = re.compile(r"`([^`]*)`")

environment = Environment(
    loader=PackageLoader("sesq.console.web", "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
environment.globals.update(
    {
        "local": local,
        "utc": utc,
        "rate": format_rate,
        "daily": format_daily,
        "changed": changed,
        "before_change": before_change,
        "gauge": gauge,
        "plot": plot,
        "amount": amount,
    }
)
environment.globals.update({"PAGES": PAGES, "STATES": [state.value for state in State], "span": span})
environment.tests["match_identity"] = lambda what: what.partition(":")[0] in ("recipient", "sender")
environment.filters["tame"] = lambda text: _override.sub("\N{REPLACEMENT CHARACTER}", text)
environment.filters["number"] = lambda value: f"{value:,.10g}"
environment.filters["spoken"] = lambda text: _command.sub(r"“\1”", text)


def _sentence(text: str) -> str:
    """Makes a sentence: a capital letter first, one full stop last. Empty text stays empty."""
    return f"{text[:1].upper()}{text[1:].rstrip('.')}." if text else ""


environment.filters["clock"] = local
environment.filters["sentence"] = _sentence


def page(room: Room, template: str, status: int = 200, **values: Any) -> HTMLResponse:
    """Makes a page of an account."""
    common = {
        "room": room,
        "at": room.path(),
        "me": room.visitor,
        "accounts": room.site.accounts(),
        "mode": read_snapshot(room.redis, room.account).mode,
        "logout": room.site.people.local is None and not room.site.proxy_header,
    }
    return bare_page(room.request, template, status, **(common | values))


def bare_page(request: Request, template: str, status: int = 200, **values: Any) -> HTMLResponse:
    """Makes a page without navigation: the login, or an error."""
    said = request.session.pop("said", None)
    common = {
        "token": lambda: hidden_token(token_of(request)),
        "said": said,
        "path": request.url.path,
        "room": None,
    }
    text = environment.get_template(f"{template}.html").render(common | values)
    # a lone surrogate in somebody's mail cannot be written in UTF-8
    return HTMLResponse(text.encode("utf-8", "replace"), status)


def hidden_token(token: str) -> Markup:
    """Makes the field of a form that has the session's token."""
    return Markup('<input type="hidden" name="csrf" value="{}">').format(token)


def asset(name: str) -> bytes:
    """Reads one of the console's own files, such as its style sheet."""
    return (resources.files("sesq.console.web") / "assets" / name).read_bytes()


ASSETS: Mapping[str, str] = {
    "console.css": "text/css",
    "console.js": "text/javascript",
    "icon.svg": "image/svg+xml",
}
"""Name -> media type."""
