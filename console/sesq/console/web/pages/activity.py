"""Activity: who did what in this console."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import Response

from sesq.console.act import Acts
from sesq.console.audit import Audit
from sesq.console.web.render import page
from sesq.console.web.site import Viewing
from sesq.queue.snapshot import redis_now

router = APIRouter()


@router.get("/accounts/{account}/activity")
def activity(room: Viewing) -> Response:
    entries = Audit(room.redis, room.account).entries(200)
    acts = Acts(room.redis, room.account).all()
    return page(room, "activity", entries=entries, acts=acts, now=redis_now(room.redis))
