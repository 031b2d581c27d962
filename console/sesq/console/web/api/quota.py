"""Limits: those in force, a change, its forecast, and the history."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query

from sesq.console.limits import change_as_json, quota_as_json
from sesq.console.overview import read_overview
from sesq.console.times import parse_duration, utc
from sesq.console.web import actions
from sesq.console.web.api.answers import Outlook, Quota, QuotaChange
from sesq.console.web.api.entry import Json, Operating, Viewing, api_router, operation
from sesq.console.web.api.given import Change, LimitNames, Limits, NewRamp
from sesq.console.web.outlook import changed, look_ahead

router = api_router("quota")


@router.get("/quota", **operation("show_quota", Quota))
def quota(room: Viewing) -> Json:
    """Shows each limit in force, where it comes from and what SES allows, and the ramp."""
    return quota_as_json(room.redis, room.account)


@router.patch("/quota", **operation("set_quota", Quota))
def set_quota(room: Operating, limits: Limits) -> Json:
    """Changes limits from the next claim on."""
    actions.set_limits(room, limits.changes, limits.for_ or "", force=limits.force)
    return quota(room)


@router.post("/quota/preview", **operation("preview_quota", Outlook))
def preview_quota(room: Viewing, limits: Limits) -> Json:
    """Says when the lanes would be empty with other limits. Changes nothing."""
    view = read_overview(room.redis, room.account)
    seconds = parse_duration(limits.for_, "for") if limits.for_ else None
    room.policy.check(limits.changes, for_seconds=seconds, force=limits.force)
    after = changed(view, limits.changes, force=limits.force)
    told = (look_ahead(room.redis, view), look_ahead(room.redis, view, after))
    return {
        "waiting": told[0].waiting,
        "empty_at": utc(told[0].empty_at),
        "then_empty_at": utc(told[1].empty_at),
    }


@router.post("/quota/reset", **operation("reset_quota", Quota))
def reset_quota(room: Operating, given: LimitNames) -> Json:
    """Removes changed limits: sesq.toml or SES gives them again."""
    actions.reset_limits(room, [*given.limits])
    return quota(room)


@router.put("/quota/ramp", **operation("start_ramp", Quota))
def start_ramp(room: Operating, given: NewRamp) -> Json:
    """Starts a ramp: the day grows by itself, from the next claim on. It replaces a ramp that is running."""
    actions.start_ramp(room, given.from_, given.to, given.over)
    return quota(room)


@router.delete("/quota/ramp", **operation("stop_ramp", Quota))
def stop_ramp(room: Operating) -> Json:
    """Ends the ramp."""
    actions.stop_ramp(room)
    return quota(room)


@router.get("/quota/history", **operation("list_quota_changes", list[QuotaChange]))
def history(room: Viewing, limit: Annotated[int, Query(ge=1, le=1000)] = 50) -> list[Json]:
    """Lists changes of limits and who made them, the newest first."""
    return [change_as_json(each) | {"id": str(each["at"])} for each in room.policy.history(limit)]


@router.post("/quota/undo", **operation("undo_quota_change", Quota))
def undo(room: Operating, given: Change) -> Json:
    """Sets the limits back to their values before a change."""
    actions.undo(room, given.id)
    return quota(room)
