"""Plans when the recipients of a batch go, by the account's limits, its ledger and what waits already."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from redis import Redis

from sesq.console.batch_line import BatchLine
from sesq.queue.batch import Batch
from sesq.queue.by_window import groups
from sesq.queue.forecast import MINUTE, Forecast
from sesq.queue.gate import Gate
from sesq.queue.snapshot import read_snapshot
from sesq.queue.usage import SUSPENDED, Usage
from sesq.queue.window_forecast import forecast_windows
from sesq.queue.windows import never_open


@dataclass(frozen=True, slots=True)
class Plan:
    """`known`: whether the account's limits are known. `ends_at`: seconds since the epoch; None if it cannot be
    computed, and `endless` says why.

    `days`: local date -> recipients of this batch. `ahead`: recipients that wait already and go first. `outside`:
    why the batch, or a part of it, does not go now: a send window is closed.
    """

    known: bool
    now: float
    ends_at: float | None
    days: Mapping[str, int]
    ahead: int
    rate: float
    daily: float | None
    endless: str = ""
    grows: bool = False
    """Whether a ramp lets more go each day."""
    outside: str = ""


TOO_LONG = "by the limits in force it takes longer than ten years"
TOO_LONG_IN_WINDOWS = "with these send windows and limits it takes too long to compute"


def plan(
    redis: Redis,
    account: str,
    count: int,
    *,
    stuck: int = 0,
    of: Batch | None = None,
    starts_at: float | None = None,
    windows: Mapping[str, int] | None = None,
    tenant: str = "",
) -> Plan:
    """Plans `count` recipients that are queued now, or that are left of a batch. Those of the batch that are held or
    unknown are not among them.

    `starts_at`: none of them goes before that (s). `windows`: send window -> how many of them go in it. `tenant`: whose
    mail it is; with `of`, the tenant of that batch counts.
    """
    gate = Gate(redis, account)
    usage = gate.usage()
    line = BatchLine(redis, account, usage, count, of, tenant)
    ahead = line.ahead
    known = read_snapshot(redis, account).known
    endless = _endless(known, usage, of, stuck=bool(stuck and not count)) or line.stopped()
    if endless:
        return Plan(
            known, usage.now, None, {}, ahead, usage.shown_rate, usage.daily, endless, outside=line.outside()
        )
    begins = max(usage.now, starts_at or (of.starts_at if of else None) or 0)
    own = windows if windows is not None else line.own(count)
    before, behind = line.groups_before(), line.groups_behind()
    parts = groups(Counter(own), line.window)
    told = forecast_windows(
        parts, before, begins, usage.limits(reserve=True), gate.ledger(), usage.others, behind
    )
    told = later_of(told, line.by_tenant(parts, begins, usage.pace))
    days = _days(told.minutes, count)
    endless = "" if told.ends_at else _too_long(line.window, own, begins)
    return Plan(
        True,
        usage.now,
        told.ends_at,
        days,
        ahead,
        usage.shown_rate,
        usage.daily,
        endless,
        bool(usage.growth),
        line.outside(own),
    )


def _too_long(account_window: str, own: Mapping[str, int], now: float) -> str:
    never = next(filter(None, (never_open([account_window, window], now) for window in own)), "")
    if never:
        return never
    return TOO_LONG_IN_WINDOWS if account_window or any(own) else TOO_LONG


def _endless(known: bool, usage: Usage, of: Batch | None, *, stuck: bool) -> str:
    """Says why it is not known when it ends; empty if the limits tell it."""
    if not known:
        return "SES has not described the account yet"
    if usage.closed == "suspended":
        return SUSPENDED
    if usage.closed == "ses_paused":
        return "SES sends nothing for the account"
    if usage.closed == "paused" or (of is not None and of.state == "paused" and not of.starts_at):
        return "sending is paused"
    if usage.lanes[-1]["paused"]:
        return "bulk mail is paused"
    return "all of it is held" if stuck else ""


def later_of(one: Forecast, other: Forecast | None) -> Forecast:
    """Returns the forecast that ends later; one that never ends counts as the latest."""
    if other is None or one.ends_at is None or (other.ends_at is not None and other.ends_at <= one.ends_at):
        return one
    return other


def _days(minutes: Mapping[int, float], count: int) -> dict[str, int]:
    """Counts whole recipients by local date. The last day gets what rounding loses."""
    exact: Counter[str] = Counter()
    for minute, recipients in minutes.items():
        exact[datetime.fromtimestamp(minute * MINUTE).astimezone().date().isoformat()] += recipients  # type: ignore[assignment]
    days = {day: round(recipients) for day, recipients in exact.items()}
    if days:
        days[max(days)] += count - sum(days.values())
    return {day: recipients for day, recipients in sorted(days.items()) if recipients}
