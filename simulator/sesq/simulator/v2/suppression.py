"""The suppression list in SESv2."""

from __future__ import annotations

from math import inf
from typing import Any

from sesq.simulator.errors import SesError
from sesq.simulator.members import needed_text, text, texts
from sesq.simulator.suppression import REASONS, Suppressed, SuppressionList
from sesq.simulator.v2.router import Operation, Request, asked_page


def put(request: Request) -> dict[str, Any]:
    account = request.account
    if not account.settings.production_access:
        # AWS documents that it is disabled in the sandbox. The error is not known.
        raise SesError(
            "bad_request", "The suppression list cannot be changed while the account is in the sandbox."
        )
    address, reason = needed_text(request.body, "EmailAddress"), needed_text(request.body, "Reason")
    _asked(request).put(address, reason, account.clock.now())
    return {}


def get(request: Request) -> dict[str, Any]:
    found = _asked(request).get(request.body["EmailAddress"])
    tenant = text(request.body, "TenantName")
    return {"SuppressedDestination": _summary(found) | ({"TenantName": tenant} if tenant else {})}


def delete(request: Request) -> dict[str, Any]:
    _asked(request).delete(request.body["EmailAddress"])
    return {}


def list_all(request: Request) -> dict[str, Any]:
    body = request.body
    reasons = texts(body, "Reasons") or REASONS
    start, end = body.get("StartDate", 0), body.get("EndDate", inf)
    found = {
        each.address: each for each in _asked(request) if each.reason in reasons and start <= each.at <= end
    }
    names, more = asked_page(request, list(found))
    return {"SuppressedDestinationSummaries": [_summary(found[name]) for name in names], **more}


def _asked(request: Request) -> SuppressionList:
    """Returns the tenant's list, or the account's if the request names no tenant."""
    tenant = text(request.body, "TenantName")
    account = request.account
    return account.tenants.get(tenant).suppression if tenant else account.suppression


def _summary(entry: Suppressed) -> dict[str, Any]:
    return {"EmailAddress": entry.address, "Reason": entry.reason, "LastUpdateTime": entry.at}


_ALL = "/v2/email/suppression/addresses"

OPERATIONS = (
    Operation("PUT", _ALL, "PutSuppressedDestination", put),
    Operation("GET", _ALL, "ListSuppressedDestinations", list_all),
    Operation("GET", _ALL + "/{EmailAddress}", "GetSuppressedDestination", get),
    Operation("DELETE", _ALL + "/{EmailAddress}", "DeleteSuppressedDestination", delete),
)
