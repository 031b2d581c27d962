"""Webhooks: the state of each, the events that were given up; enable, disable, retry."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form
from starlette.responses import Response

from sesq.console.web import actions
from sesq.console.web.render import page
from sesq.console.web.site import Operating, Viewing
from sesq.queue.snapshot import redis_now

router = APIRouter()
SHOWN = 50
"""How many events that were given up are shown for each webhook."""


@router.get("/accounts/{account}/webhooks")
def webhooks(room: Viewing) -> Response:
    views = actions.webhooks(room)
    letters = {
        view.name: actions.webhook(room, view.name).dead_letters(SHOWN) for view in views if view.health.dead
    }
    return page(room, "webhooks", 200, views=views, letters=letters, now=redis_now(room.redis))


@router.post("/accounts/{account}/webhooks/enable")
def enable(room: Operating, name: Annotated[str, Form()]) -> Response:
    actions.enable_webhook(room, name)
    return room.go("webhooks", f"{name} is enabled.")


@router.post("/accounts/{account}/webhooks/disable")
def disable(room: Operating, name: Annotated[str, Form()], reason: Annotated[str, Form()] = "") -> Response:
    actions.disable_webhook(room, name, reason)
    return room.go("webhooks", f"{name} is disabled.")


@router.post("/accounts/{account}/webhooks/retry")
def retry(room: Operating, name: Annotated[str, Form()]) -> Response:
    revived = actions.retry_webhook(room, name)
    return room.go("webhooks", f"{len(revived)} are delivered again.")
