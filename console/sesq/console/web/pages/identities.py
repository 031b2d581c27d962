"""Identities: those that may send, and in the sandbox receive; what waits for one; the verification of a new one."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form
from starlette.responses import Response

from sesq.console.overview import read_waiting
from sesq.console.web import actions
from sesq.console.web.render import page
from sesq.console.web.site import Operating, Viewing
from sesq.queue.snapshot import read_own_identities, read_snapshot
from sesq.worker.account import AccountUnavailable

router = APIRouter()
PAGE_SIZE = 100


@router.get("/accounts/{account}/identities")
def identities(room: Viewing, q: str = "", skip: int = 0) -> Response:
    """Shows identities as the last account sync read them, since SES allows only one control call a second."""
    snapshot = read_snapshot(room.redis, room.account)
    listed = read_own_identities(room.redis, room.account)
    named = sorted((name, listed[name]) for name in listed if q.strip().lower() in name.lower())
    start = max(0, min(skip, len(named)))
    return page(
        room,
        "identities",
        snapshot=snapshot,
        q=q.strip(),
        total=len(named),
        start=start,
        size=PAGE_SIZE,
        identities=named[start : start + PAGE_SIZE],
        waiting=read_waiting(room.redis, room.messages),
    )


@router.get("/accounts/{account}/identities/verify")
def ask(room: Viewing, name: str) -> Response:
    """Asks first, since SES sends a mail to an address."""
    return page(room, "verify", name=actions.identity_name(name))


@router.get("/accounts/{account}/identities/{name}")
def identity(room: Viewing, name: str) -> Response:
    """Shows one identity, as SES says now, with the DNS records of a domain."""
    from sesq.worker.control import IdentityBook

    found = IdentityBook(room.control).get(actions.identity_name(name))
    return page(room, "identity", identity=found)


@router.post("/accounts/{account}/identities/verify")
def verify(room: Operating, name: Annotated[str, Form()]) -> Response:
    found = actions.verify(room, name)
    return room.go(f"identities/{found.name}", f"{found.name}: {found.status}")


@router.post("/accounts/{account}/identities/sync")
def sync(room: Operating) -> Response:
    try:
        actions.sync(room)
    except AccountUnavailable as error:
        return room.go("identities", f"SES did not list the identities: {error}", bad=True)
    return room.go("identities", "SES has listed the identities.")
