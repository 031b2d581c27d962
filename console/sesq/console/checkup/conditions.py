"""Turns the conditions that a person should know of into checks, each with its cure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from sesq.console.checkup.check import Check, Status
from sesq.console.overview import Overview
from sesq.console.why import about
from sesq.queue.conditions import OF_TENANTS, Kind

CURES: Mapping[Kind, tuple[Status, str]] = {
    Kind.SUSPENDED: (Status.WARN, "rq resume"),
    Kind.PAUSED: (Status.WARN, "sesq quota resume"),
    Kind.SES_PAUSED: (Status.FAIL, "answer what AWS has written to you; then sesq quota sync"),
    Kind.UNSYNCED: (Status.WARN, "start a worker, or sesq quota sync"),
    Kind.BULK_PAUSED: (Status.WARN, "cure the cause, then sesq quota resume --bulk"),
    Kind.TENANT_PAUSED: (Status.WARN, "cure the cause, then sesq quota resume --tenant {tenant}"),
    Kind.TENANT_STOPPED: (
        Status.WARN,
        "cure it at SES; its mail then goes by itself within minutes, or at once by "
        "sesq messages release --waiting-for tenant:{tenant}",
    ),
    Kind.RAMP_STANDS_STILL: (Status.WARN, "find where the bad addresses come from; it goes on by itself"),
}
"""Condition -> how bad it is, and its cure. The other conditions were set by somebody, or end by themselves."""


def check_conditions(view: Overview) -> Iterator[Check]:
    """Checks the conditions, with the words of every other screen."""
    waits = any(lane.queued for lane in view.lanes)
    for condition in view.conditions:
        if condition.kind is Kind.UNSYNCED and not waits:
            continue
        status, cure = CURES.get(condition.kind, (Status.OK, ""))
        if status is not Status.OK:
            tenant = condition.tenant or "NAME"
            detail = condition.words.rstrip(".")
            name = "tenant" if condition.kind in OF_TENANTS else "gate"
            yield Check(name, status, detail, cure.format(tenant=tenant), about(condition))
