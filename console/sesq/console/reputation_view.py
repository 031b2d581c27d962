"""Rates of bounces and complaints of the account, its tenants and batches; and the domains and tags they come from."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from redis import Redis

from sesq.config.connection import mapped
from sesq.queue.batch import Batch
from sesq.queue.batches import Batches
from sesq.queue.keys import Keys
from sesq.queue.messages import Messages
from sesq.queue.record import Record
from sesq.queue.replies import texts
from sesq.queue.reputation import REVIEW, WINDOW_HOURS, Reputation, Standing, tenant_standings
from sesq.queue.snapshot import redis_now
from sesq.queue.states import State

MOST_LOOKED = 500
"""The most bounces, and the most complaints, that a page looks at: it takes no longer with more."""
MOST_SHOWN = 20
KINDS = {"bounced": State.BOUNCED, "complained": State.COMPLAINED}


@dataclass(frozen=True, slots=True)
class Origin:
    """A domain or a tag, and its share of the newest bounces and complaints, in numbers."""

    name: str
    bounced: int
    complained: int


@dataclass(frozen=True, slots=True)
class ReputationView:
    """`week`: the account in the last week. `tenants`: each in that week. `batches`: each since it began.

    `looked`: from how many bounces and complaints `domains` and `tags` come: the newest of the last week.
    """

    week: Standing
    tenants: Mapping[str, Standing]
    batches: tuple[tuple[Batch, Standing], ...]
    domains: tuple[Origin, ...]
    tags: tuple[Origin, ...]
    looked: Mapping[str, int]


def read_reputation(redis: Redis, account: str) -> ReputationView:
    """Reads everything, the worst first. Raises QueueUnavailable."""
    found = {kind: _newest(redis, account, state) for kind, state in KINDS.items()}
    tenants = tenant_standings(redis, account)
    return ReputationView(
        week=Reputation(redis, account).read(),
        tenants=dict(heapq.nlargest(MOST_SHOWN, tenants.items(), key=lambda each: _badness(each[1]))),
        batches=_worst_batches(redis, account),
        domains=_origins({kind: map(_domains, records) for kind, records in found.items()}),
        tags=_origins({kind: map(_tags, records) for kind, records in found.items()}),
        looked={kind: len(records) for kind, records in found.items()},
    )


def _newest(redis: Redis, account: str, state: State) -> list[Record]:
    since = redis_now(redis) - WINDOW_HOURS * 3600
    with mapped():
        ids = texts(
            redis.zrevrangebyscore(Keys(account).state(state), "+inf", since, start=0, num=MOST_LOOKED)
        )
    return [record for record in Messages(redis, account).get_many(ids) if record is not None]


def _worst_batches(redis: Redis, account: str) -> tuple[tuple[Batch, Standing], ...]:
    counted = (
        (batch, Standing(batch.sent, batch.counts[State.BOUNCED], batch.counts[State.COMPLAINED]))
        for batch in Batches(redis, account).all()
    )
    bad = (each for each in counted if each[1].bounced or each[1].complained)
    return tuple(heapq.nlargest(MOST_SHOWN, bad, key=lambda each: _badness(each[1])))


def _badness(standing: Standing) -> float:
    """Returns how near the worse of both rates is to Amazon's threshold."""
    return max(standing.rate(kind) / line for kind, line in REVIEW.items())


def _domains(record: Record) -> set[str]:
    """Of the recipients whom the event names; of all where it names none of them."""
    named = [spec for spec in record.envelope.recipients if spec in record.reason]
    return {spec.rpartition("@")[2].lower() for spec in named or record.envelope.recipients}


def _tags(record: Record) -> set[str]:
    return {f"{name}={value}" for name, value in record.envelope.tags.items()}


def _origins(names: Mapping[str, Iterable[set[str]]]) -> tuple[Origin, ...]:
    counts = {kind: Counter(name for some in sets for name in some) for kind, sets in names.items()}
    total = sum(counts.values(), Counter())
    return tuple(
        Origin(name, counts["bounced"][name], counts["complained"][name])
        for name, _ in total.most_common(MOST_SHOWN)
    )
