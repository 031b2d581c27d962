"""Batches: the progress of each, its recipients; pause, resume, cancel."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Annotated, Literal

from fastapi import Query
from fastapi.responses import StreamingResponse

from sesq.console.times import utc
from sesq.console.web.api.entry import Json, Operating, Viewing, api_router, operation
from sesq.console.web.api.given import Reason
from sesq.console.web.api.mail_answers import BatchNow, RecipientNow
from sesq.console.web.pages.batches import act
from sesq.console.web.pieces import file_of_lines
from sesq.queue.batch import Batch, Recipient
from sesq.queue.batches import Batches

router = api_router("batches", "/batches")
LINES = "application/jsonl"
BATCH_FIELDS = ("id", "name", "state", "reason", "window", "zone_column", "total", "sent", "waiting")


@router.get("", **operation("list_batches", list[BatchNow]))
def batches(
    room: Viewing, skip: Annotated[int, Query(ge=0)] = 0, limit: Annotated[int, Query(ge=1, le=1000)] = 100
) -> list[Json]:
    """Lists batches and their progress, the newest first."""
    return [_batch(each) for each in Batches(room.redis, room.account).all()[skip : skip + limit]]


@router.get("/{id}", **operation("show_batch", BatchNow))
def batch(room: Viewing, id: str) -> Json:
    """Shows one batch and its progress."""
    return _batch(Batches(room.redis, room.account).get(id))


@router.get(
    "/{id}/recipients",
    response_class=StreamingResponse,
    **operation("list_batch_recipients", RecipientNow, media_type=LINES),
)
def recipients(room: Viewing, id: str) -> StreamingResponse:
    """Lists each recipient with state, MessageId, time and reason, as one line of JSON."""
    found = Batches(room.redis, room.account)
    found.get(id)
    return file_of_lines(_lines(found.recipients(id)), LINES)


@router.post("/{id}/{action}", **operation("change_batch", BatchNow))
def change_batch(
    room: Operating, id: str, action: Literal["pause", "resume", "cancel"], given: Reason
) -> Json:
    """Pauses, resumes or cancels the batch."""
    act(room, id, action, given.reason)
    return batch(room, id)


def _batch(batch: Batch) -> Json:
    counts = {state.value: count for state, count in batch.counts.items() if count}
    told: Json = {name: getattr(batch, name) for name in BATCH_FIELDS}
    return told | {"counts": counts, "created": utc(batch.created), "ended": utc(batch.ended)}


def _lines(recipients: Iterator[Recipient]) -> Iterator[str]:
    for recipient in recipients:
        yield json.dumps(recipient.as_json() | {"at": utc(recipient.at)}) + "\n"
