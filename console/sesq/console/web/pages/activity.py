"""Activity: who did what and when, in the console, over the API and at the command line."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import Response

from sesq.console.acts import Acts
from sesq.console.trail import read_trail
from sesq.console.web.render import page
from sesq.console.web.site import Viewing
from sesq.queue.snapshot import redis_now

router = APIRouter()
SHOWN = 200


@router.get("/accounts/{account}/activity")
def activity(room: Viewing, q: str = "", by: str = "") -> Response:
    deeds = read_trail(room.redis, room.account, SHOWN, by=by.strip(), text=q.strip())
    now = redis_now(room.redis)
    unfinished = Acts(room.redis, room.account).all(now)
    return page(room, "activity", deeds=deeds, unfinished=unfinished, q=q, by=by, now=now)
