"""Explains why a message waits, and when it will go, by the limits in force and the mail before it."""

from __future__ import annotations

from dataclasses import replace

from redis import Redis

from sesq.config.connection import mapped
from sesq.config.numbers import number_of
from sesq.config.quotas import format_rate
from sesq.queue.ahead import Ahead, count_ahead
from sesq.queue.chunks import place_of
from sesq.queue.conditions import Kind, read_account_conditions, tenant_conditions
from sesq.queue.forecast import LONGEST_MINUTES, MINUTE, Limits, forecast
from sesq.queue.job import rq_key
from sesq.queue.keys import Keys
from sesq.queue.record import Record
from sesq.queue.replies import text
from sesq.queue.snapshot import read_snapshot
from sesq.queue.states import Lane, State
from sesq.queue.tenant_limits import TenantLimit, TenantLimits
from sesq.queue.usage import Usage, read_ledger, read_usage
from sesq.queue.window_forecast import Waiting, forecast_windows
from sesq.queue.windows import OUTSIDE, look_at, openings_of, opens

SOON_SECONDS = 1.0
NO_WORKER = "no worker is running: `sesq worker` starts one"
NO_JOB = (
    "its RQ job is in no queue: a stock RQ worker has it, or somebody removed it, and sesq puts it back soon"
)


def explain(redis: Redis, record: Record) -> Record:
    """Adds `waits_because` and `goes_at` to the record of a message that waits. Raises QueueUnavailable.

    `goes_at` (seconds since the epoch) counts each message before it as one recipient. None: it cannot be known.
    """
    if record.state is State.SCHEDULED:
        return replace(record, waits_because=_scheduled(record), goes_at=record.send_at)
    if record.state is State.RETRYING:
        return replace(record, waits_because=record.reason, goes_at=_due(redis, record))
    if record.state in (State.HELD, State.UNKNOWN):
        return replace(record, waits_because=record.reason)
    if record.state is not State.QUEUED:
        return record
    because, at = _in_its_lane(redis, record)
    if at is not None and record.expires_at is not None and at > record.expires_at:
        because, at = f"{because}; it expires before it can go", None
    return replace(record, waits_because=because, goes_at=at)


def _scheduled(record: Record) -> str:
    if not record.reason.startswith(OUTSIDE):
        return "its time has not come"
    return record.reason + opens(record.reason.removeprefix(OUTSIDE), record.send_at)


def _due(redis: Redis, record: Record) -> float | None:
    queue = Keys(record.account).queue(Lane(record.lane))
    with mapped():
        return redis.zscore(rq_key("scheduled", queue), record.id)


def _in_its_lane(redis: Redis, record: Record) -> tuple[str, float | None]:
    usage, lane = read_usage(redis, record.account), Lane(record.lane)
    closed = _closed(redis, record, usage, lane)
    if closed:
        return closed, None
    found = count_ahead(redis, record, lane)
    if found is None:
        return NO_JOB, None
    by = _by_windows if found.has_windows else _by_account
    told, at = by(redis, record, usage, lane, found)
    by_tenant = _by_tenant(redis, record, usage, found.own + found.urgent_of_tenant)
    if by_tenant and (by_tenant[1] is None or (at is not None and by_tenant[1] > at + SOON_SECONDS)):
        return by_tenant
    return told, at


def _by_tenant(redis: Redis, record: Record, usage: Usage, ahead: int) -> tuple[str, float | None] | None:
    """Says why a message waits by the limits of its tenant, and until when; None if the tenant has no limits."""
    tenant, limits = record.envelope.tenant, TenantLimits(redis, record.account)
    own = limits.of(tenant) if tenant else TenantLimit()
    if tenant is None or own == TenantLimit():
        return None
    words = [format_rate(own.rate)] if own.rate else []
    words += [f"{own.daily_now:,.10g} in 24 hours, of which {own.used:,} are used"] if own.daily_now else []
    words += ["more each day by its ramp"] if own.growth else []
    told = f"tenant {tenant} may send {' and '.join(words)}; {_go(ahead, of=' of the tenant')} before it"
    by = Limits(own.rate or usage.pace, own.daily_now, growth=own.growth)
    return told, forecast(record.envelope.rate_cost, ahead, usage.now, by, limits.sent(tenant)).ends_at


def _by_account(
    redis: Redis, record: Record, usage: Usage, lane: Lane, found: Ahead
) -> tuple[str, float | None]:
    """Says why a message waits by the limits of the account, and until when."""
    ahead = found.all
    reserve = usage.reserve if lane is Lane.BULK else 0.0
    cost = record.envelope.rate_cost
    if _fits(usage, ahead + cost + reserve):
        wait = (ahead + min(cost, usage.burst) - usage.tokens) / usage.pace
        told = f"{_go(ahead)} before it, at {format_rate(usage.shown_rate)}"
        if wait > LONGEST_MINUTES * MINUTE:
            return told, None
        return told if wait > SOON_SECONDS else "it may go now", usage.now + max(0.0, wait)
    limits = usage.limits(reserve=lane is Lane.BULK)
    ledger = read_ledger(redis, record.account)
    told = _no_room(usage, ahead, reserve)
    return told, forecast(cost, ahead, usage.now, limits, ledger, usage.others).ends_at


def _fits(usage: Usage, recipients: float) -> bool:
    return usage.daily is None or usage.total + usage.others + recipients <= usage.daily


def _no_room(usage: Usage, ahead: int, reserve: float) -> str:
    used = f"{usage.total + usage.others:,.10g} of {usage.daily:,.10g}"
    told = f"the day has no room for it yet: {used} recipients in 24 hours"
    told += f", {ahead:,} before it" if ahead else ""
    told += f", and {reserve:,.10g} are kept for transactional mail" if reserve else ""
    return told + _by_ramp(usage)


def _by_ramp(usage: Usage) -> str:
    """Says that a ramp limits the day; empty if it does not."""
    ramp = usage.ramp
    if ramp is None or not usage.ramp_counts:
        return ""
    if ramp.still_since is not None:
        return f"; the ramp of {ramp.first} to {ramp.last} stands still: {ramp.still_because}"
    return f"; a ramp limits the day, from {ramp.first} to {ramp.last} recipients in {ramp.days} days"


def _by_windows(
    redis: Redis, record: Record, usage: Usage, _lane: Lane, found: Ahead
) -> tuple[str, float | None]:
    """Says the same as `_by_account`, for bulk mail with a send window or behind mail with one."""
    views = look_at(redis, record.account, found.windows)
    cost = record.envelope.rate_cost
    told = forecast_windows(
        [Waiting(cost, openings_of(found.windows))],
        found.groups_before,
        usage.now,
        usage.limits(reserve=True),
        read_ledger(redis, record.account),
        usage.others,
        found.groups_behind,
    )
    closed = next((view for view in views.values() if view.opens_at is not None), None)
    at = None if told.ends_at is None else max(usage.now, told.ends_at - cost / usage.pace)
    if closed is not None:
        return closed.why, at if closed.known else None
    if not _fits(usage, found.all + cost + usage.reserve):
        return _no_room(usage, found.all, usage.reserve), at
    if at is not None and at - usage.now <= SOON_SECONDS:
        return "it may go now", at
    return f"{_go(found.all)} before it, at {format_rate(usage.shown_rate)}", at


def _closed(redis: Redis, record: Record, usage: Usage, lane: Lane) -> str:
    """Says why nothing of its lane may go, whatever the limits are; empty if mail may go."""
    tenant = record.envelope.tenant or ""
    account = record.account
    found = [
        *read_account_conditions(redis, account, usage, read_snapshot(redis, account)),
        *(tenant_conditions(redis, account, tenant) if tenant else ()),
    ]
    stops: dict[Kind, str] = {each.kind: each.why for each in found if each.stops(lane, tenant)}
    unsynced = stops.pop(Kind.UNSYNCED, "")
    for why in stops.values():
        return why
    with mapped():
        batch = _paused_batch(redis, record)
        if batch:
            return f"its batch is paused: {batch}"
        if not redis.scard(rq_key("workers", Keys(account).queue(lane))):
            return NO_WORKER
    return unsynced if usage.closed else ""


def _paused_batch(redis: Redis, record: Record) -> str:
    """Says why its batch is paused; empty if it has no batch, or that is not paused."""
    place = place_of(record.id)
    if place is None:
        return ""
    state, reason = redis.hmget(Keys(record.account).batch(place.batch), "state", "reason")
    return text(reason) if state == b"paused" else ""


def _go(ahead: float, of: str = "") -> str:
    verb = "goes" if ahead == 1 else "go"
    return f"{number_of(ahead, 'recipient')}{of} {verb}"
