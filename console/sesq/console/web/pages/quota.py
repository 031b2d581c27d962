"""Quota: SES's limits, ours, and those in force. A change is shown with its forecast before it is made."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form
from starlette.responses import Response

from sesq.config.errors import InputError, in_words
from sesq.console.limits import read_limits
from sesq.console.overview import read_overview
from sesq.console.times import parse_duration
from sesq.console.web import actions
from sesq.console.web.outlook import changed, look_ahead
from sesq.console.web.render import page
from sesq.console.web.site import Operating, Room, Viewing
from sesq.queue.limit_values import LIMITS
from sesq.worker.account import AccountUnavailable

router = APIRouter()
HINTS = {
    "rate": ("recipients a second", "14/second, or 1 per 2 seconds"),
    "daily": ("recipients in 24 hours", "50000/day, or unlimited"),
    "burst": ("recipients at once, after a pause", "a number of at least 1"),
    "margin": ("share of the rate left unused", "0 to 0.5"),
    "reserve": ("of the day, kept for transactional mail", "a number, or a share such as 10%"),
}
"""Limit -> what it is, and how it is written."""
ABOVE = "also above what SES allows"
"""The label of the box for `force`."""
Text = Annotated[str, Form()]


def _said(error: InputError) -> str:
    """Says what is wrong with the words of the form."""
    return in_words(str(error), lambda name: f"the box “{ABOVE}”" if name == "force" else name)


@router.get("/accounts/{account}/quota")
def quota(room: Viewing) -> Response:
    return show(room)


def show(room: Room, status: int = 200, problem: str = "", given: dict[str, str] | None = None) -> Response:
    """Shows the page. `problem`: why a change cannot be made; `given`: the values that were typed."""
    view = read_overview(room.redis, room.account)
    return page(
        room,
        "quota",
        status,
        view=view,
        now=view.usage.now,
        limits=read_limits(room.redis, room.account),
        hints=HINTS,
        above=ABOVE,
        outlook=look_ahead(room.redis, view),
        history=room.policy.history(30),
        problem=problem,
        given=given or {},
    )


@router.post("/accounts/{account}/quota/preview")
def preview(
    room: Operating,
    rate: Text = "",
    daily: Text = "",
    burst: Text = "",
    margin: Text = "",
    reserve: Text = "",
    for_: Annotated[str, Form(alias="for")] = "",
    force: Annotated[bool, Form()] = False,
) -> Response:
    given = {"rate": rate, "daily": daily, "burst": burst, "margin": margin, "reserve": reserve}
    changes = {name: value.strip() for name, value in given.items() if value.strip()}
    view = read_overview(room.redis, room.account)
    try:
        if not changes:
            raise InputError("nothing to change: fill in a limit")
        seconds = parse_duration(for_.strip(), "for") if for_.strip() else None
        room.policy.check(changes, for_seconds=seconds, force=force)
        after = changed(view, changes, force=force)
    except InputError as error:
        return show(room, 422, _said(error), {**given, "for": for_})
    return page(
        room,
        "quota_preview",
        view=view,
        now=view.usage.now,
        before=look_ahead(room.redis, view),
        after=look_ahead(room.redis, view, after),
        usage=after,
        changes=changes,
        lasts=for_.strip(),
        force=force,
    )


@router.post("/accounts/{account}/quota/set")
def set_(
    room: Operating,
    rate: Text = "",
    daily: Text = "",
    burst: Text = "",
    margin: Text = "",
    reserve: Text = "",
    for_: Annotated[str, Form(alias="for")] = "",
    force: Annotated[bool, Form()] = False,
) -> Response:
    given = {"rate": rate, "daily": daily, "burst": burst, "margin": margin, "reserve": reserve}
    changes = {name: value for name, value in given.items() if value}
    try:
        actions.set_limits(room, changes, for_, force=force)
    except InputError as error:
        return show(room, 422, _said(error), {**given, "for": for_})
    return room.go("quota", f"Changed: {', '.join(changes)}. In force now, in every worker.")


@router.post("/accounts/{account}/quota/reset")
def reset(room: Operating, limit: Text) -> Response:
    actions.reset_limits(room, [limit] if limit in LIMITS else None)
    return room.go("quota", "Reset. sesq.toml or SES gives the limit again.")


@router.post("/accounts/{account}/quota/ramp")
def ramp(
    room: Operating, from_: Annotated[str, Form(alias="from")] = "", to: Text = "", over: Text = ""
) -> Response:
    try:
        actions.start_ramp(room, from_.strip(), to.strip(), over.strip())
    except InputError as error:
        return show(room, 422, str(error), {"from": from_, "to": to, "over": over})
    return room.go("quota", "The ramp is in place. In force now, in every worker.")


@router.post("/accounts/{account}/quota/ramp/stop")
def stop_ramp(room: Operating) -> Response:
    actions.stop_ramp(room)
    return room.go("quota", "The ramp has ended.")


@router.post("/accounts/{account}/quota/undo")
def undo(room: Operating, at: Text) -> Response:
    actions.undo(room, at)
    return room.go("quota", "Undone.")


@router.post("/accounts/{account}/quota/sync")
def sync(room: Operating) -> Response:
    try:
        actions.sync(room)
    except AccountUnavailable as error:
        return room.go("quota", f"SES did not describe the account: {error}", bad=True)
    return room.go("quota", "SES has described the account.")
