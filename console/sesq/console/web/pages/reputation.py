"""Reputation: the rates of bounces and complaints beside Amazon's thresholds, and where they come from."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import Response

from sesq.console.reputation_view import MOST_SHOWN, read_reputation
from sesq.console.web.render import page
from sesq.console.web.site import Viewing
from sesq.queue.reputation import BEFORE_AMAZON, LEAST_OF_A_PART, LEAST_SENT, PAUSE, REVIEW, WORDS

router = APIRouter()


@router.get("/accounts/{account}/reputation")
def reputation(room: Viewing) -> Response:
    view = read_reputation(room.redis, room.account)
    return page(
        room,
        "reputation",
        view=view,
        lines={kind: (REVIEW[kind], BEFORE_AMAZON[kind], PAUSE[kind]) for kind in REVIEW},
        words=WORDS,
        least=LEAST_SENT,
        parts=LEAST_OF_A_PART,
        most_shown=MOST_SHOWN,
    )
