"""Reads and writes the limits of tenants, which people set while the queue runs.

The gate reads them at every claim (`lua/tenants.lua`). Mail of a tenant at its limits waits in its own queue, and does
not delay other mail. SES has no quotas for tenants: these limits are sesq's own.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from redis import Redis
from redis.client import Pipeline

from sesq.config.connection import mapped
from sesq.config.errors import InvalidPolicy
from sesq.queue.addresses import shown
from sesq.queue.fields import Fields
from sesq.queue.forecast import Step
from sesq.queue.keys import Keys
from sesq.queue.limit_values import LIMITS
from sesq.queue.policy import BULK_PAUSE, HISTORY_LENGTH
from sesq.queue.replies import read_hash, read_json, text, texts
from sesq.queue.scripts import JOBS, compose, library
from sesq.queue.snapshot import redis_now
from sesq.queue.states import Lane
from sesq.queue.usage import LEDGER_SLOTS, Ramp, cap_of, read_cells

OF_TENANTS = ("rate", "daily")
RAMP, PAUSED = "ramp", "paused"
TELL_RAMP = compose("tell_ramp.lua", library("ramp.lua", base=JOBS))
LEAST_DAILY = 50
"""The most recipients of one mail: with a smaller daily limit, such a mail would wait forever."""


@dataclass(frozen=True, slots=True)
class TenantLimit:
    """Holds a tenant's recipients a second and in 24 hours (None: no limit). `used`: those of the last 24 hours."""

    rate: float | None = None
    daily: float | None = None
    used: int = 0
    ramp: Ramp | None = None
    paused: str = ""
    """Why its bulk mail waits; empty if it does not."""

    @property
    def is_limited(self) -> bool:
        return bool(self.paused or self.rate is not None or self.daily is not None or self.ramp is not None)

    @property
    def daily_now(self) -> float | None:
        """The daily limit in force: the smaller of its limit and its ramp."""
        return self.daily if self.ramp is None else cap_of(self.ramp.cap, self.daily)

    @property
    def growth(self) -> tuple[Step, ...]:
        """Its later daily limits, as its ramp grows."""
        steps = self.ramp.steps if self.ramp else ()
        return tuple(Step(at, cap_of(cap, self.daily), 0.0) for at, cap in steps)

    def as_json(self) -> dict[str, Any]:
        told = {"rate": self.rate, "daily": self.daily, "used": self.used}
        return {**told, "paused": bool(self.paused), "paused_because": self.paused or None}


class TenantLimits:
    """Reads and writes the limits of all tenants of an account. Every method raises QueueUnavailable."""

    def __init__(self, redis: Redis, account: str = "default") -> None:
        self.redis = redis
        self.keys = Keys(account)

    def show(self) -> dict[str, TenantLimit]:
        """Returns the limits of each limited tenant, by name."""
        with mapped():
            found = read_hash(self.redis, self.keys.tenant_limits)
            names = sorted({field.partition(":")[0] for field in found})
            limits = {name: self._limit(name, found) for name in names}
        return {name: limit for name, limit in limits.items() if limit.is_limited}

    def of(self, tenant: str) -> TenantLimit:
        """Returns the limits of one tenant; empty limits if it has none."""
        fields = [f"{tenant}:{name}" for name in (*OF_TENANTS, RAMP, PAUSED)]
        with mapped():
            found = texts(self.redis.hmget(self.keys.tenant_limits, fields))
            return self._limit(tenant, dict(zip(fields, found, strict=True)))

    def sent(self, tenant: str) -> dict[int, int]:
        """Reads the tenant's ledger of the last day: minute of the epoch -> recipients. Unlimited tenants have none."""
        with mapped():
            now = int(redis_now(self.redis) // 60)
            minutes = read_cells(self.redis, self.keys.tenant_day(tenant), self.keys.tenant(tenant))
            return {minute: count for minute, count in minutes.items() if now - minute < LEDGER_SLOTS}

    def _limit(self, tenant: str, found: Mapping[str, str]) -> TenantLimit:
        limits = _read(tenant, found)
        ramp = self._ramp(tenant) if found.get(f"{tenant}:{RAMP}") else None
        used = sum(self.sent(tenant).values()) if ramp or "daily" in limits else 0
        paused = found.get(f"{tenant}:{PAUSED}", "")
        return TenantLimit(limits.get("rate"), limits.get("daily"), used, ramp, paused)

    def _ramp(self, tenant: str) -> Ramp | None:
        told = read_json(TELL_RAMP.run(self.redis, self.keys.account, tenant))
        return Ramp.read(told) if told else None

    def set(self, tenant: str, changes: Mapping[str, str], *, by: str) -> None:
        """Changes limits of a tenant from the next claim on. "unlimited" for `daily` ends that limit.

        Raises InvalidPolicy for a limit that tenants do not have, or a value that makes no sense: nothing changes then.
        """
        if not changes:
            raise InvalidPolicy(f"nothing to set; a tenant has the limits {' and '.join(OF_TENANTS)}")
        self._write(tenant, {name: _value(name, given) for name, given in changes.items()}, by)

    def reset(self, tenant: str, names: list[str] | None = None, *, by: str) -> None:
        """Removes limits of a tenant: the named ones, or both."""
        for name in names or OF_TENANTS:
            _known(name)
        self._write(tenant, dict.fromkeys(names or OF_TENANTS), by)

    def pause(self, tenant: str, reason: str, *, by: str) -> None:
        """Stops a tenant's bulk mail from the next claim on, until somebody resumes it."""
        self._set_pause(tenant, reason or f"paused by {by}", by)

    def resume(self, tenant: str, *, by: str) -> None:
        """Ends the pause of a tenant."""
        self._set_pause(tenant, "", by)

    def _set_pause(self, tenant: str, reason: str, by: str) -> None:
        key, field, now = self.keys.tenant_limits, f"{tenant}:{PAUSED}", redis_now(self.redis)
        with mapped():
            old = text(self.redis.hget(key, field))
            event = _event(tenant, by, now, {BULK_PAUSE: old}, {BULK_PAUSE: reason})
            with self.redis.pipeline() as pipeline:
                if reason:
                    pipeline.hset(key, field, reason)
                else:
                    pipeline.hdel(key, field)
                self._tell(pipeline, tenant, event)
                pipeline.execute()

    def _tell(self, pipeline: Pipeline, tenant: str, event: Mapping[str, Any]) -> None:
        """Writes a change into the history. Ends the wait of the tenant's queues, which was by the old limits."""
        for lane in Lane:
            pipeline.zadd(
                self.keys.resting(self.keys.queue(lane)), {self.keys.queue(lane, tenant): 0}, xx=True
            )
        pipeline.lpush(self.keys.policy_history, json.dumps(event))
        pipeline.ltrim(self.keys.policy_history, 0, HISTORY_LENGTH - 1)
        pipeline.publish(self.keys.wake, "policy")

    def _write(self, tenant: str, values: Mapping[str, float | None], by: str) -> None:
        key, now = self.keys.tenant_limits, redis_now(self.redis)
        with mapped():
            found = read_hash(self.redis, key)
            old = _read(tenant, found)
            event = _event(
                tenant,
                by,
                now,
                {name: _told(old.get(name)) for name in values},
                {name: _told(value) for name, value in values.items()},
            )
            with self.redis.pipeline() as pipeline:
                for name, value in values.items():
                    if value is None:
                        pipeline.hdel(key, f"{tenant}:{name}")
                    else:
                        pipeline.hset(key, f"{tenant}:{name}", repr(value))
                self._write_since(pipeline, tenant, values, found, now)
                self._tell(pipeline, tenant, event)
                pipeline.execute()

    def _write_since(
        self,
        pipeline: Pipeline,
        tenant: str,
        values: Mapping[str, float | None],
        found: Mapping[str, str],
        now: float,
    ) -> None:
        """Notes since when a tenant is limited: earlier mail is not in its ledger, so it is not refunded to it."""
        key, field = self.keys.tenant_limits, f"{tenant}:since"
        others = {f"{tenant}:{name}" for name in (*OF_TENANTS, RAMP) if name not in values}
        if "daily" in values and f"{tenant}:daily" not in found:
            pipeline.hset(key, field, now)
        elif any(value is not None for value in values.values()) or others & found.keys():
            pipeline.hsetnx(key, field, str(now))
        else:
            pipeline.hdel(key, field)


def _event(
    tenant: str, by: str, now: float, old: Mapping[str, str | None], new: Mapping[str, str | None]
) -> dict[str, Any]:
    return {"by": by, "at": now, "tenant": tenant, "until": None, "force": False, "old": old, "new": new}


def ramped_tenants(redis: Redis, account: str) -> list[str]:
    """Returns the tenants whose day has a ramp. Raises QueueUnavailable."""
    with mapped():
        fields = texts(redis.hkeys(Keys(account).tenant_limits))
    parts = (each.partition(":") for each in fields)
    return sorted(tenant for tenant, _, name in parts if name == RAMP)


def _value(name: str, given: str) -> float | None:
    _known(name)
    value = float(LIMITS[name](given))
    if name == "daily" and value < 0:
        return None
    if name == "daily" and value != int(value):
        raise InvalidPolicy(f"daily: {given} is no whole number of recipients")
    if name == "daily" and value < LEAST_DAILY:
        raise InvalidPolicy(f"daily: a tenant needs at least {LEAST_DAILY}, the most recipients of one mail")
    return value


def _known(name: str) -> None:
    if name not in OF_TENANTS:
        raise InvalidPolicy(f"{shown(name)} is no limit of a tenant; a tenant has {' and '.join(OF_TENANTS)}")


def _told(value: float | None) -> str | None:
    return None if value is None else repr(value)


def _read(tenant: str, found: Mapping[str, str]) -> dict[str, float]:
    """Reads a tenant's limits. A damaged value counts as no limit, as in the gate."""
    fields = Fields({name: found.get(f"{tenant}:{name}", "") for name in OF_TENANTS})
    read = {name: fields.optional(name) for name in OF_TENANTS}
    return {name: value for name, value in read.items() if value is not None}
