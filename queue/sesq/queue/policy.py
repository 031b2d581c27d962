"""Reads and writes the policy: the limits that people set while the queue runs. The gate reads them at every claim.

There are three layers: the limits of `sesq quota set` (until `sesq quota reset`), those of `sesq.toml` when the last
worker started, and those of SES. The first layer with a value counts. A limit above SES's counts only if it was forced.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, cast

from redis import Redis

from sesq.config.connection import mapped
from sesq.config.errors import InvalidPolicy
from sesq.queue.fields import Fields
from sesq.queue.fitting import free_fitting
from sesq.queue.keys import Keys
from sesq.queue.limit_values import LIMITS
from sesq.queue.replies import read_entries, read_hash
from sesq.queue.snapshot import read_snapshot, redis_now
from sesq.queue.usage import read_usage
from sesq.queue.windows import WINDOW, times_of

HISTORY_LENGTH = 1000

PAUSE, BULK_PAUSE = "paused", "paused:bulk"
FORCE, FORCE_FOR = "force", "force:for"
"""Which limits may lie above SES's limits: those set to stay, and those set for a time."""
LIMITED_BY_SES = {"rate": "a second", "daily": "in 24 hours"}
"""The limits that SES has too, and the unit of each."""


@dataclass(frozen=True, slots=True)
class Setting:
    """Describes one limit. `origin`: `set`, `sesq.toml`, `SES` or `default`. `until`: seconds since the epoch."""

    value: str | None
    origin: str
    until: float | None = None
    forced: bool = False


class Policy:
    """Reads and writes the policy of one account. Every method raises QueueUnavailable."""

    def __init__(self, redis: Redis, account: str = "default") -> None:
        self.redis = redis
        self.keys = Keys(account)

    def show(self) -> dict[str, Setting]:
        """Returns every limit with its value and its origin."""
        own, configured = self._layer(self.keys.policy), self._layer(self.keys.configured)
        snapshot = read_snapshot(self.redis, self.keys.account)
        theirs = {"rate": snapshot.rate, "daily": snapshot.daily}
        now = redis_now(self.redis)
        return {name: _setting(name, own, configured, theirs.get(name), now) for name in LIMITS}

    @property
    def paused(self) -> str:
        """Why a person paused the account; empty if nobody did."""
        return self._layer(self.keys.policy).get(PAUSE, "")

    @property
    def bulk_paused(self) -> str:
        """Why the bulk lane is paused; empty if it is not."""
        return self._layer(self.keys.policy).get(BULK_PAUSE, "")

    def configure(self, limits: Mapping[str, str], window: str = "") -> None:
        """Writes the limits and the send window of `sesq.toml`, when a worker starts. Raises InvalidPolicy."""
        fields: dict[Any, Any] = {name: LIMITS[name](text) for name, text in limits.items()}
        times = times_of(window, redis_now(self.redis)) if window else ""
        with mapped(), self.redis.pipeline() as pipeline:
            pipeline.delete(self.keys.configured)
            if window:
                pipeline.hset(self.keys.windows, window, times)
            # empty if there is none: a missing field means that Redis has lost it
            pipeline.hset(self.keys.configured, mapping=fields | {WINDOW: window})
            pipeline.execute()

    def check(
        self, changes: Mapping[str, str], *, for_seconds: float | None = None, force: bool = False
    ) -> dict[str, str]:
        """Checks changes as `set` does, and raises InvalidPolicy. Returns the values as the gate reads them."""
        if not changes:
            raise InvalidPolicy(f"nothing to set; the limits are {', '.join(LIMITS)}")
        if for_seconds is not None and not 0 < for_seconds < math.inf:
            raise InvalidPolicy(f"for: a limit cannot hold for {for_seconds:g} seconds")
        values = {name: _known(name)(text) for name, text in changes.items()}
        above = self._above_ses(values)
        if above and not force:
            raise InvalidPolicy(
                f"{'; '.join(above.values())}; SES would refuse the rest; to set it all the same, give force="
            )
        self._check_reserve(values)
        return values

    def set(
        self, changes: Mapping[str, str], *, by: str, for_seconds: float | None = None, force: bool = False
    ) -> None:
        """Changes limits from the next claim on, in every process; with `for_seconds`, only for that long.

        Raises InvalidPolicy for a value that makes no sense, for one above SES's limit without `force`, and for a time
        that is not above 0. Nothing has changed then.
        """
        values = self.check(changes, for_seconds=for_seconds, force=force)
        own, now = self._layer(self.keys.policy), redis_now(self.redis)
        force_field = FORCE if for_seconds is None else FORCE_FOR
        # kept even if no value is above SES's now: SES's limits may be known later, and may change
        forced = (_forced(own, force_field) - set(values)) | (
            {*values} & {*LIMITED_BY_SES} if force else set()
        )
        fields: dict[str, str | float] = {force_field: ",".join(sorted(forced))}
        if for_seconds is None:
            fields.update(values)
        else:
            fields.update({f"{name}:for": value for name, value in values.items()})
            fields.update({f"{name}:until": now + for_seconds for name in values})
        stale = (
            [f"{name}:{part}" for name in values for part in ("for", "until")] if for_seconds is None else []
        )
        until = None if for_seconds is None else now + for_seconds
        event = {
            "by": by,
            "at": now,
            **_replaced(own, values, now),
            "new": values,
            "until": until,
            "force": force,
        }
        self._write(fields, stale, event)
        self._try_the_large_again(values)

    def reset(self, names: list[str] | None = None, *, by: str) -> None:
        """Removes what `set` wrote, for the named limits or for all: those of `sesq.toml` or SES then count."""
        names = names or list(LIMITS)
        for name in names:
            _known(name)
        own, now = self._layer(self.keys.policy), redis_now(self.redis)
        stale = [field for name in names for field in (name, f"{name}:for", f"{name}:until")]
        fields = {FORCE: ",".join(sorted(_forced(own, FORCE) - set(names)))}
        event = {"by": by, "at": now, **_replaced(own, names, now), "new": None}
        self._write(fields, stale, event)
        self._try_the_large_again(names)

    def pause(self, reason: str, *, by: str, bulk_only: bool = False) -> None:
        """Stops all mail, or bulk mail, from the next claim on, in every process, until somebody resumes it."""
        self._set_pause(reason or f"paused by {by}", by, bulk_only)

    def resume(self, *, by: str, bulk_only: bool = False) -> None:
        """Ends a pause: that of the account, or that of bulk mail."""
        self._set_pause("", by, bulk_only)

    def _set_pause(self, reason: str, by: str, bulk_only: bool) -> None:
        field, old = (BULK_PAUSE, self.bulk_paused) if bulk_only else (PAUSE, self.paused)
        event = {"by": by, "at": redis_now(self.redis), "old": {field: old}, "new": {field: reason}}
        self._write({field: reason}, [], event)

    def history(self, limit: int = 50) -> list[dict[str, Any]]:
        """Returns who changed what, when, from which value to which; newest first.

        Times are seconds since the epoch.
        """
        with mapped():
            return read_entries(self.redis, self.keys.policy_history, limit, "by")

    def _try_the_large_again(self, names: Iterable[str]) -> None:
        """Frees messages that had more recipients than the daily quota, if they fit now."""
        if {"daily", "reserve"} & set(names):
            free_fitting(self.redis, self.keys.account)

    def _layer(self, key: str) -> dict[str, str]:
        with mapped():
            return read_hash(self.redis, key)

    def _above_ses(self, values: Mapping[str, str]) -> dict[str, str]:
        """Says which values are above SES's limits. None is, if SES's limits are not known."""
        snapshot = read_snapshot(self.redis, self.keys.account)
        above = {}
        for name, unit in LIMITED_BY_SES.items():
            limit = snapshot.rate if name == "rate" else snapshot.daily
            value = float(values.get(name, 0))
            if limit is not None and limit >= 0 and (value > limit or (name == "daily" and value < 0)):
                above[name] = f"{name}: {value:,.10g} is above the {limit:,.10g} {unit} that SES allows"
        return above

    def _check_reserve(self, values: Mapping[str, str]) -> None:
        settings = {name: setting.value for name, setting in self.show().items()} | dict(values)
        reserve, daily = settings["reserve"], Fields({"daily": settings["daily"] or "-1"}).number("daily")
        ramp = read_usage(self.redis, self.keys.account).ramp
        if ramp:
            daily = ramp.cap if daily < 0 else min(daily, ramp.cap)
        if reserve and not reserve.endswith("%") and 0 <= daily < Fields({"": reserve}).number(""):
            raise InvalidPolicy(
                f"reserve: {reserve} is more than the {daily:,.10g} recipients of a whole day"
            )

    def _write(self, fields: Mapping[str, str | float], stale: list[str], event: Mapping[str, Any]) -> None:
        with mapped(), self.redis.pipeline() as pipeline:
            if stale:
                pipeline.hdel(self.keys.policy, *stale)
            pipeline.hset(self.keys.policy, mapping=cast("dict[Any, Any]", fields))
            pipeline.lpush(self.keys.policy_history, json.dumps(event))
            pipeline.ltrim(self.keys.policy_history, 0, HISTORY_LENGTH - 1)
            # waiting workers got their times by the old limits
            pipeline.delete(self.keys.token_waiters, self.keys.bulk_token_waiters)
            pipeline.publish(self.keys.wake, "policy")
            pipeline.execute()


def _known(name: str) -> Callable[[str], str]:
    if name not in LIMITS:
        raise InvalidPolicy(f"there is no limit called {name!r}; the limits are {', '.join(LIMITS)}")
    return LIMITS[name]


def _replaced(own: Mapping[str, str], names: Collection[str], now: float) -> dict[str, Any]:
    """Returns the values that a change replaces, and which of them were forced, so that it can be undone.

    `old` has the limits that were set to stay, `old_for` those that are set for a time which is not over.
    """
    old = {name: own.get(name) for name in names}
    until = {name: Fields(own).number(f"{name}:until") for name in names}
    old_for = {
        name: {"value": own.get(f"{name}:for"), "until": at, "forced": name in _forced(own, FORCE_FOR)}
        for name, at in until.items()
        if at > now
    }
    told = {"old": old, "old_forced": sorted(_forced(own, FORCE) & old.keys())}
    return {**told, "old_for": old_for} if old_for else told


def _forced(own: Mapping[str, str], field: str) -> set[str]:
    return {name for name in own.get(field, "").split(",") if name}


def _setting(
    name: str,
    own: Mapping[str, str],
    configured: Mapping[str, str],
    theirs: float | None,
    now: float,
) -> Setting:
    until = Fields(own).number(f"{name}:until")
    if until > now:
        return Setting(own.get(f"{name}:for"), "set", until, name in _forced(own, FORCE_FOR))
    for layer, origin in ((own, "set"), (configured, "sesq.toml")):
        if name in layer:
            return Setting(layer[name], origin, None, name in _forced(own, FORCE))
    if theirs is not None:
        return Setting(repr(theirs), "SES")
    return Setting(None, "default")
