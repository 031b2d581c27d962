"""Suppression: the addresses that get no mail, and why; add and remove, also at SES if the account may do that."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Query
from starlette.responses import Response

from sesq.config.errors import InputError
from sesq.console.web import actions
from sesq.console.web.render import page
from sesq.console.web.site import Operating, Room, Viewing
from sesq.queue.snapshot import redis_now
from sesq.queue.suppression import REASONS, SuppressionList

router = APIRouter()


@router.get("/accounts/{account}/suppression")
def suppression(room: Viewing, q: str = "", cursor: Annotated[int, Query(ge=0, lt=2**63)] = 0) -> Response:
    try:
        return show(room, q.strip(), cursor)
    except InputError as error:
        return show(room, "", 0, 422, str(error))


def show(room: Room, q: str, cursor: int, status: int = 200, problem: str = "") -> Response:
    """Shows a page of the list, in no order; or the one address that is searched."""
    ours = SuppressionList(room.redis, room.account)
    if q:
        found = actions.find_suppressed(room, q)
        entries, following = [found] if found else [], 0
    else:
        entries, following = ours.some(cursor)
    return page(
        room,
        "suppression",
        status,
        entries=sorted(entries, key=lambda entry: -entry.at),
        total=len(ours),
        next=following,
        q=q,
        reasons=REASONS,
        problem=problem,
        now=redis_now(room.redis),
    )


@router.post("/accounts/{account}/suppression/add")
def add(
    room: Operating, address: Annotated[str, Form()], reason: Annotated[str, Form()] = "manual"
) -> Response:
    try:
        added, problem = actions.suppress(room, address, reason)
    except InputError as error:
        return show(room, "", 0, 422, str(error))
    return room.go("suppression", f"{added} added. {problem}".strip(), bad=bool(problem))


@router.post("/accounts/{account}/suppression/remove")
def remove(room: Operating, address: Annotated[str, Form()]) -> Response:
    removed, problem = actions.unsuppress(room, address)
    return room.go("suppression", f"{removed} removed. {problem}".strip(), bad=bool(problem))
