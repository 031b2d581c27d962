"""Reputation: the rates of bounces and complaints beside Amazon's thresholds, and where they come from."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import Response

from sesq.console.reputation_view import MOST_LOOKED, read_reputation
from sesq.console.web.render import page
from sesq.console.web.site import Viewing
from sesq.queue.reputation import BEFORE_AMAZON, LEAST_SENT, PAUSE, REVIEW, WORDS

router = APIRouter()


@router.get("/accounts/{account}/reputation")
def reputation(room: Viewing) -> Response:
    lines = {kind: (REVIEW[kind], BEFORE_AMAZON[kind], PAUSE[kind]) for kind in REVIEW}
    view = read_reputation(room.redis, room.account)
    return page(
        room, "reputation", view=view, lines=lines, words=WORDS, least=LEAST_SENT, most_looked=MOST_LOOKED
    )
