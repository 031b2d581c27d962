"""Overview: sandbox or production, the use of the limits, what was sent and what waits, and what is wrong."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import Response

from sesq.console.checkup import check_queue, check_webhooks
from sesq.console.overview import read_overview
from sesq.console.web.alerts import read_alerts
from sesq.console.web.outlook import look_ahead, read_series
from sesq.console.web.render import page
from sesq.console.web.site import Viewing
from sesq.queue.depth_history import count_waiting

router = APIRouter()


@router.get("/accounts/{account}/overview")
def overview(room: Viewing) -> Response:
    view = read_overview(room.redis, room.account)
    checks = [
        *check_queue(room.redis, room.account),
        *check_webhooks(room.redis, room.account, room.configured_webhooks),
    ]
    alerts, why = read_alerts(view, checks)
    waiting = count_waiting(room.redis, room.account)
    series = read_series(room.redis, room.account, view.usage.now, waiting)
    return page(
        room,
        "overview",
        view=view,
        now=view.usage.now,
        why=why,
        alerts=alerts,
        series=series,
        went=series["hour"].sent[-2] / 60,
        waiting=waiting,
        outlook=look_ahead(room.redis, view),
    )
