"""Lists conditions: what stops mail of an account besides its limits, such as a pause, SES, or a send window.

Every screen, command, metric, alert and explanation uses the words of a `Condition`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from itertools import islice
from typing import Any

from redis import Redis

from sesq.config.connection import mapped
from sesq.queue.keys import Keys
from sesq.queue.policy import BULK_PAUSE, HISTORY_LENGTH, PAUSE, Policy
from sesq.queue.replies import read_entries, read_json, text
from sesq.queue.reputation import BRAKE
from sesq.queue.snapshot import Snapshot
from sesq.queue.states import Lane
from sesq.queue.tenant_limits import PAUSED
from sesq.queue.usage import SUSPENDED, Usage
from sesq.queue.windows import WindowView

MOST_TENANTS = 20
SCAN_COUNT = 1000
OF_TENANT = "tenant:"
"""The beginning of the name of a tenant's hold, for which its mail waits while SES takes none of it."""


class Kind(str, Enum):
    """The kinds of conditions. JSON and metrics show the values."""

    SUSPENDED = "suspended"
    PAUSED = "paused"
    SES_PAUSED = "ses_paused"
    UNSYNCED = "unsynced"
    BULK_PAUSED = "bulk_paused"
    BULK_WINDOW = "bulk_window"
    TENANT_PAUSED = "tenant_paused"
    TENANT_STOPPED = "tenant_stopped"
    UNREADABLE = "unreadable"
    RAMP = "ramp"
    RAMP_STANDS_STILL = "ramp_stands_still"
    THROTTLED = "throttled"

    def __str__(self) -> str:
        return self.value


STOPS_ALL = (Kind.SUSPENDED, Kind.PAUSED, Kind.SES_PAUSED, Kind.UNSYNCED)
STOPS_BULK = (Kind.BULK_PAUSED, Kind.BULK_WINDOW)
OF_TENANTS = {Kind.TENANT_PAUSED: (Lane.BULK,), Kind.TENANT_STOPPED: tuple(Lane)}
"""Kind -> the lanes in which mail of that tenant waits."""


@dataclass(frozen=True, slots=True)
class Condition:
    """Describes one condition. `why` says it without a full stop; `until` says in sentences what ends it.

    `reason` is what somebody gave, `by` who did it, and `since` when (seconds since the epoch), as far as known.
    `count`: the number of tenants, if one condition is about several.
    """

    kind: Kind
    why: str
    until: str = ""
    reason: str = ""
    by: str = ""
    since: float | None = None
    tenant: str = ""
    count: int = 1

    @property
    def words(self) -> str:
        """The whole condition, in sentences."""
        return f"{self.why[:1].upper()}{self.why[1:].rstrip('.')}. {self.until}".rstrip()

    def stops(self, lane: Lane, tenant: str = "") -> bool:
        """Whether it stops all mail of that lane and tenant."""
        if self.kind in OF_TENANTS:
            return bool(tenant) and tenant == self.tenant and lane in OF_TENANTS[self.kind]
        return self.kind in STOPS_ALL or (lane is Lane.BULK and self.kind in STOPS_BULK)


def read_conditions(
    redis: Redis, account: str, usage: Usage, snapshot: Snapshot, window: WindowView | None
) -> list[Condition]:
    """Lists what stops mail of the account, of a lane or of tenants, the worst first. Raises QueueUnavailable."""
    found = read_account_conditions(redis, account, usage, snapshot)
    if window is not None and window.opens_at is not None:
        found.append(Condition(Kind.BULK_WINDOW, f"bulk mail is {window.why}"))
    return [*found, *_tenants(redis, account)]


def read_account_conditions(redis: Redis, account: str, usage: Usage, snapshot: Snapshot) -> list[Condition]:
    """Lists what stops mail of the account or of its bulk lane, without send windows. Raises QueueUnavailable."""
    policy = Policy(redis, account)
    found = [*_by_people(policy, usage), *_by_ses(usage, snapshot)]
    return [*found, _bulk_paused(policy)] if policy.bulk_paused else found


def tenant_conditions(redis: Redis, account: str, tenant: str) -> list[Condition]:
    """Lists what stops mail of one tenant. Raises QueueUnavailable."""
    keys = Keys(account)
    with mapped():
        stopped = _block(redis.hget(keys.blocks, OF_TENANT + tenant))
        paused = text(redis.hget(keys.tenant_limits, f"{tenant}:{PAUSED}"))
    found = [_stopped(tenant, stopped)] if stopped else []
    return [*found, *([_tenant_paused(Policy(redis, account), tenant, paused)] if paused else [])]


def _by_people(policy: Policy, usage: Usage) -> Iterator[Condition]:
    if usage.closed == "suspended":
        why = "Nothing goes, of any account, until `rq resume`."
        yield Condition(Kind.SUSPENDED, SUSPENDED, why, SUSPENDED)
    reason = policy.paused
    if reason:
        by, since = _who(policy, PAUSE)
        why = _paused("the account is", reason, by)
        yield Condition(Kind.PAUSED, why, "Nothing goes until `sesq quota resume`.", reason, by, since)


def _by_ses(usage: Usage, snapshot: Snapshot) -> Iterator[Condition]:
    if not snapshot.known:
        why = "SES has not described this account yet"
        yield Condition(Kind.UNSYNCED, why, "Nothing goes before that: start a worker, or `sesq quota sync`.")
    elif usage.closed == "unsynced":
        why = "Redis was restarted, or another Redis took over, after the last sync"
        until = "Nothing goes before the next sync: start a worker, or `sesq quota sync`."
        yield Condition(Kind.UNSYNCED, why, until)
    elif not snapshot.sending:
        reason = snapshot.paused_because or "SES sends nothing for this account"
        until = "Workers ask again at each sync, and go on by themselves."
        yield Condition(Kind.SES_PAUSED, reason, until, reason)


def _bulk_paused(policy: Policy) -> Condition:
    reason = policy.bulk_paused
    by, since = _who(policy, BULK_PAUSE)
    until = "It waits until `sesq quota resume --bulk`."
    return Condition(Kind.BULK_PAUSED, _paused("bulk mail is", reason, by), until, reason, by, since)


def _tenant_paused(policy: Policy, tenant: str, reason: str) -> Condition:
    by, since = _who(policy, BULK_PAUSE, tenant)
    why = _paused(f"bulk mail of tenant {tenant} is", reason, by)
    until = f"It waits until `sesq quota resume --tenant {tenant}`."
    return Condition(Kind.TENANT_PAUSED, why, until, reason, by, since, tenant)


def _stopped(tenant: str, why: str) -> Condition:
    until = "Its mail goes by itself once SES takes it again."
    told = why if tenant in why else f"tenant {tenant}: {why}"
    return Condition(Kind.TENANT_STOPPED, told, until, why, tenant=tenant)


def _paused(what: str, reason: str, by: str) -> str:
    """Says what is paused, by whom and why, as far as both are known."""
    who = "by the brake on bounces and complaints" if by == BRAKE else f"by {by}" if by else ""
    given = "" if by and reason == f"paused by {by}" else f": {reason.rstrip('.')}"
    return " ".join(filter(None, (what, "paused", who))) + given


def _who(policy: Policy, field: str, tenant: str = "") -> tuple[str, float | None]:
    """Finds who has paused it, and when, in the history of the limits."""
    with mapped():
        history = read_entries(policy.redis, policy.keys.policy_history, HISTORY_LENGTH, "by")
    for entry in history:
        if field in (entry.get("new") or {}) and (entry.get("tenant") or "") == tenant:
            return str(entry.get("by") or ""), entry.get("at")
    return "", None


def _tenants(redis: Redis, account: str) -> Iterator[Condition]:
    keys, policy = Keys(account), Policy(redis, account)
    with mapped():
        paused = dict(_fields(redis, keys.tenant_limits, f"*:{PAUSED}"))
        blocks = dict(_fields(redis, keys.blocks, f"{OF_TENANT}*"))
    whole = {name.removeprefix(OF_TENANT): told for name, told in blocks.items() if "/" not in name}
    stopped = ((name, _block(whole[name].encode())) for name in sorted(whole))
    yield from _first(Kind.TENANT_STOPPED, (_stopped(name, why) for name, why in stopped if why), len(whole))
    names = sorted(name.removesuffix(f":{PAUSED}") for name in paused)
    told = (_tenant_paused(policy, name, paused[f"{name}:{PAUSED}"]) for name in names)
    yield from _first(Kind.TENANT_PAUSED, told, len(names))


def _first(kind: Kind, found: Iterable[Condition], count: int) -> Iterator[Condition]:
    """Yields the first MOST_TENANTS conditions, and one that counts the others."""
    yield from islice(found, MOST_TENANTS)
    if count > MOST_TENANTS:
        more = count - MOST_TENANTS
        what = "bulk mail" if kind is Kind.TENANT_PAUSED else "mail"
        yield Condition(
            kind,
            f"{what} of {more:,} more tenants waits too",
            "`sesq quota show --tenants` shows all.",
            count=more,
        )


def _fields(redis: Redis, key: str, pattern: str) -> Iterator[tuple[str, str]]:
    for name, value in redis.hscan_iter(key, match=pattern, count=SCAN_COUNT):
        yield text(name), text(value)


def _block(told: Any) -> str:
    """Reads why SES takes none of a tenant's mail, as a worker noted it; empty if none did."""
    found = read_json(told or b"null")
    return str(found[1]) if isinstance(found, list) and len(found) > 1 else ""
