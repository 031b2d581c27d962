"""Endpoints that are not about one account: whether the console works, and which accounts there are."""

from __future__ import annotations

from fastapi import Request

from sesq.config.connection import mapped
from sesq.console.overview import read_overview
from sesq.console.web.api.answers import AccountNow, Health
from sesq.console.web.api.entry import Json, Looking, api_router, operation
from sesq.console.web.site import Site

router = api_router("accounts")


@router.get("/health", **operation("show_health", Health, errors=(503,)))
def health(request: Request) -> Json:
    """Says whether the console and Redis answer; 503 if Redis does not. It needs no token: load balancers use it."""
    site: Site = request.app.state.site
    with mapped():
        site.redis.ping()
    return {"status": "ok"}


@router.get("/accounts", **operation("list_accounts", list[AccountNow]))
def accounts(request: Request, _visitor: Looking) -> list[Json]:
    """Lists each account of sesq.toml, and each that was used, with its state."""
    site: Site = request.app.state.site
    return [_account(site, name) for name in site.accounts()]


def _account(site: Site, name: str) -> Json:
    view = read_overview(site.redis, name)
    return {
        "name": name,
        "mode": view.snapshot.mode,
        "paused": view.paused is not None,
        "bulk_paused": bool(view.bulk_paused),
        "queued": sum(lane.queued for lane in view.lanes),
    }
