"""What the commands of `sesq quota` share that concern one tenant."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import typer
from redis import Redis

from sesq.config.errors import InputError
from sesq.console.limits import written
from sesq.console.output import print_json, show, table
from sesq.console.ramp_view import ramp_as_json
from sesq.producer.rules import check_tenant
from sesq.queue.tenant_limits import TenantLimit, TenantLimits

OfTenant = Annotated[
    str | None, typer.Option("--tenant", metavar="NAME", help="The limits of this tenant of SES's.")
]


def checked_tenant(tenant: str | None) -> str:
    """The name; empty where none is given. Raises InvalidMessage for what is no name of a tenant."""
    if tenant is not None:
        check_tenant(tenant)
    return tenant or ""


def refuse_with_tenant(options: Mapping[str, object]) -> None:
    """Raises InputError where one of these options is given."""
    for name, given in options.items():
        if given:
            raise InputError(
                f"{name} is for the limits of an account: SES has none of a tenant, so leave it out"
            )


def print_tenants(redis: Redis, account: str, json: bool) -> None:
    """The tenants that are limited."""
    limits = TenantLimits(redis, account).show()
    if json:
        told = {name: limit.as_json() | {"ramp": ramp_as_json(limit.ramp)} for name, limit in limits.items()}
        print_json(told)
        return
    rows = [(name, *_row(limit)) for name, limit in limits.items()]
    columns = ("tenant", "rate", "daily", "ramp", "used in 24 hours")
    show(table(columns, rows) if rows else "no tenant is limited; `sesq quota set --tenant NAME` does that")


def _row(limit: TenantLimit) -> tuple[str, str, str, str]:
    ramp = limit.ramp
    grows = f"{ramp.cap:,} on day {min(ramp.day + 1, ramp.days)} of {ramp.days}" if ramp else ""
    used = f"{limit.used:,}" if limit.daily_now is not None else ""
    return written("rate", limit.rate), written("daily", limit.daily), grows, used
