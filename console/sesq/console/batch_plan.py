"""When the recipients of a batch will have gone, by the account's limits, its ledger and what waits already."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from redis import Redis

from sesq.config.batches import Batch, Batches
from sesq.config.snapshot import read_snapshot
from sesq.console.forecast import MINUTE, Limits, forecast
from sesq.worker.gate import Gate


@dataclass(frozen=True, slots=True)
class Plan:
    """`known`: the account's limits are. `ends_at`: seconds since the epoch, None where nobody can tell.

    `days`: local date -> recipients of this batch. `ahead`: recipients that wait already and go first.
    """

    known: bool
    now: float
    ends_at: float | None
    days: Mapping[str, int]
    ahead: int
    pace: float
    daily: float | None


def plan(redis: Redis, account: str, count: int, *, of: Batch | None = None) -> Plan:
    """For `count` recipients that are queued now, or that are left of a batch."""
    gate = Gate(redis, account)
    usage = gate.usage()
    ahead = _ahead(usage.lanes, Batches(redis, account).all(), of)
    known = read_snapshot(redis, account).known
    if not known or usage.closed in ("paused", "ses_paused") or (of is not None and of.state == "paused"):
        return Plan(known, usage.now, None, {}, ahead, usage.pace, usage.daily)
    limits = Limits(usage.pace, usage.daily, usage.reserve)
    told = forecast(count, ahead, usage.now, limits, gate.ledger(), usage.others)
    return Plan(True, usage.now, told.ends_at, _days(told.minutes, count), ahead, usage.pace, usage.daily)


def _ahead(lanes: tuple[dict[str, int], ...], batches: list[Batch], of: Batch | None) -> int:
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
