"""Starts, stops and holds ramps. A ramp is a cap on the recipients of 24 hours that grows once a day, up to a goal.

Mailbox providers trust a sender whose mail grows day by day, and distrust one whose mail comes all at once. A ramp
stands still while bounces or complaints are at the rates at which bulk mail is paused. `ramp.lua` computes the cap, for
the gate and for all forecasts.
"""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Mapping
from typing import Any

from redis import Redis

from sesq.config.connection import mapped
from sesq.config.errors import InvalidPolicy
from sesq.config.quotas import DAY_SECONDS, parse_daily
from sesq.queue.fitting import free_fitting
from sesq.queue.policy import HISTORY_LENGTH
from sesq.queue.reputation import Reputation, Standing
from sesq.queue.scripts import JOBS, compose, library
from sesq.queue.tenant_limits import LEAST_DAILY, ramped_tenants
from sesq.queue.usage import read_usage, reserve_of

TUNE_RAMP = compose("tune_ramp.lua", library("ramp.lua", base=JOBS))

MOST_DAYS = 366
MOST_RECIPIENTS = 10**12
RAMP = "ramp"
"""Its field in the policy, and its name in the history."""

log = logging.getLogger("sesq.sync")


def start_ramp(
    redis: Redis,
    account: str,
    first: str | float,
    last: str | float,
    seconds: float,
    *,
    by: str,
    tenant: str = "",
) -> None:
    """Limits the day to `first` recipients from the next claim on; the limit grows to `last` in `seconds` (whole days).

    It replaces another ramp. With `tenant` it limits that tenant's day. Raises InvalidPolicy for values that make no
    sense, and then nothing has changed; and QueueUnavailable.
    """
    asked = {"from": _recipients("from", first), "to": _recipients("to", last), "days": _days(seconds)}
    if asked["to"] <= asked["from"]:
        raise InvalidPolicy(
            f"to: a ramp grows, so {asked['to']} must be more than the {asked['from']} of its first day"
        )
    reserve = read_usage(redis, account).reserve_as_set
    if tenant and asked["from"] < LEAST_DAILY:
        raise InvalidPolicy(
            f"from: a tenant needs at least {LEAST_DAILY}, the most recipients of one mail, not {asked['from']}"
        )
    if not tenant and reserve_of(reserve, asked["from"]) > asked["from"]:
        raise InvalidPolicy(
            f"from: the reserve keeps {reserve} recipients for transactional mail, more than the {asked['from']} of "
            "the first day; set the limit `reserve` to a share of each day instead, such as 10%"
        )
    _put(redis, account, asked | {"grown": 0}, by, tenant)


def put_back_ramp(redis: Redis, account: str, old: Mapping[str, Any], *, by: str, tenant: str = "") -> None:
    """Starts a ramp of the history again. It goes on from the day at which it was stopped."""
    _put(redis, account, old, by, tenant)


def stop_ramp(redis: Redis, account: str, *, by: str, tenant: str = "") -> bool:
    """Stops the ramp: from the next claim on, only the other limits count. Returns whether there was one."""
    return _tune(redis, account, "stop", {}, by, tenant=tenant)


def mind_ramp(redis: Redis, account: str, standing: Standing | None = None) -> None:
    """Holds the ramps of the account and of its tenants while bounces or complaints are alarming, then lets them go on.

    `standing`: the account's counts, just read; None: they are read here.
    """
    standing = standing or Reputation(redis, account).read()
    verb, why = ("stand", standing.words) if standing.alarming else ("go", "")
    for tenant in ("", *ramped_tenants(redis, account)):
        if _tune(redis, account, verb, {}, "sesq", why, tenant=tenant):
            told = "stands still" if standing.alarming else "goes on"
            whose = f"the ramp of tenant {tenant}" if tenant else "the ramp"
            log.warning("account %s: %s %s: %s", account, whose, told, standing.words)


def _put(redis: Redis, account: str, ramp: Mapping[str, Any], by: str, tenant: str) -> None:
    if not _tune(redis, account, "put", ramp, by, tenant=tenant):
        raise InvalidPolicy("ramp: it cannot be put back, because its record in the history is damaged")
    mind_ramp(redis, account)


def _tune(
    redis: Redis,
    account: str,
    verb: str,
    ramp: Mapping[str, Any],
    by: str,
    why: str = "",
    *,
    tenant: str = "",
) -> bool:
    with mapped():
        given = json.dumps(dict(ramp))
        changed = bool(int(TUNE_RAMP.run(redis, account, verb, given, by, why, HISTORY_LENGTH, tenant)))
    if changed and verb in ("put", "stop") and not tenant:
        free_fitting(redis, account)  # messages for more recipients may fit now
    return changed


def _recipients(name: str, given: str | float) -> int:
    """Reads a number of recipients. Raises InvalidPolicy, which names what is wrong."""
    try:
        daily = parse_daily(given)
    except InvalidPolicy as error:
        raise InvalidPolicy(f"{name}: {error}") from error
    if daily is None or not 1 <= daily <= MOST_RECIPIENTS or daily != int(daily):
        raise InvalidPolicy(
            f"{name}: {given} is no whole number of recipients in 24 hours from 1 to {MOST_RECIPIENTS}"
        )
    return int(daily)


def _days(seconds: float) -> int:
    days = seconds / DAY_SECONDS
    if not math.isfinite(days) or not 1 <= days <= MOST_DAYS or days != int(days):
        raise InvalidPolicy(
            f"over: a ramp grows once a day, so it takes whole days, from 1d to {MOST_DAYS}d, not {days:g}d"
        )
    return int(days)
