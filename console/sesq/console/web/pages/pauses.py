"""Pause and resume: of all mail, of bulk mail, of a tenant's bulk mail. Pausing asks first."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Form
from starlette.responses import Response

from sesq.console.overview import read_overview
from sesq.console.web import actions
from sesq.console.web.render import page
from sesq.console.web.site import Operating, Viewing

router = APIRouter()
Mail = Literal["all", "bulk"]
Text = Annotated[str, Form()]


@router.get("/accounts/{account}/quota/pause")
def ask(room: Viewing, mail: Mail = "all", reason: str = "") -> Response:
    """Asks whether to pause, and why."""
    view = read_overview(room.redis, room.account)
    waiting = view.lanes[-1].queued if mail == "bulk" else sum(lane.queued for lane in view.lanes)
    return page(room, "pause", mail=mail, reason=reason, waiting=waiting)


@router.post("/accounts/{account}/quota/pause")
def pause(
    room: Operating, reason: Text = "", mail: Annotated[Mail, Form()] = "all", tenant: Text = ""
) -> Response:
    actions.pause(room, reason, bulk_only=mail == "bulk", tenant=tenant.strip())
    if tenant.strip() or mail == "bulk":
        return room.go("quota", "Bulk mail is paused until somebody resumes it. Transactional mail goes on.")
    return room.go("quota", "Paused: nothing goes until somebody resumes.")


@router.post("/accounts/{account}/quota/resume")
def resume(
    room: Operating, mail: Annotated[Mail, Form()] = "all", tenant: Text = "", back: Text = "quota"
) -> Response:
    actions.resume(room, bulk_only=mail == "bulk", tenant=tenant.strip())
    where = back if back in ("quota", "overview") else "quota"
    return room.go(where, "Mail goes again." if not tenant and mail == "all" else "Bulk mail goes again.")
