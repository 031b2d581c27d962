"""Computes which mail goes before a batch: older mail of its tenant, and the turns of other tenants."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from redis import Redis

from sesq.queue.ahead import jobs_of_tenants
from sesq.queue.batch import Batch
from sesq.queue.batches import Batches
from sesq.queue.by_window import groups, waiting_by_window
from sesq.queue.conditions import tenant_conditions
from sesq.queue.forecast import Forecast, Limits
from sesq.queue.states import Lane
from sesq.queue.tenant_limits import TenantLimit, TenantLimits
from sesq.queue.usage import Usage
from sesq.queue.window_forecast import Waiting, forecast_windows
from sesq.queue.windows import look_at, outside_several, read_window, reckon


class BatchLine:
    """The mail that goes before `count` recipients of a batch, and the mail behind them. `of`: the batch; None: a batch
    that would be queued now, after all others.

    Older mail of the batch's own tenant goes before. Of each other tenant, as many recipients go before as of the
    batch's tenant, since their queues take turns.
    """

    def __init__(
        self, redis: Redis, account: str, usage: Usage, count: int, of: Batch | None, tenant: str
    ) -> None:
        self._redis, self._account, self._of, self._now = redis, account, of, usage.now
        self._tenant = (of.envelope.tenant if of else tenant) or ""
        self.window = read_window(redis, account)
        batches = [batch for batch in Batches(redis, account).all() if of is None or batch.id != of.id]
        all_batches = [*batches, of] if of else batches
        urgent = jobs_of_tenants(redis, account, Lane.TRANSACTIONAL)
        self._urgent, self._urgent_of_tenant = sum(urgent.values()), urgent.get(self._tenant, 0)
        messages = _messages(jobs_of_tenants(redis, account, Lane.BULK), all_batches)
        running = sorted((each for each in batches if each.state == "running"), key=lambda each: each.created)
        self._before: Counter[str] = Counter()
        self._behind: Counter[str] = Counter()
        own = [each for each in running if (each.envelope.tenant or "") == self._tenant]
        older = [each for each in own if of is None or each.created < of.created]
        self._own_before = _by_window(messages[self._tenant], older)
        self._before += self._own_before
        self._behind += _by_window(0, [each for each in own if each not in older])
        most = self._own_before.total() + count
        for other in {*messages, *(each.envelope.tenant or "" for each in running)} - {self._tenant}:
            theirs = [each for each in running if (each.envelope.tenant or "") == other]
            self._take_turns(_by_window(messages[other], theirs), most)

    def _take_turns(self, theirs: Mapping[str, int], most: int) -> None:
        """Counts at most `most` of them as going before the batch, and the others as behind it."""
        for window, waiting in theirs.items():
            before = min(waiting, most)
            most -= before
            self._before[window] += before
            self._behind[window] += waiting - before

    @property
    def ahead(self) -> int:
        """Recipients of both lanes that go before; a message counts as one recipient."""
        return self._urgent + self._before.total()

    def groups_before(self) -> list[Waiting]:
        """Returns the recipients that go before, grouped by when they may go."""
        return [Waiting(self._urgent), *groups(self._before, self.window)]

    def groups_behind(self) -> list[Waiting]:
        """Returns the recipients that go while the batch waits for its window, grouped by when they may go."""
        return groups(self._behind, self.window)

    def stopped(self) -> str:
        """Says why no bulk mail of its tenant goes; empty if it does."""
        found = tenant_conditions(self._redis, self._account, self._tenant) if self._tenant else []
        return next((condition.why for condition in found), "")

    def by_tenant(self, own: Sequence[Waiting], begins: float, pace: float) -> Forecast | None:
        """Forecasts the batch's end by the limits of its tenant; None if the tenant has no limits."""
        limits = TenantLimits(self._redis, self._account)
        limit = limits.of(self._tenant) if self._tenant else TenantLimit()
        if limit == TenantLimit():
            return None
        by = Limits(limit.rate or pace, limit.daily_now, growth=limit.growth)
        before = [Waiting(self._urgent_of_tenant), *groups(self._own_before, self.window)]
        return forecast_windows(own, before, begins, by, limits.sent(self._tenant))

    def own(self, count: int) -> dict[str, int]:
        """Counts the recipients of the batch by their send window."""
        of = self._of
        if of is None or not of.zone_column:
            return {of.window if of else "": count}
        found = waiting_by_window(self._redis, self._account, of.id, of.chunks)
        found[""] += max(0, count - found.total())  # those that are being sent
        return dict(+found)

    def outside(self, own: Mapping[str, int] | None = None) -> str:
        """Says why the batch, or a part of it, does not go now: a send window is closed. Empty: it may go."""
        windows = own if own is not None else self.own(1)
        reckoned = {} if self._of else reckon(windows, self._now)  # Redis may not have them yet
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


def _messages(jobs: Mapping[str, int], batches: Iterable[Batch]) -> Counter[str]:
    """Returns each tenant's messages in the bulk lane: the jobs that are not chunks of batches."""
    chunks: Counter[str] = Counter()
    for batch in batches:
        chunks[batch.envelope.tenant or ""] += batch.jobs
    return Counter({tenant: max(0, count - chunks[tenant]) for tenant, count in jobs.items()})


def _by_window(messages: int, batches: Iterable[Batch]) -> Counter[str]:
    counts = Counter({"": messages})
    for batch in batches:
        counts[batch.window] += batch.compact_waiting
    return counts
