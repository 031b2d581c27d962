"""Checks whether SES takes mail of senders with their tenants, and says whether tenants may send. Reads only Redis."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from redis import Redis

from sesq.console.checkup.check import Check, warn
from sesq.queue.messages import Messages
from sesq.queue.tenant_states import SendingStatus, TenantStates

MOST_NAMED = 20
TENANT_CURE = (
    "cure it at SES; its mail then goes by itself within minutes, or at once by "
    "sesq messages release --waiting-for {hold}"
)
MORE_CURE = "sesq messages list --state held"
GET_TENANT_CURE = "allow ses:GetTenant; until then sesq learns it only when SES refuses mail"


def check_tenants(redis: Redis, account: str, blocks: Mapping[str, str]) -> Iterator[Check]:
    """`blocks`: what SES refuses as a whole, and why. Those of a whole tenant are conditions of the gate."""
    holds = sorted(hold for hold in blocks if hold.startswith("tenant:") and "/" in hold)
    messages = Messages(redis, account)
    for hold in holds[:MOST_NAMED]:
        found = f"{hold}: {messages.waiting_for(hold):,} wait: {blocks[hold]}"
        yield warn("tenant", found, TENANT_CURE.format(hold=hold), f"held:{hold}")
    if len(holds) > MOST_NAMED:
        yield warn("tenant", f"{len(holds) - MOST_NAMED:,} more senders of tenants", MORE_CURE, "held")
    states = TenantStates(redis, account).read().values()
    unread = next((state for state in states if state.status is SendingStatus.UNREADABLE), None)
    if unread:
        yield warn(
            "permissions", f"SES does not tell whether tenants may send: {unread.why}", GET_TENANT_CURE
        )
