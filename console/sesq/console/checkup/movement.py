"""Finds lanes that are stuck: their mail may go, and none of it has left lately. How long the first mail waits does not
count, and neither does what leaves the other lane.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from redis import Redis

from sesq.config.connection import mapped
from sesq.console.overview import LaneView, Overview
from sesq.queue.fields import Fields
from sesq.queue.keys import Keys
from sesq.queue.policy import Policy
from sesq.queue.replies import text
from sesq.queue.states import Lane, State
from sesq.queue.usage import read_ledger
from sesq.queue.windows import last_opening

STUCK_SECONDS = 60
MINUTE = 60
ROUNDING = 1e-6
AT_ONCE = 250
MOST_LOOKED_AT = 5000
"""Messages of each state that are looked at, the newest first."""
LEFT = (
    State.SENDING,
    State.SENT,
    State.DELIVERED,
    State.BOUNCED,
    State.COMPLAINED,
    State.RETRYING,
    State.HELD,
    State.UNKNOWN,
    State.REFUSED,
    State.FAILED,
    State.SUPPRESSED,
)
"""States that mail reaches only after it has left a lane."""


@dataclass(frozen=True, slots=True)
class Still:
    """A lane whose mail may go and does not, and for how long (seconds)."""

    lane: Lane
    seconds: float


@dataclass(slots=True)
class Left:
    """What left the lanes. `urgent`: minute of the epoch -> recipients of transactional messages that left in it.

    `since`: from this time on, all messages have been looked at (s).
    """

    newest: dict[Lane, float] = field(default_factory=dict)
    urgent: Counter[int] = field(default_factory=Counter)
    since: float = 0.0

    def at(self, lane: Lane) -> float:
        """Returns when mail last left a lane (s); the earliest possible time, if it has not looked so far back."""
        return max(self.newest.get(lane, 0.0), self.since)

    def add(self, lane: Lane, at: float, day: int) -> None:
        """Adds a message that left a lane at a time (s), and that counts so many recipients of the day."""
        self.newest[lane] = max(at, self.newest.get(lane, 0.0))
        if lane is Lane.TRANSACTIONAL:
            self.urgent[int(at // MINUTE)] += day


def stuck(redis: Redis, view: Overview) -> list[Still]:
    """Lists the lanes that a worker serves, whose mail may go, and that no mail has left for STUCK_SECONDS."""
    lanes = [lane for lane in view.lanes if _could_go(view, lane, bulk_leaves=True)]
    if not lanes:
        return []
    now, left = view.usage.now, _last_left(redis, view, [lane.lane for lane in lanes])
    bulk_leaves = left[Lane.BULK] > now - STUCK_SECONDS
    lanes = [lane for lane in lanes if _could_go(view, lane, bulk_leaves=bulk_leaves)]
    allowed = _last_allowed(redis, view)
    found = [
        Still(lane.lane, now - max(allowed, left[lane.lane], _there_since(view, lane))) for lane in lanes
    ]
    return [still for still in found if still.seconds > STUCK_SECONDS]


def _could_go(view: Overview, lane: LaneView, *, bulk_leaves: bool) -> bool:
    usage, is_bulk = view.usage, lane.lane is Lane.BULK
    if not lane.queued or lane.head is None or view.is_stopped(lane.lane) or not view.serving(lane.lane):
        return False
    if is_bulk and view.lanes[0].queued:  # transactional mail goes first
        return False
    if lane.room_at is None or lane.room_at > usage.now:
        return False
    is_passed = bulk_leaves and not is_bulk  # bulk mail takes its tokens
    if not is_passed and (lane.ready_at > usage.now or usage.tokens < usage.burst - ROUNDING):
        return False
    if usage.remaining is None or usage.daily is None:
        return True
    # if the day had no room for it a minute ago, it is not late
    freed = min(usage.pace * STUCK_SECONDS, usage.daily / 2)
    return usage.remaining - (usage.reserve if is_bulk else 0.0) - lane.head.envelope.day_cost >= freed


def _there_since(view: Overview, lane: LaneView) -> float:
    """Returns since when the lane has both mail and a worker."""
    born = min(worker.since for worker in view.serving(lane.lane))
    return max(born, lane.head.since if lane.head else 0.0)


def _last_left(redis: Redis, view: Overview, lanes: Iterable[Lane]) -> Mapping[Lane, float]:
    """Returns when mail last left each lane. It looks no further once mail has left all of `lanes` lately.

    The records of messages say it; of recipients of batches, the ledger does: what it counts beyond transactional
    messages is bulk mail.
    """
    left, ledger = Left(), read_ledger(redis, view.account)
    for since in _look_back(redis, Keys(view.account), left):
        whole = {minute: n for minute, n in ledger.items() if minute > since // MINUTE}
        rest = [minute for minute, n in whole.items() if n > left.urgent[minute]]
        if rest:
            left.add(Lane.BULK, float((rest[-1] + 1) * MINUTE), 0)
        left.since = since
        if all(left.newest.get(lane, 0.0) > view.usage.now - STUCK_SECONDS for lane in lanes):
            break
    return {lane: left.at(lane) for lane in Lane}


def _look_back(redis: Redis, keys: Keys, left: Left) -> Iterator[float]:
    """Adds what left the lanes, the newest first. Yields after each step the time from which on it has seen all (s)."""
    states = list(LEFT)
    for start in range(0, MOST_LOOKED_AT, AT_ONCE):
        with mapped():
            pipeline = redis.pipeline(transaction=False)
            for state in states:
                pipeline.zrevrange(keys.state(state), start, start + AT_ONCE - 1, withscores=True)
            pages = pipeline.execute()
            _add_all(redis, keys, left, [text(id) for page in pages for id, _ in page])
        states = [state for state, page in zip(states, pages, strict=True) if len(page) == AT_ONCE]
        yield max((float(page[-1][1]) for page in pages if len(page) == AT_ONCE), default=0.0)
        if not states:
            return


def _add_all(redis: Redis, keys: Keys, left: Left, ids: list[str]) -> None:
    pipeline = redis.pipeline(transaction=False)
    for id in ids:
        pipeline.hmget(keys.message(id), "queue", "claimed", "day")
    for queue, claimed, day in pipeline.execute():
        told = Fields({"claimed": text(claimed or ""), "day": text(day or "")})
        lane = Lane.BULK if text(queue or "").startswith(keys.queue(Lane.BULK)) else Lane.TRANSACTIONAL
        if told.number("claimed"):
            left.add(lane, told.number("claimed"), told.whole("day"))


def _last_allowed(redis: Redis, view: Overview) -> float:
    """Returns when somebody last resumed mail or changed a limit, or when a send window last opened."""
    history = Policy(redis, view.account).history(1)
    resumed = float(history[0].get("at") or 0.0) if history else 0.0
    return max(resumed, last_opening(redis, view.account, view.usage.now))
