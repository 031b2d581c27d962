"""Counts the recipients that go before a message: in its own queue, and in the other queues that have a turn first."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import cast

from redis import Redis

from sesq.config.connection import mapped
from sesq.queue.by_window import MOST_READ, WINDOW_OF_CHUNK, ByWindow, cut, groups, of_jobs, whole
from sesq.queue.chunks import place_of
from sesq.queue.job import rq_key
from sesq.queue.keys import Keys
from sesq.queue.record import Record
from sesq.queue.replies import text, texts
from sesq.queue.shares import tenant_of, tenant_queues
from sesq.queue.states import Lane
from sesq.queue.window_forecast import Waiting
from sesq.queue.windows import read_window


@dataclass(frozen=True, slots=True)
class Ahead:
    """Counts the recipients that go before a message. A message counts as one recipient.

    `own_queue`, `other_queues`: recipients in its own queue and in the other queues of its lane, by send window.
    `urgent`: transactional mail. `urgent_of_tenant`: transactional mail of its tenant, which goes before its bulk mail.
    `behind`: recipients that go while the message waits for a window. `windows`: the windows of the message itself.
    """

    own_queue: ByWindow
    other_queues: ByWindow
    urgent: int
    urgent_of_tenant: int
    behind: ByWindow
    windows: tuple[str, ...]

    @property
    def own(self) -> int:
        return self.own_queue.total()

    @property
    def all(self) -> int:
        return self.own + self.other_queues.total() + self.urgent

    @property
    def has_windows(self) -> bool:
        """Whether windows decide when it goes."""
        return any((*self.windows, *self.own_queue, *self.other_queues))

    @property
    def groups_before(self) -> list[Waiting]:
        """Recipients that go before the message, grouped by when they may go."""
        return [Waiting(self.urgent), *groups(self.own_queue + self.other_queues, self._account_window)]

    @property
    def groups_behind(self) -> list[Waiting]:
        """Recipients that go while the message waits for its window, grouped by when they may go."""
        return groups(self.behind, self._account_window)

    @property
    def _account_window(self) -> str:
        return next(iter(self.windows), "")


@dataclass(frozen=True, slots=True)
class _Place:
    """Tells where a message waits: its queue, its entry there or that of its chunk, the rows before it, its window."""

    queue: str
    entry: str
    inside: int = 0
    window: str = ""


def count_ahead(redis: Redis, record: Record, lane: Lane) -> Ahead | None:
    """Counts the recipients that go before a message; None if the message is in no queue.

    These are the mail before it in its queue, the mail of other queues with an earlier turn, and for bulk mail, all
    transactional mail.
    """
    keys = Keys(record.account)
    with mapped():
        place = _find_place(redis, keys, record, keys.queue(lane, record.envelope.tenant or ""))
        windowed = _windowed(redis, keys) if lane is Lane.BULK else {}
        if place.entry in windowed:
            before, behind = _before_outside(redis, keys, place, windowed)
        else:
            rank = cast("int | None", redis.lpos(rq_key("queue", place.queue), place.entry))
            if rank is None:
                return None
            outside = [chunk for chunk, queue in windowed.items() if queue == place.queue]
            before = of_jobs(redis, keys, outside) + _first(redis, keys, place.queue, rank)
            behind = Counter()
        before[place.window] += place.inside
        before = +before
        beside = _beside(redis, keys, lane, place.queue, before.total(), windowed)
        urgent = jobs_of_tenants(redis, record.account, Lane.TRANSACTIONAL) if lane is Lane.BULK else {}
        of_tenant = urgent.get(record.envelope.tenant or "", 0)
        windows = (read_window(redis, record.account), place.window) if lane is Lane.BULK else ()
        return Ahead(before, beside, sum(urgent.values()), of_tenant, behind, windows)


def _find_place(redis: Redis, keys: Keys, record: Record, queue: str) -> _Place:
    found = place_of(record.id)
    if found is None:
        return _Place(queue, record.id)
    cursor, window = redis.hmget(keys.chunk(found.chunk_id), "cursor", WINDOW_OF_CHUNK)
    if redis.lpos(rq_key("queue", queue), record.id) is not None:
        return _Place(queue, record.id, window=text(window))
    return _Place(queue, found.chunk_id, max(0, found.row - whole(cursor)), text(window))


def _windowed(redis: Redis, keys: Keys) -> dict[str, str]:
    """Returns the chunks that wait until their window opens, in their order, each with its queue."""
    waiting = texts(redis.zrange(keys.windowed, 0, MOST_READ - 1))
    pipeline = redis.pipeline(transaction=False)
    for chunk in waiting:
        pipeline.hget(keys.chunk(chunk), "queue")
    return dict(zip(waiting, texts(pipeline.execute()), strict=True))


def _before_outside(
    redis: Redis, keys: Keys, place: _Place, windowed: dict[str, str]
) -> tuple[ByWindow, ByWindow]:
    """Counts what goes before a chunk that waits for its window, and what its queue sends while the chunk waits."""
    own = [chunk for chunk, queue in windowed.items() if queue == place.queue]
    at = own.index(place.entry)
    length = int(redis.llen(rq_key("queue", place.queue)))
    behind = of_jobs(redis, keys, own[at + 1 :]) + _first(redis, keys, place.queue, length)
    return of_jobs(redis, keys, own[:at]), behind


def _beside(
    redis: Redis, keys: Keys, lane: Lane, own: str, before: int, windowed: dict[str, str]
) -> ByWindow:
    """Counts recipients in the lane's other queues that have their turn before the message.

    The queue from which the fewest recipients have gone has the next turn (`lua/shares.lua`).
    """
    scores = redis.zrange(keys.shares(keys.queue(lane)), 0, -1, withscores=True)
    gone = {text(queue): count for queue, count in cast("list[tuple[bytes, float]]", scores)}
    others = {keys.queue(lane), *gone, *windowed.values()} - {own}
    if not gone and not others & {*windowed.values()}:
        return Counter()
    least = min(gone.values(), default=0.0)
    until = gone.get(own, least) + before
    found: ByWindow = Counter()
    for queue in others:
        turn = int(until - gone.get(queue, least))
        if turn > 0:
            outside = [chunk for chunk, of in windowed.items() if of == queue]
            found += cut(of_jobs(redis, keys, outside) + _first(redis, keys, queue, turn), turn)
    return found


def jobs_of_tenants(redis: Redis, account: str, lane: Lane) -> dict[str, int]:
    """Counts the jobs that wait in a lane, by tenant ("" for none). Raises QueueUnavailable."""
    keys = Keys(account)
    with mapped():
        queues = [keys.queue(lane), *tenant_queues(redis, keys, lane)]
        pipeline = redis.pipeline(transaction=False)
        for queue in queues:
            pipeline.llen(rq_key("queue", queue))
            pipeline.scard(keys.stale(queue))
        counts = [int(each) for each in pipeline.execute()]
    jobs = (max(0, standing - stale) for standing, stale in zip(counts[::2], counts[1::2], strict=True))
    return dict(zip(map(tenant_of, queues), jobs, strict=True))


def _first(redis: Redis, keys: Keys, queue: str, jobs: int) -> ByWindow:
    """Counts the recipients of the first `jobs` jobs of a queue."""
    if jobs <= 0:
        return Counter()
    found = texts(redis.lrange(rq_key("queue", queue), 0, min(jobs, MOST_READ) - 1))
    stale = set(texts(redis.smembers(keys.stale(queue))))
    counts = of_jobs(redis, keys, [id for id in found if id not in stale])
    counts[""] += max(0, jobs - MOST_READ) if len(found) == MOST_READ else 0
    return +counts
