"""The page that Prometheus reads. Every number is in Redis already, so this process counts nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4 as CONTENT_TYPE
from prometheus_client.registry import Collector
from redis import Redis

from sesq.config.connection import mapped
from sesq.console.checkup.movement import stuck
from sesq.console.overview import Overview, read_overview
from sesq.console.web.outlook import look_ahead
from sesq.queue.conditions import Kind
from sesq.queue.fields import Fields
from sesq.queue.keys import Keys
from sesq.queue.replies import read_hash
from sesq.queue.states import Lane, State

__all__ = ["CONTENT_TYPE", "exposition"]

UNLIMITED = float("inf")

LIMITS: tuple[tuple[str, str, Callable[[Overview], float]], ...] = (
    ("rate_limit_recipients_per_second", "Rate in force.", lambda view: view.usage.rate),
    ("pace_recipients_per_second", "Rate less margin and throttle.", lambda view: view.usage.pace),
    ("daily_limit_recipients", "In 24 hours; +Inf: unlimited.", lambda view: _or_inf(view.usage.daily)),
    (
        "daily_remaining_recipients",
        "Recipients that may still go now.",
        lambda view: _or_inf(view.usage.remaining),
    ),
    ("daily_reserve_recipients", "Kept for transactional mail.", lambda view: view.usage.reserve),
    ("ramp_limit_recipients", "What a ramp allows; +Inf: there is no ramp.", lambda view: _ramp_cap(view)),
    (
        "ramp_stands_still",
        "1 while bounces or complaints keep a ramp from growing.",
        lambda view: float(_stands_still(view)),
    ),
    ("ledger_recipients", "In the last 24 hours, by sesq's ledger.", lambda view: view.usage.last_24h),
    ("ledger_other_recipients", "In the last 24 hours, by others.", lambda view: view.usage.others),
    ("tokens", "Recipients that may go at once; negative: debt.", lambda view: view.usage.tokens),
    ("paused", "1 if a person or SES has paused it.", lambda view: float(view.paused is not None)),
    (
        "bulk_paused",
        "1 if a person or the brake has paused bulk mail.",
        lambda view: float(bool(view.bulk_paused)),
    ),
    ("bulk_window_open", "0 outside the send window of bulk mail.", lambda view: float(_is_open(view))),
    (
        "outside_window_recipients",
        "Recipients of batches outside their send windows.",
        lambda view: view.outside_windows,
    ),
    ("production", "1 in production, 0 in the sandbox.", lambda view: float(view.snapshot.production)),
)
"""Name without `sesq_`, help text, and the function that reads the value."""


def _ramp_cap(view: Overview) -> float:
    return UNLIMITED if view.usage.ramp is None else float(view.usage.ramp.cap)


def _stands_still(view: Overview) -> bool:
    return view.usage.ramp is not None and view.usage.ramp.still_since is not None


def _is_open(view: Overview) -> bool:
    return view.bulk_window is None or view.bulk_window.opens_at is None


def exposition(redis: Redis, accounts: Sequence[str]) -> bytes:
    """Returns the page for Prometheus. Raises QueueUnavailable."""
    registry = CollectorRegistry()
    registry.register(_Queue(redis, accounts))
    return generate_latest(registry)


class _Queue(Collector):
    def __init__(self, redis: Redis, accounts: Sequence[str]) -> None:
        self.redis = redis
        self.views = [read_overview(redis, name) for name in accounts]
        with mapped():
            self.counters = {name: read_hash(redis, Keys(name).counters) for name in accounts}

    def collect(self) -> Iterable[Metric]:
        yield from self._limits()
        yield from self._queue()
        yield from self._flow()
        yield from self._workers()

    def describe(self) -> Iterable[Metric]:
        """Returns nothing, so that registering the collector reads nothing from Redis."""
        return ()

    def _limits(self) -> Iterator[Metric]:
        for name, help_, value in LIMITS:
            gauge = GaugeMetricFamily(f"sesq_{name}", help_, labels=["account"])
            for view in self.views:
                gauge.add_metric([view.account], value(view))
            yield gauge
        conditions = GaugeMetricFamily(
            "sesq_condition",
            "Whether this stops or limits mail now; for tenants, how many of them.",
            labels=["account", "kind"],
        )
        for view in self.views:
            for kind in Kind:
                count = sum(each.count for each in view.conditions if each.kind is kind)
                conditions.add_metric([view.account, kind.value], count)
        yield conditions
        synced = GaugeMetricFamily(
            "sesq_synced_timestamp_seconds", "When SES last described the account.", labels=["account"]
        )
        for view in self.views:
            if view.snapshot.synced_at is not None:
                synced.add_metric([view.account], view.snapshot.synced_at)
        yield synced

    def _queue(self) -> Iterator[Metric]:
        states = GaugeMetricFamily("sesq_messages", "Messages in each state.", labels=["account", "state"])
        lanes = GaugeMetricFamily(
            "sesq_lane_jobs",
            "What waits in each lane: messages, and recipients of batches.",
            labels=["account", "lane"],
        )
        oldest = GaugeMetricFamily(
            "sesq_lane_oldest_age_seconds",
            "How long the head of the lane has been queued.",
            labels=["account", "lane"],
        )
        still = GaugeMetricFamily(
            "sesq_lane_stuck_seconds",
            "How long no mail has left a lane although it may go and a worker serves it; else 0.",
            labels=["account", "lane"],
        )
        waiting = GaugeMetricFamily(
            "sesq_held_messages", "Held messages by what they wait for.", labels=["account", "kind"]
        )
        empty = GaugeMetricFamily(
            "sesq_queue_empty_timestamp_seconds",
            "When both lanes will be empty; +Inf: unknown.",
            labels=["account"],
        )
        for view in self.views:
            for state in State:
                states.add_metric([view.account, state.value], view.counts[state])
            for lane in view.lanes:
                lanes.add_metric([view.account, lane.lane.value], lane.queued)
                age = view.usage.now - lane.head.since if lane.head else 0.0
                oldest.add_metric([view.account, lane.lane.value], max(0.0, age))
            seconds = {each.lane: each.seconds for each in stuck(self.redis, view)}
            for each in Lane:
                still.add_metric([view.account, each.value], seconds.get(each, 0.0))
            for kind, count in _kinds(view).items():
                waiting.add_metric([view.account, kind], count)
            empty.add_metric([view.account], _or_inf(look_ahead(self.redis, view).empty_at))
        yield from (states, lanes, oldest, still, waiting, empty)

    def _flow(self) -> Iterator[Metric]:
        claims = CounterMetricFamily(
            "sesq_claims",
            "Claims from the open gate, with or without a message.",
            labels=["account"],
        )
        throttles = CounterMetricFamily("sesq_throttles", "Throttles by SES.", labels=["account"])
        changes = CounterMetricFamily(
            "sesq_outcomes",
            "Messages that came into a state: sent, held, retrying, refused …",
            labels=["account", "state"],
        )
        waits = HistogramMetricFamily(
            "sesq_wait_seconds", "From when a message might go until SES had taken it.", labels=["account"]
        )
        for view in self.views:
            counters = self.counters[view.account]
            claims.add_metric([view.account], view.usage.claims)
            throttles.add_metric([view.account], view.usage.throttles)
            for state in State:
                changes.add_metric([view.account, state.value], Fields(counters).number(state.value))
            waits.add_metric([view.account], _buckets(counters), Fields(counters).number("wait:sum"))
        yield from (claims, throttles, changes, waits)

    def _workers(self) -> Iterator[Metric]:
        workers = GaugeMetricFamily("sesq_workers", "Workers that are running.", labels=["account"])
        beats = GaugeMetricFamily(
            "sesq_worker_heartbeat_timestamp_seconds",
            "When each worker sent its last heartbeat.",
            labels=["account", "worker"],
        )
        for view in self.views:
            workers.add_metric([view.account], len(view.workers))
            for worker in view.workers:
                beats.add_metric([view.account, worker.name], worker.last_heartbeat)
        yield from (workers, beats)


BOUNDS = ("0.1", "0.5", "1", "5", "15", "60", "300", "1800", "7200", "28800", "86400")
"""As in `messages.lua`, in seconds."""


def _buckets(counters: dict[str, str]) -> list[tuple[str, float]]:
    """Returns each bound with the number of values up to it, as Prometheus wants."""
    total, found = 0.0, []
    for bound in (*BOUNDS, "inf"):
        total += Fields(counters).number(f"wait:{bound}")
        found.append(("+Inf" if bound == "inf" else str(float(bound)), total))
    return found


def _kinds(view: Overview) -> Counter[str]:
    kinds: Counter[str] = Counter()
    for waiting in view.waiting:
        kinds[waiting.what.partition(":")[0]] += waiting.count
    return kinds


def _or_inf(value: float | None) -> float:
    return UNLIMITED if value is None else value
