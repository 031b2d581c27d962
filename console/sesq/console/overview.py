"""Reads one account at a glance, from Redis alone: its limits, its lanes, what waits for what, its workers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from redis import Redis
from redis.exceptions import ResponseError

from sesq.config.connection import mapped
from sesq.config.errors import UnknownMessage
from sesq.console.condition_view import all_conditions
from sesq.console.workers import WorkerView, read_workers
from sesq.queue.batch import Batch
from sesq.queue.batches import Batches
from sesq.queue.by_window import ByWindow, outside_by_batch
from sesq.queue.conditions import Condition, Kind
from sesq.queue.damage import read_damage
from sesq.queue.gate import Gate
from sesq.queue.messages import Messages
from sesq.queue.record import Record
from sesq.queue.replies import text
from sesq.queue.snapshot import Snapshot, read_snapshot
from sesq.queue.states import Lane, State
from sesq.queue.usage import Usage
from sesq.queue.windows import WindowView, look_at, outside_several, read_window

MOST_WAITED_FOR = 1000
SCAN_COUNT = 500


@dataclass(frozen=True, slots=True)
class LaneView:
    """One lane. `head` goes next. Times are seconds since the epoch by Redis's clock; `next_at` None: not known."""

    lane: Lane
    queued: int
    head: Record | None
    room_at: float | None
    """When the day has room for one recipient more; None if only other senders use it up."""
    ready_at: float
    """When the rate lets one recipient more go."""

    @property
    def next_at(self) -> float | None:
        """When the head may go, as far as rate and quota are concerned."""
        return None if self.head is None or self.room_at is None else max(self.room_at, self.ready_at)


@dataclass(frozen=True, slots=True)
class Waiting:
    """Something that messages wait for, other than time."""

    what: str
    reason: str
    count: int


@dataclass(frozen=True, slots=True)
class Outside:
    """Recipients of a batch who wait until their send window opens. `opens_at`: when the first one does."""

    batch: str
    count: int
    why: str
    opens_at: float | None


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes of Redis; `limit` None: as much as the machine has."""

    used: int
    limit: int | None

    @property
    def is_full(self) -> bool:
        """Whether Redis refuses whatever needs memory."""
        return self.limit is not None and self.used >= self.limit


@dataclass(frozen=True, slots=True)
class Overview:
    """An account at a glance. `conditions`: what stops or limits mail now, the worst first."""

    account: str
    snapshot: Snapshot
    usage: Usage
    conditions: tuple[Condition, ...]
    lanes: tuple[LaneView, ...]
    counts: Mapping[State, int]
    waiting: tuple[Waiting, ...]
    workers: tuple[WorkerView, ...]
    memory: Memory | None
    paused_batches: tuple[Batch, ...] = ()
    bulk_window: WindowView | None = None
    """The account's send window for bulk mail, if it has one."""
    outside: tuple[Outside, ...] = ()
    """The batches, or parts of them, that wait for their own send windows."""
    bulk: Mapping[str, int] = field(default_factory=dict)
    """Queued bulk mail: send window (empty: no window of its own) -> recipients of batches, and messages."""
    damaged: int = 0
    """How much in Redis is damaged, or not understood, and set aside."""

    def condition(self, *kinds: Kind) -> Condition | None:
        """Returns the first condition of these kinds; None if there is none."""
        return next((each for each in self.conditions if each.kind in kinds), None)

    @property
    def paused(self) -> str | None:
        """Why all mail is paused: by a person, RQ or SES. None if it is not paused."""
        found = self.condition(Kind.SUSPENDED, Kind.PAUSED, Kind.SES_PAUSED)
        return found.reason if found else None

    @property
    def bulk_paused(self) -> str:
        """Why bulk mail is paused; empty if it is not."""
        found = self.condition(Kind.BULK_PAUSED)
        return found.reason if found else ""

    def serving(self, lane: Lane) -> tuple[WorkerView, ...]:
        """Returns the workers that serve a lane."""
        return tuple(worker for worker in self.workers if lane in worker.lanes)

    def is_stopped(self, lane: Lane) -> bool:
        """Whether no mail of the lane goes, whatever the limits are."""
        return any(each.stops(lane) for each in self.conditions)

    def goes_at(self, lane: LaneView) -> float | None:
        """Returns when the first message of the lane may go; None if that is not known, or if the lane is stopped."""
        stops = {each.kind for each in self.conditions if each.stops(lane.lane)}
        if lane.next_at is None or stops - {Kind.BULK_WINDOW}:
            return None
        if not stops or self.bulk_window is None or self.bulk_window.opens_at is None:
            return lane.next_at
        return max(lane.next_at, self.bulk_window.opens_at) if self.bulk_window.known else None

    @property
    def outside_windows(self) -> int:
        """Recipients of batches that are outside their send windows."""
        return sum(each.count for each in self.outside)

    @property
    def next_free_at(self) -> float | None:
        """When the full day has room again; None if it has room now, or if only other senders use it up."""
        room_at = self.lanes[0].room_at
        return room_at if room_at is not None and room_at > self.usage.now else None


def read_overview(redis: Redis, account: str) -> Overview:
    """Reads the account as it is now. It works for an account without any mail. Raises QueueUnavailable."""
    usage = Gate(redis, account).usage()
    batches = Batches(redis, account).all()
    messages, snapshot = Messages(redis, account), read_snapshot(redis, account)
    running = {batch.id for batch in batches if batch.state == "running"}
    waiting, window = outside_by_batch(redis, account), read_window(redis, account)
    outside = {batch: counts for batch, counts in waiting.items() if batch in running}
    views = look_at(redis, account, [window, *(each for counts in outside.values() for each in counts)])
    conditions = all_conditions(redis, account, usage, snapshot, views.get(window))
    lanes = tuple(
        _lane(lane, told, messages, batches if lane is Lane.BULK else [], outside)
        for lane, told in zip(Lane, usage.lanes, strict=True)
    )
    return Overview(
        account=account,
        snapshot=snapshot,
        usage=usage,
        conditions=conditions,
        lanes=lanes,
        counts=_counts(messages, batches),
        waiting=read_waiting(redis, messages),
        workers=read_workers(redis, account),
        memory=_memory(redis),
        paused_batches=tuple(batch for batch in batches if batch.state == "paused" and batch.left),
        bulk_window=views.get(window),
        outside=tuple(_outside(batch, counts, views) for batch, counts in outside.items()),
        bulk=_bulk(lanes[-1].queued, batches, outside),
        damaged=len(read_damage(redis, account)),
    )


def _outside(batch: str, counts: ByWindow, views: Mapping[str, WindowView]) -> Outside:
    known = [views[window] for window in counts if window] or [WindowView("", None)]
    first = min(known, key=lambda view: view.opens_at or 0.0)
    why = first.why if len(counts) == 1 else outside_several(known)
    return Outside(batch, counts.total(), why, first.opens_at if first.known else None)


def _bulk(queued: int, batches: Iterable[Batch], outside: Mapping[str, ByWindow]) -> dict[str, int]:
    """Counts queued bulk mail by send window. `queued`: all of the lane, of batches and others."""
    counts: ByWindow = sum(outside.values(), Counter())
    for batch in batches:
        if batch.jobs and batch.state == "running":
            inside = batch.compact_waiting - outside.get(batch.id, Counter()).total()
            counts[batch.window] += inside
            queued -= inside
    counts[""] += queued
    return dict(+counts)


def _counts(messages: Messages, batches: Iterable[Batch]) -> dict[State, int]:
    """Counts messages by state, with those recipients of batches that have no record of their own."""
    counts = Counter(messages.counts())
    for batch in batches:
        counts.update(batch.compact)
    return dict(counts)


def _lane(
    lane: Lane,
    told: Mapping[str, Any],
    messages: Messages,
    batches: Iterable[Batch],
    outside: Mapping[str, ByWindow],
) -> LaneView:
    head = _record(messages, told.get("head")) or _of_chunk(messages, told.get("head"))
    queued = int(told["queued"])
    for batch in batches:
        queued -= batch.jobs
        if batch.jobs and batch.state == "running":
            queued += batch.compact_waiting - outside.get(batch.id, Counter()).total()
    return LaneView(lane, queued, head, told.get("room_at"), told["ready_at"])


def _of_chunk(messages: Messages, id: str | None) -> Record | None:
    """Reads the recipient of a batch that goes next, if a chunk is at the head of the lane."""
    with mapped():
        cursor = messages.redis.hget(messages.keys.chunk(id or ""), "cursor")
    return _record(messages, f"{id}-{text(cursor)}") if cursor is not None else None


def _record(messages: Messages, id: str | None) -> Record | None:
    """Reads a message; None also for a job that is no message of ours, and for one that has gone meanwhile."""
    try:
        return messages.get(id) if id else None
    except UnknownMessage:
        return None


def read_waiting(redis: Redis, messages: Messages) -> tuple[Waiting, ...]:
    """Lists what messages wait for, first what most of them wait for; at most MOST_WAITED_FOR things."""
    with mapped():
        holds: dict[str, str] = {}
        for what, why in redis.hscan_iter(messages.keys.holds, count=SCAN_COUNT):
            holds[text(what)] = text(why)
            if len(holds) >= MOST_WAITED_FOR:
                break
        pipeline = redis.pipeline(transaction=False)
        for what in holds:
            pipeline.zcard(messages.keys.hold(what))
        counts = pipeline.execute()
    found = [
        Waiting(what, why, count) for (what, why), count in zip(holds.items(), counts, strict=True) if count
    ]
    return tuple(sorted(found, key=lambda waiting: (-waiting.count, waiting.what)))


def _memory(redis: Redis) -> Memory | None:
    """Reads Redis's memory; None if this user may not ask: a managed Redis may not allow INFO."""
    with mapped():
        try:
            info = redis.info("memory")
        except ResponseError:
            return None
    return Memory(int(info["used_memory"]), int(info.get("maxmemory") or 0) or None)
