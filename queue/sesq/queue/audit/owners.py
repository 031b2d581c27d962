"""Audits the names of all keys of an account: finds keys without an owner and without an expiry."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from redis import Redis

from sesq.queue.audit.finding import Finding, Kind, for_a_person, mendable
from sesq.queue.audit.messages import NO_EXPIRY
from sesq.queue.audit.walk import keys_like, pages
from sesq.queue.job import rq_key
from sesq.queue.keys import Keys
from sesq.queue.replies import text
from sesq.queue.shares import lane_queue, tenant_queues
from sesq.queue.states import Lane, State

AT_ONCE = 500
OF_CHUNK = ("rows", "log", "results", "arrived")
OF_BATCH = ("template", "materialized", "parked", "windows", "progress")
OF_WEBHOOK = ("webhook_waiting", "webhook_order", "webhook_due", "webhook_dead")
EXPIRING = (
    "idempotency", "event", "damaged", "reconciled", "reader", "webhook_runner", "tenant", "tenant_day",
    "tenant_reputation", "origins",
)  # fmt: skip
OUR_FUNCTIONS = b"sesq.worker."


@dataclass(slots=True)
class KeyNames:
    """Holds the ids in the names of an account's keys, by the kind of key."""

    messages: set[str] = field(default_factory=set)
    contents: set[str] = field(default_factory=set)
    chunks: set[str] = field(default_factory=set)
    batches: set[str] = field(default_factory=set)
    holds: set[str] = field(default_factory=set)
    webhooks: set[str] = field(default_factory=set)
    others: set[str] = field(default_factory=set)
    """Keys that belong to a chunk, a batch or a webhook, or have to expire, or that sesq does not know."""


def single_keys(keys: Keys) -> set[str]:
    """Returns the keys of which an account has one each."""
    names = (
        "batches unpacked counters depth_history audit acts holds blocks gate ledger token_waiters bulk_token_waiters "
        "leases starting keeping expiring policy configured transport policy_history suppression suppression_read "
        "reputation poison notices snapshot identities sync control damaged restored pruning listening events "
        "tenant_limits tenant_states counted_tenants windows windowed with_windows"
    )
    lists = [keys.state(state) for state in State]
    for queue in map(keys.queue, Lane):
        lists += [keys.stale(queue), keys.shares(queue), keys.resting(queue)]
    return {*(getattr(keys, name) for name in names.split()), *lists}


def read_names(redis: Redis, keys: Keys) -> KeyNames:
    """Reads the names of all keys of the account."""
    names, single = KeyNames(), single_keys(keys)
    single |= {keys.stale(queue) for lane in Lane for queue in tenant_queues(redis, keys, lane)}
    prefix = keys.message("")[: -len("message:")]
    sets = {
        "message": names.messages, "content": names.contents, "chunk": names.chunks, "batch": names.batches,
        "hold": names.holds, "webhook": names.webhooks,
    }  # fmt: skip
    for key in keys_like(redis, f"{prefix}*"):
        if key not in single:
            kind, _, rest = key[len(prefix) :].partition(":")
            sets.get(kind, names.others).add(rest if kind in sets else key)
    return names


def audit_owners(redis: Redis, keys: Keys, names: KeyNames) -> Iterator[Finding]:
    """Finds keys that would stay forever, although their owner is gone."""
    prefix = keys.message("")[: -len("message:")]
    for some in pages(sorted(names.others), AT_ONCE):
        for key, ttl in zip(some, _ttls(redis, some), strict=True):
            kind, _, owner = key[len(prefix) :].partition(":")
            if ttl == NO_EXPIRY:
                yield from _check_owner(key, kind, owner, names)


def _check_owner(key: str, kind: str, owner: str, names: KeyNames) -> Iterator[Finding]:
    if kind in OF_CHUNK:
        if owner not in names.chunks and owner.rpartition("-")[0] not in names.batches:
            yield mendable(Kind.ORPHAN, key, "its chunk is gone, and it never expires")
    elif kind in OF_BATCH:
        if owner not in names.batches:
            yield mendable(Kind.ORPHAN, key, "its batch is gone, and it never expires")
    elif kind in OF_WEBHOOK:
        if owner not in names.webhooks:
            cure = (
                f"sesq webhooks forget {owner} deletes what it has; sesq webhooks run keeps and delivers it"
            )
            yield for_a_person(Kind.ORPHAN, key, "what its webhook is doing is lost", cure)
    elif kind in EXPIRING:
        cure = f"DEL {key}: what it stands for may then be taken a second time"
        yield for_a_person(Kind.EXPIRY, key, "it never expires, and nobody can tell when it was to", cure)
    else:
        cure = f"find out who wrote it: sesq does not. Then DEL {key}"
        yield for_a_person(Kind.ORPHAN, key, "sesq knows no such key", cure)


def lost_jobs(redis: Redis, keys: Keys, names: KeyNames) -> Iterator[str]:
    """Finds the ids of sesq's RQ jobs in this account that would stay forever, without a message or a chunk."""
    queues = {keys.queue(lane) for lane in Lane}
    prefix = rq_key("job", "")
    ids = (key[len(prefix) :] for key in keys_like(redis, f"{prefix}*"))
    unknown = (id for id in ids if id not in names.messages and id not in names.chunks)
    for some in pages(unknown, AT_ONCE):
        pipeline = redis.pipeline(transaction=False)
        for id in some:
            pipeline.hmget(prefix + id, "origin", "data")
            pipeline.ttl(prefix + id)
        answers = pipeline.execute()
        for id, (origin, data), ttl in zip(some, answers[::2], answers[1::2], strict=True):
            if ttl == NO_EXPIRY and lane_queue(text(origin)) in queues and OUR_FUNCTIONS in (data or b""):
                yield id


def _ttls(redis: Redis, keys: list[str]) -> list[int]:
    pipeline = redis.pipeline(transaction=False)
    for key in keys:
        pipeline.ttl(key)
    return list(pipeline.execute())
