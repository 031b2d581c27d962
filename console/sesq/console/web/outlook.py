"""The last hour and day as numbers for plots, and the forecast when the queue will be empty."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace

from redis import Redis

from sesq.config.connection import mapped
from sesq.console.overview import Overview
from sesq.queue.by_window import groups
from sesq.queue.depth_history import DepthHistory
from sesq.queue.gate import Gate
from sesq.queue.keys import Keys
from sesq.queue.limit_values import LIMITS
from sesq.queue.states import State
from sesq.queue.usage import Usage, cap_of, reserve_of
from sesq.queue.window_forecast import Waiting, forecast_windows

MINUTE = 60
REFUSED = (State.REFUSED, State.FAILED, State.SUPPRESSED)
RANGES = {"hour": (1, 60), "day": (30, 48)}
"""Range -> minutes of one column of its plots, and how many columns."""


@dataclass(frozen=True, slots=True)
class Series:
    """One range, the newest column last. `waiting` has None if no worker ran."""

    minutes: int
    sent: list[int]
    waiting: list[int | None]
    refused: list[int]
    begins: list[float]
    """When each column begins (seconds since the epoch)."""


@dataclass(frozen=True, slots=True)
class Outlook:
    """`waiting`: recipients and messages in the lanes. `empty_at` (s): None if it is not known, or never."""

    waiting: int
    empty_at: float | None


def read_series(redis: Redis, account: str, now: float, waiting_now: int) -> dict[str, Series]:
    """Reads the last hour and day. `sent`: recipients that count towards the day, by the gate's ledger."""
    ledger = Gate(redis, account).ledger()
    noted = DepthHistory(redis, account).waiting(int(now // MINUTE) - 1440)
    depth_history = {**noted, int(now // MINUTE): waiting_now}
    refused = _refused(redis, Keys(account), now)
    found = {}
    for name, (size, columns) in RANGES.items():
        begins = [_first(now, size, columns) + size * column for column in range(columns)]
        sent = [sum(ledger.get(minute, 0) for minute in range(begin, begin + size)) for begin in begins]
        waiting = [
            max(
                (depth_history[minute] for minute in range(begin, begin + size) if minute in depth_history),
                default=None,
            )
            for begin in begins
        ]
        found[name] = Series(
            size * columns, sent, waiting, refused[name], [MINUTE * begin for begin in begins]
        )
    return found


def _first(now: float, size: int, columns: int) -> int:
    """Returns the first minute of the first column; the last column ends with this minute."""
    return int(now // MINUTE) + 1 - size * columns


def _refused(redis: Redis, keys: Keys, now: float) -> dict[str, list[int]]:
    with mapped():
        pipeline = redis.pipeline(transaction=False)
        for size, columns in RANGES.values():
            for column in range(columns):
                begin = (_first(now, size, columns) + size * column) * MINUTE
                for state in REFUSED:
                    pipeline.zcount(keys.state(state), begin, f"({begin + size * MINUTE}")
        counts = iter(pipeline.execute())
    return {
        name: [sum(next(counts) for _ in REFUSED) for _ in range(columns)]
        for name, (_, columns) in RANGES.items()
    }


def look_ahead(redis: Redis, view: Overview, usage: Usage | None = None) -> Outlook:
    """Forecasts when both lanes will be empty, with these limits, or with those in force if none are given.

    A message of several recipients counts as one.
    """
    usage = usage or view.usage
    waiting = sum(lane.queued for lane in view.lanes) + view.outside_windows
    bulk = waiting > view.lanes[0].queued
    if usage.closed or not view.snapshot.known or (bulk and view.bulk_paused):
        return Outlook(waiting, None)
    # what waits in the transactional lane may use the reserve
    limits = usage.limits(reserve=bulk)
    window = view.bulk_window.window if view.bulk_window else ""
    own = [Waiting(view.lanes[0].queued), *groups(Counter(view.bulk), window)]
    told = forecast_windows(own, [], usage.now, limits, Gate(redis, view.account).ledger(), usage.others)
    return Outlook(waiting, told.ends_at)


def changed(view: Overview, changes: Mapping[str, str], *, force: bool) -> Usage:
    """Returns the limits as they would be after these changes. Raises InvalidPolicy."""
    usage, ses = view.usage, view.snapshot
    values = {name: LIMITS[name](text) for name, text in changes.items()}
    if "rate" in values:
        rate = float(values["rate"])
        allowed = math.inf if force or ses.rate is None or ses.rate < 0 else ses.rate
        usage = replace(usage, rate=min(rate, allowed))
    if "daily" in values:
        ceiling = _daily(float(values["daily"]), ses.daily, force=force)
        daily = cap_of(usage.ramp.cap, ceiling) if usage.ramp else ceiling
        usage = replace(usage, ceiling=ceiling, daily=daily)
    if "margin" in values:
        usage = replace(usage, margin=float(values["margin"]))
    if "reserve" in values:
        usage = replace(usage, reserve_as_set=values["reserve"])
    if "burst" in values:
        usage = replace(usage, burst=float(values["burst"]))
    reserve = reserve_of(usage.reserve_as_set, usage.daily)
    return replace(usage, reserve=reserve, pace=usage.rate * (1 - usage.margin) * (1 - usage.slow))


def _daily(asked: float, ses: float | None, *, force: bool) -> float | None:
    if force or ses is None or ses < 0:
        return None if asked < 0 else asked
    return ses if asked < 0 else min(asked, ses)
