"""Rates of bounces and complaints: of the account, and of its domains, tags, tenants and batches."""

from __future__ import annotations

import heapq
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from redis import Redis

from sesq.console.times import utc
from sesq.queue.batch import Batch
from sesq.queue.batches import Batches
from sesq.queue.origins import Origin, read_origins
from sesq.queue.reputation import PAUSE, REVIEW, Reputation, Standing, tenant_standings
from sesq.queue.states import State

MOST_SHOWN = 20
NEVER_READ = (
    "No events have been read, so nothing is known of bounces and complaints. `sesq events` reads the queue that "
    "accounts.{account}.events.queue_url names; `sesq events setup` makes one."
)


@dataclass(frozen=True, slots=True)
class ReputationView:
    """`week`, `tenants`: the last week. `domains`, `tags`: today and the six days before. `batches`: each since it
    began. All but the account: those with bounces or complaints (tenants: all), the worst first. `events_read_at`: when
    a reader last asked for events (s); None if none ever did.
    """

    account: str
    week: Standing
    events_read_at: float | None
    domains: tuple[Origin, ...]
    tags: tuple[Origin, ...]
    tenants: Mapping[str, Standing]
    batches: tuple[tuple[Batch, Standing], ...]

    @property
    def problem(self) -> str:
        """Says that no events were ever read, and how to read them; empty if some were."""
        if self.events_read_at is not None or self.week != Standing(0, 0, 0):
            return ""
        return NEVER_READ.format(account=self.account)


def read_reputation(redis: Redis, account: str) -> ReputationView:
    """Reads everything. Raises QueueUnavailable."""
    tenants, reputation = tenant_standings(redis, account), Reputation(redis, account)
    return ReputationView(
        account=account,
        week=reputation.read(),
        events_read_at=reputation.events_read_at(),
        domains=read_origins(redis, account, "domain", MOST_SHOWN),
        tags=read_origins(redis, account, "tag", MOST_SHOWN),
        tenants=dict(heapq.nlargest(MOST_SHOWN, tenants.items(), key=lambda each: each[1].badness)),
        batches=_worst_batches(redis, account),
    )


def _worst_batches(redis: Redis, account: str) -> tuple[tuple[Batch, Standing], ...]:
    counted = (
        (batch, Standing(batch.sent, batch.counts[State.BOUNCED], batch.counts[State.COMPLAINED]))
        for batch in Batches(redis, account).all()
    )
    bad = (each for each in counted if each[1].bounced or each[1].complained)
    return tuple(heapq.nlargest(MOST_SHOWN, bad, key=lambda each: each[1].badness))


def reputation_as_json(view: ReputationView) -> dict[str, Any]:
    """What scripts rely on. Rates are shares from 0 to 1, or null; a name that is null stands for all others."""
    return {
        "level": view.week.level.value,
        "problem": view.problem or None,
        "events_read_at": utc(view.events_read_at),
        **_counts(view.week),
        "thresholds": {kind: {"review": REVIEW[kind], "pause": PAUSE[kind]} for kind in REVIEW},
        "domains": [{"name": each.name or None, **_part(each.standing)} for each in view.domains],
        "tags": [{"name": each.name or None, **_part(each.standing)} for each in view.tags],
        "tenants": [{"name": name, **_part(standing)} for name, standing in view.tenants.items()],
        "batches": [
            {"id": batch.id, "name": batch.name, **_part(standing)} for batch, standing in view.batches
        ],
    }


def _counts(standing: Standing) -> dict[str, Any]:
    rates = {kind: standing.rate(kind) for kind in REVIEW}
    return asdict(standing) | {
        f"{kind}_rate": None if rate is None else round(rate, 6) for kind, rate in rates.items()
    }


def _part(standing: Standing) -> dict[str, Any]:
    return _counts(standing) | {f"{kind}_passed": standing.passed(kind).value for kind in REVIEW}
