"""Pause and resume: of all mail, of bulk mail, of a tenant's bulk mail."""

from __future__ import annotations

from sesq.console.overview import read_overview
from sesq.console.web import actions
from sesq.console.web.api.answers import Paused
from sesq.console.web.api.entry import Json, Operating, api_router, operation
from sesq.console.web.api.given import Pause, WhichMail

router = api_router("quota")


@router.post("/pause", **operation("pause_account", Paused))
def pause(room: Operating, given: Pause) -> Json:
    """Pauses all mail, or bulk mail, or the bulk mail of one tenant, until somebody resumes it."""
    actions.pause(room, given.reason, bulk_only=given.bulk, tenant=given.tenant or "")
    return _told(room)


@router.post("/resume", **operation("resume_account", Paused))
def resume(room: Operating, given: WhichMail | None = None) -> Json:
    """Ends the pause of all mail, or of bulk mail, or of the bulk mail of one tenant."""
    which = given or WhichMail()
    actions.resume(room, bulk_only=which.bulk, tenant=which.tenant or "")
    return _told(room)


def _told(room: Operating) -> Json:
    view = read_overview(room.redis, room.account)
    return {"paused": view.paused is not None, "bulk_paused": bool(view.bulk_paused)}
