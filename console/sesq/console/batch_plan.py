"""When the recipients of a batch will have gone, by the account's limits, its ledger and what waits already."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from redis import Redis

from sesq.queue.batch import Batch
from sesq.queue.batches import Batches
from sesq.queue.forecast import MINUTE, forecast
from sesq.queue.gate import Gate
from sesq.queue.snapshot import read_snapshot
from sesq.queue.usage import SUSPENDED, Usage


@dataclass(frozen=True, slots=True)
class Plan:
    """`known`: the account's limits are. `ends_at`: seconds since the epoch; None where nobody can tell, and `endless`
    is why.

    `days`: local date -> recipients of this batch. `ahead`: recipients that wait already and go first.
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


def plan(
    redis: Redis,
    account: str,
    count: int,
    *,
    stuck: int = 0,
    of: Batch | None = None,
    starts_at: float | None = None,
) -> Plan:
    """For `count` recipients that are queued now, or that are left of a batch, beside those that wait for no time.

    `starts_at`: before that none of them goes (s).
    """
    gate = Gate(redis, account)
    usage = gate.usage()
    ahead = _ahead(usage.lanes, Batches(redis, account).all(), of)
    known = read_snapshot(redis, account).known
    endless = _endless(known, usage, of, stuck=bool(stuck and not count))
    if endless:
        return Plan(known, usage.now, None, {}, ahead, usage.shown_rate, usage.daily, endless)
    begins = max(usage.now, starts_at or (of.starts_at if of else None) or 0)
    told = forecast(count, ahead, begins, usage.limits(reserve=True), gate.ledger(), usage.others)
    days = _days(told.minutes, count)
    endless = "" if told.ends_at else "by the limits in force it takes longer than ten years"
    return Plan(
        True, usage.now, told.ends_at, days, ahead, usage.shown_rate, usage.daily, endless, bool(usage.growth)
    )


def _endless(known: bool, usage: Usage, of: Batch | None, *, stuck: bool) -> str:
    """Why nobody can tell when it ends, whatever the limits; empty where the limits tell it."""
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


def _ahead(lanes: tuple[dict[str, Any], ...], batches: list[Batch], of: Batch | None) -> int:
    """Messages in both lanes, and recipients of batches begun before."""
    messages = sum(int(lane["queued"]) for lane in lanes) - sum(batch.jobs for batch in batches)
    before = [
        batch for batch in batches if batch.state == "running" and (of is None or batch.created < of.created)
    ]
    return max(0, messages) + sum(batch.compact_waiting for batch in before)


def _days(minutes: Mapping[int, float], count: int) -> dict[str, int]:
    """Whole recipients by local date; what rounding loses is in the last day."""
    exact: Counter[str] = Counter()
    for minute, recipients in minutes.items():
        exact[datetime.fromtimestamp(minute * MINUTE).astimezone().date().isoformat()] += recipients  # type: ignore[assignment]
    days = {day: round(recipients) for day, recipients in exact.items()}
    if days:
        days[max(days)] += count - sum(days.values())
    return {day: recipients for day, recipients in sorted(days.items()) if recipients}
