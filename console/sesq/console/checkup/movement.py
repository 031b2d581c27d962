"""Finds lanes that are stuck: their mail may go, and none has left lately. The age of the first mail does not count."""

from __future__ import annotations

from dataclasses import dataclass

from redis import Redis

from sesq.config.connection import mapped
from sesq.console.overview import LaneView, Overview
from sesq.queue.keys import Keys
from sesq.queue.policy import Policy
from sesq.queue.states import Lane, State
from sesq.queue.usage import read_ledger
from sesq.queue.windows import last_opening

STUCK_SECONDS = 60
MINUTE = 60
ROUNDING = 1e-6
LEFT = (
    State.SENDING,
    State.SENT,
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


def stuck(redis: Redis, view: Overview) -> list[Still]:
    """Lists the lanes that a worker serves, whose mail may go, and that no mail has left for STUCK_SECONDS."""
    lanes = [lane for lane in view.lanes if _could_go(view, lane)]
    if not lanes:
        return []
    changed, now = max(_last_left(redis, view), _last_allowed(redis, view)), view.usage.now
    found = [Still(lane.lane, now - max(changed, _there_since(view, lane))) for lane in lanes]
    return [still for still in found if still.seconds > STUCK_SECONDS]


def _could_go(view: Overview, lane: LaneView) -> bool:
    usage, is_bulk = view.usage, lane.lane is Lane.BULK
    if not lane.queued or lane.head is None or view.is_stopped(lane.lane) or not view.serving(lane.lane):
        return False
    if is_bulk and view.lanes[0].queued:  # transactional mail goes first
        return False
    if lane.next_at is None or lane.next_at > usage.now or usage.tokens < usage.burst - ROUNDING:
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


def _last_left(redis: Redis, view: Overview) -> float:
    """Returns when mail last left the lanes, of batches too, by the ledger and by the states of messages."""
    keys = Keys(view.account)
    with mapped():
        pipeline = redis.pipeline(transaction=False)
        for state in LEFT:
            pipeline.zrevrange(keys.state(state), 0, 0, withscores=True)
        newest = [float(found[0][1]) for found in pipeline.execute() if found]
    minutes = [minute for minute, recipients in read_ledger(redis, view.account).items() if recipients]
    by_ledger = (minutes[-1] + 1) * MINUTE if minutes else 0
    return max([float(by_ledger), *newest])


def _last_allowed(redis: Redis, view: Overview) -> float:
    """Returns when somebody last resumed mail or changed a limit, or when a send window last opened."""
    history = Policy(redis, view.account).history(1)
    resumed = float(history[0].get("at") or 0.0) if history else 0.0
    return max(resumed, last_opening(redis, view.account, view.usage.now))
