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
    bulk_only, tenant = mail == "bulk", tenant.strip()
    actions.pause(room, reason, bulk_only=bulk_only, tenant=tenant)
    paused = _at_the_beginning(actions.mail_named(bulk_only=bulk_only, tenant=tenant))
    goes_on = "All other mail" if tenant else "Transactional mail" if bulk_only else ""
    rest = f"{goes_on} goes on." if goes_on else "Nothing goes."
    return room.go("quota", f"{paused} is paused until somebody resumes it. {rest}")


@router.post("/accounts/{account}/quota/resume")
def resume(
    room: Operating, mail: Annotated[Mail, Form()] = "all", tenant: Text = "", back: Text = "quota"
) -> Response:
    bulk_only, tenant = mail == "bulk", tenant.strip()
    actions.resume(room, bulk_only=bulk_only, tenant=tenant)
    where = back if back in ("quota", "overview") else "quota"
    goes = _at_the_beginning(actions.mail_named(bulk_only=bulk_only, tenant=tenant))
    return room.go(where, f"{goes} goes again.")


def _at_the_beginning(words: str) -> str:
    """Returns the words for the beginning of a sentence; a name in them stays as it is."""
    return words[:1].upper() + words[1:]
