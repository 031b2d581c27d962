"""What the commands of `sesq quota` share for tenants."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Annotated, Any

import typer
from redis import Redis

from sesq.config.errors import InputError
from sesq.console.limits import written
from sesq.console.output import print_json, show
from sesq.console.ramp_view import ramp_as_json
from sesq.console.tables import Column, table
from sesq.console.times import utc
from sesq.producer.rules import check_tenant
from sesq.queue.reputation import Standing, tenant_standings
from sesq.queue.tenant_limits import TenantLimit, TenantLimits
from sesq.queue.tenant_states import TenantState, TenantStates

OfTenant = Annotated[
    str | None, typer.Option("--tenant", metavar="NAME", help="The SES tenant whose limits it concerns.")
]


def checked_tenant(tenant: str | None) -> str:
    """Returns the name; empty if none is given. Raises InvalidMessage if it is not a name of a tenant."""
    if tenant is not None:
        check_tenant(tenant)
    return tenant or ""


def refuse_with_tenant(options: Mapping[str, object]) -> None:
    """Raises InputError if one of these options is given."""
    for name, given in options.items():
        if given:
            raise InputError(f"{name} is only for the limits of an account: leave it out with --tenant")


@dataclass(frozen=True, slots=True)
class TenantView:
    """What is known of one tenant: its limits, what SES said of it last, and the last week of its mail."""

    limit: TenantLimit
    state: TenantState | None
    week: Standing

    def as_json(self) -> dict[str, Any]:
        """Returns it for scripts; `ses` is null if SES was not asked."""
        told = {
            "ramp": ramp_as_json(self.limit.ramp),
            "ses": self.state and self.state.status.value,
            "asked_at": self.state and utc(self.state.asked),
        }
        return self.limit.as_json() | told | asdict(self.week)

    def row(self) -> tuple[str, ...]:
        """Returns a row of the table for people."""
        limit, ramp, week = self.limit, self.limit.ramp, self.week
        grows = f"{ramp.cap:,} on day {min(ramp.day + 1, ramp.days)} of {ramp.days}" if ramp else ""
        used = f"{limit.used:,}" if limit.daily_now is not None else ""
        limits = (written("rate", limit.rate), written("daily", limit.daily), grows, used, limit.paused)
        counts = (week.sent, week.bounced, week.complained)
        return (
            *limits,
            self.state.status.value if self.state else "",
            *(f"{n:,}" if n else "" for n in counts),
        )


COLUMNS = (
    "tenant",
    Column("rate", worth=4),
    Column("daily", worth=6),
    Column("ramp", worth=3),
    Column("used in 24 hours", worth=5),
    Column("bulk paused", worth=9, cut=True),
    Column("SES says", worth=8),
    Column("sent in a week", worth=2),
    Column("bounced", worth=7),
    Column("complained", worth=7),
)


def read_tenants(redis: Redis, account: str) -> dict[str, TenantView]:
    """Reads the tenants that have limits, that SES was asked about, or whose mail had events in a week; by name."""
    limits = TenantLimits(redis, account).show()
    states, weeks = TenantStates(redis, account).read(), tenant_standings(redis, account)
    return {
        name: TenantView(
            limits.get(name, TenantLimit()), states.get(name), weeks.get(name, Standing(0, 0, 0))
        )
        for name in sorted({*limits, *states, *weeks})
    }


def print_tenants(redis: Redis, account: str, *, json: bool, wide: bool = False) -> None:
    """Prints all tenants that are known."""
    views = read_tenants(redis, account)
    if json:
        print_json({name: view.as_json() for name, view in views.items()})
        return
    rows = [(name, *view.row()) for name, view in views.items()]
    show(
        table(COLUMNS, rows, wide=wide)
        if rows
        else "no tenant has mail or limits; `sesq quota set --tenant NAME` limits one"
    )
