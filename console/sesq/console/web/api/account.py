"""The account: its state, its identities, the addresses that get no mail, and the request for production access."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query

from sesq.console.audit import MOST_ENTRIES
from sesq.console.commands.status import as_json as overview_as_json
from sesq.console.overview import read_overview
from sesq.console.reputation_view import read_reputation, reputation_as_json
from sesq.console.times import utc
from sesq.console.trail import read_trail
from sesq.console.web import actions
from sesq.console.web.api.account_answers import (
    FoundSuppressed,
    Listed,
    Removed,
    Reputation,
    RequestToAws,
    Sandbox,
    SuppressedPage,
    VerificationStarted,
)
from sesq.console.web.api.answers import Activity, Overview
from sesq.console.web.api.entry import Json, Operating, Viewing, api_router, operation
from sesq.console.web.api.given import Name, ProductionRequest, Suppression
from sesq.console.web.outlook import look_ahead
from sesq.queue.snapshot import read_own_identities
from sesq.queue.suppression import Suppressed, SuppressionList
from sesq.worker.control import Access

router = api_router("account")


@router.get("/overview", **operation("show_overview", Overview))
def overview(room: Viewing) -> Json:
    """Shows the account, as `sesq status --json`, and when the lanes will be empty."""
    view = read_overview(room.redis, room.account)
    return overview_as_json(view) | {"empty_at": utc(look_ahead(room.redis, view).empty_at)}


@router.post("/sync", **operation("sync_account", Overview))
def sync(room: Operating) -> Json:
    """Reads the account at SES now, and frees messages whose reason to wait is gone."""
    actions.sync(room)
    return overview(room)


@router.get("/activity", **operation("list_activity", list[Activity]))
def activity(
    room: Viewing,
    by: str = "",
    q: str = "",
    limit: Annotated[int, Query(ge=1, le=MOST_ENTRIES)] = 100,
) -> list[Json]:
    """Lists who did what in the console, over the API and at the command line, with the values before and after.

    The newest come first. `by`: part of the name. `q`: part of what was done.
    """
    return [deed.as_json() for deed in read_trail(room.redis, room.account, limit, by=by, text=q)]


@router.get("/reputation", **operation("show_reputation", Reputation))
def reputation(room: Viewing) -> Json:
    """Shows the rates of bounces and complaints, and where they come from, as `sesq events standing --json`.

    It lists the 20 worst domains, tags, tenants and batches.
    """
    return reputation_as_json(read_reputation(room.redis, room.account))


@router.get("/identities", **operation("list_identities", dict[str, bool]))
def identities(
    room: Viewing,
    q: str = "",
    skip: Annotated[int, Query(ge=0)] = 0,
    limit: Annotated[int, Query(ge=1, le=10_000)] = 1000,
) -> dict[str, bool]:
    """Lists identities by name, and whether each is verified, as the last account sync read them."""
    listed = read_own_identities(room.redis, room.account)
    named = sorted(name for name in listed if q.strip().lower() in name.lower())
    return {name: listed[name] for name in named[skip : skip + limit]}


@router.post("/identities", **operation("verify_identity", VerificationStarted, 202))
def verify(room: Operating, given: Name) -> Json:
    """Starts a verification at SES."""
    found = actions.verify(room, given.name)
    return {"name": found.name, "status": found.status, "verified": found.verified}


@router.get("/suppression", **operation("list_suppressed", SuppressedPage))
def suppression(
    room: Viewing,
    cursor: Annotated[int, Query(ge=0, lt=2**63)] = 0,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> Json:
    """Lists about `limit` addresses, in no order. If `next` is not null, give it as `cursor` for the following page."""
    entries, following = SuppressionList(room.redis, room.account).some(cursor, limit)
    return {"addresses": [_suppressed(each) for each in entries], "next": following or None}


@router.post("/suppression", **operation("suppress_address", Listed, 201))
def suppress(room: Operating, given: Suppression) -> Json:
    """Adds an address to the list. In production it is added to SES's list too, or `problem` says why not."""
    added, problem = actions.suppress(room, given.address, given.reason)
    return {"added": added, "problem": problem or None}


@router.get("/suppression/{address}", **operation("find_suppressed", FoundSuppressed))
def is_suppressed(room: Viewing, address: str) -> Json:
    """Says whether and why an address gets no mail. `suppressed` is null if it gets mail."""
    found = actions.find_suppressed(room, address)
    return {"suppressed": _suppressed(found) if found else None}


@router.delete("/suppression/{address}", **operation("unsuppress_address", Removed))
def unsuppress(room: Operating, address: str) -> Json:
    """Removes an address from the list. In production it is removed from SES's list too, or `problem` says why not."""
    removed, problem = actions.unsuppress(room, address)
    return {"removed": removed, "problem": problem or None}


@router.get("/sandbox", **operation("show_sandbox", Sandbox))
def sandbox(room: Viewing) -> Json:
    """Asks SES what the account may do now, and shows the state of a review."""
    return Access.read(room.control).as_json()


@router.post("/sandbox/leave", **operation("leave_sandbox", RequestToAws, 202))
def leave(room: Operating, given: ProductionRequest) -> Json:
    """Asks AWS for production access if `sure` is true; otherwise shows the request and sends nothing."""
    application = given.application()
    if given.sure:
        actions.apply_for_production(room, application)
    return {"request": application.request(), "sent": given.sure}


def _suppressed(entry: Suppressed) -> Json:
    return {"address": entry.address, "reason": entry.reason, "at": utc(entry.at), "source": entry.source}
