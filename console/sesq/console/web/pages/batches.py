"""Batches: progress and forecast of each; pause, resume, cancel; a report of every recipient."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form
from starlette.responses import Response

from sesq.config.errors import InputError
from sesq.console.audit import change_in
from sesq.console.batch_files import report_lines
from sesq.console.batch_plan import plan
from sesq.console.web.batch_chart import chart_of
from sesq.console.web.pieces import file_of_lines
from sesq.console.web.render import page
from sesq.console.web.site import Operating, Room, Viewing
from sesq.queue.batch import Batch
from sesq.queue.batch_progress import read_progress
from sesq.queue.batches import Batches
from sesq.queue.short_ids import find_batch_id
from sesq.queue.snapshot import redis_now

router = APIRouter()
PAGE_SIZE = 50
BECOMES = {"pause": "paused", "resume": "running", "cancel": "cancelled"}
"""What a person may do -> the new state of the batch."""


@router.get("/accounts/{account}/batches")
def batches(room: Viewing, skip: int = 0) -> Response:
    found = Batches(room.redis, room.account).all()
    start = max(0, min(skip, len(found)))
    return page(
        room,
        "batches",
        batches=found[start : start + PAGE_SIZE],
        start=start,
        size=PAGE_SIZE,
        total=len(found),
        now=redis_now(room.redis),
    )


@router.get("/accounts/{account}/batches/{id}")
def batch(room: Viewing, id: str) -> Response:
    whole = find_batch_id(room.redis, room.account, id)
    if whole != id:
        return room.go(f"batches/{whole}")
    found = Batches(room.redis, room.account).get(id)
    planned = plan(room.redis, room.account, found.left, of=found) if _goes_on(found) else None
    now = redis_now(room.redis)
    chart = chart_of(read_progress(room.redis, found, now))
    return page(room, "batch", batch=found, plan=planned, chart=chart, now=now)


@router.get("/accounts/{account}/batches/{id}/report.csv")
def report(room: Viewing, id: str) -> Response:
    batches = Batches(room.redis, room.account)
    batches.get(id)
    return file_of_lines(report_lines(batches, id), "text/csv; charset=utf-8", "report.csv")


@router.post("/accounts/{account}/batches/{id}/{action}")
def change(room: Operating, id: str, action: str, reason: Annotated[str, Form()] = "") -> Response:
    act(room, id, action, reason)
    return room.go(f"batches/{id}", f"{action}: done")


def act(room: Room, id: str, action: str, reason: str = "") -> None:
    """Pauses, resumes or cancels the batch. Raises UnknownBatch, WrongState, InputError."""
    if action not in BECOMES:
        raise InputError(f"a batch can be paused, resumed or cancelled, not {action}")
    why = reason.strip() or f"by {room.by}"
    before = Batches(room.redis, room.account).get(id).state
    getattr(Batches(room.redis, room.account), action)(id, why)
    room.note(f"{action} batch {id}", change=change_in("state", before, BECOMES[action]))


def _goes_on(batch: Batch) -> bool:
    return batch.state in ("running", "paused")
