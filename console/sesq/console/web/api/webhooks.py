"""Webhooks: the state of each, the events that were given up; retry, enable, disable."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query

from sesq.console.web import actions
from sesq.console.web.api.entry import Json, Operating, Viewing, api_router, operation
from sesq.console.web.api.given import Events, Reason
from sesq.console.web.api.mail_answers import DeadEvents, Disabled, Enabled, Retried, Webhooks
from sesq.console.webhook_view import letter_as_json
from sesq.queue.webhook_queue import MOST_DEAD

router = api_router("webhooks")


@router.get("/webhooks", **operation("list_webhooks", Webhooks))
def webhooks(room: Viewing) -> Json:
    """Lists the webhooks and their state, as `sesq webhooks list --json`."""
    return {"webhooks": [view.as_json() for view in actions.webhooks(room)]}


@router.get("/webhooks/{name}/dead", **operation("list_dead_events", DeadEvents))
def dead(room: Viewing, name: str, limit: Annotated[int, Query(ge=1, le=MOST_DEAD)] = 100) -> Json:
    """Lists events that were tried for a day and given up, the newest first."""
    letters = actions.webhook(room, name).dead_letters(limit)
    return {"events": [letter_as_json(letter) for letter in letters]}


@router.post("/webhooks/{name}/retry", **operation("retry_events", Retried))
def retry(room: Operating, name: str, given: Events) -> Json:
    """Delivers events again that were given up: those with these ids, or all if there is no list."""
    return {"events": actions.retry_webhook(room, name, given.events)}


@router.post("/webhooks/{name}/enable", **operation("enable_webhook", Enabled))
def enable(room: Operating, name: str) -> Json:
    """Delivers to the webhook again. `enabled` is false if it was not disabled."""
    return {"enabled": actions.enable_webhook(room, name)}


@router.post("/webhooks/{name}/disable", **operation("disable_webhook", Disabled))
def disable(room: Operating, name: str, given: Reason) -> Json:
    """Delivers nothing to the webhook until it is enabled."""
    actions.disable_webhook(room, name, given.reason)
    return {"disabled": True}
