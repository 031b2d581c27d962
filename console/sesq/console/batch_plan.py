"""When the recipients of a batch will have gone, by the account's limits, its ledger and what waits already."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from redis import Redis

from sesq.queue.batch import Batch
from sesq.queue.batches import Batches
from sesq.queue.by_window import groups, waiting_by_window
from sesq.queue.forecast import MINUTE
from sesq.queue.gate import Gate
from sesq.queue.snapshot import read_snapshot
from sesq.queue.usage import SUSPENDED, Usage
from sesq.queue.window_forecast import Waiting, forecast_windows
from sesq.queue.windows import look_at, never_open, outside_several, read_window, reckon


@dataclass(frozen=True, slots=True)
class Plan:
    """`known`: the account's limits are. `ends_at`: seconds since the epoch; None where nobody can tell, and `endless`
    is why.

    `days`: local date -> recipients of this batch. `ahead`: recipients that wait already and go first. `outside`: why
    nothing, or some of it, goes now: a send window is closed.
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
TOO_LONG_IN_WINDOWS = "in its send windows, by the limits in force, it takes too long to tell"


def plan(
    redis: Redis,
    account: str,
    count: int,
    *,
    stuck: int = 0,
    of: Batch | None = None,
    starts_at: float | None = None,
    windows: Mapping[str, int] | None = None,
) -> Plan:
    """For `count` recipients that are queued now, or that are left of a batch, beside those that wait for no time.

    `starts_at`: before that none of them goes (s). `windows`: how many of them go in which send window.
    """
    gate = Gate(redis, account)
    usage = gate.usage()
    line = _Line(redis, account, usage, of)
    ahead = line.ahead
    known = read_snapshot(redis, account).known
    endless = _endless(known, usage, of, stuck=bool(stuck and not count))
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


class _Line:
    """What goes before a batch, and behind it; of None: it is queued last."""

    def __init__(self, redis: Redis, account: str, usage: Usage, of: Batch | None) -> None:
        batches = Batches(redis, account).all()
        urgent, bulk = (int(lane["queued"]) for lane in usage.lanes)
        messages = max(0, urgent + bulk - sum(batch.jobs for batch in batches))
        self._redis, self._account, self._of, self._now = redis, account, of, usage.now
        self._urgent, self._messages = min(urgent, messages), messages - min(urgent, messages)
        running = [
            batch for batch in batches if batch.state == "running" and (of is None or batch.id != of.id)
        ]
        self._before = [batch for batch in running if of is None or batch.created < of.created]
        self._behind = [batch for batch in running if batch not in self._before]
        self.window = read_window(redis, account)

    @property
    def ahead(self) -> int:
        """Messages in both lanes, and recipients of batches begun before."""
        return self._urgent + self._messages + sum(batch.compact_waiting for batch in self._before)

    def groups_before(self) -> list[Waiting]:
        """The same, each with its openings."""
        return [
            Waiting(self._urgent),
            *groups(Counter({"": self._messages}) + _by_window(self._before), self.window),
        ]

    def groups_behind(self) -> list[Waiting]:
        """What goes while the batch may not."""
        return groups(_by_window(self._behind), self.window)

    def own(self, count: int) -> dict[str, int]:
        """Recipients of the batch, by their send window."""
        of = self._of
        if of is None or not of.zone_column:
            return {of.window if of else "": count}
        found = waiting_by_window(self._redis, self._account, of.id, of.chunks)
        found[""] += max(0, count - found.total())  # those on their way
        return dict(+found)

    def outside(self, own: Mapping[str, int] | None = None) -> str:
        """Why nothing, or some of the batch, goes now: a send window is closed."""
        windows = own if own is not None else self.own(1)
        reckoned = {} if self._of else reckon(windows, self._now)  # Redis need not know them yet
        views = look_at(self._redis, self._account, [self.window, *windows]) | reckoned
        if self.window and views[self.window].opens_at is not None:
            return views[self.window].why
        closed = {
            window: views[window] for window in windows if window and views[window].opens_at is not None
        }
        if len(windows) == 1 or not closed:
            return next((view.why for view in closed.values()), "")
        count = sum(windows[window] for window in closed)
        return f"{count:,} are {outside_several(closed.values())}"


def _by_window(batches: list[Batch]) -> Counter[str]:
    counts: Counter[str] = Counter()
    for batch in batches:
        counts[batch.window] += batch.compact_waiting
    return counts


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


def _days(minutes: Mapping[int, float], count: int) -> dict[str, int]:
    """Whole recipients by local date; what rounding loses is in the last day."""
    exact: Counter[str] = Counter()
    for minute, recipients in minutes.items():
        exact[datetime.fromtimestamp(minute * MINUTE).astimezone().date().isoformat()] += recipients  # type: ignore[assignment]
    days = {day: round(recipients) for day, recipients in exact.items()}
    if days:
        days[max(days)] += count - sum(days.values())
    return {day: recipients for day, recipients in sorted(days.items()) if recipients}
