"""Finds lanes that are stuck: their mail may go, and none of it has left lately. How long the first mail waits does not
count, and neither does what leaves the other lane.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from redis import Redis

from sesq.config.connection import mapped
from sesq.console.overview import LaneView, Overview
from sesq.queue.fields import Fields
from sesq.queue.keys import Keys
from sesq.queue.policy import Policy
from sesq.queue.replies import read_hash
from sesq.queue.states import Lane
from sesq.queue.windows import last_opening

STUCK_SECONDS = 60
ROUNDING = 1e-6


@dataclass(frozen=True, slots=True)
class Still:
    """A lane whose mail may go and does not, and for how long (seconds)."""

    lane: Lane
    seconds: float


def stuck(redis: Redis, view: Overview) -> list[Still]:
    """Lists the lanes that a worker serves, whose mail may go, and that no mail has left for STUCK_SECONDS."""
    lanes = [lane for lane in view.lanes if _could_go(view, lane, bulk_leaves=True)]
    if not lanes:
        return []
    now, left = view.usage.now, _last_left(redis, view.account)
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


def _last_left(redis: Redis, account: str) -> Mapping[Lane, float]:
    """Returns when mail was last granted of each lane (s); 0 if none ever was."""
    with mapped():
        found = read_hash(redis, Keys(account).gate)
    return {lane: Fields(found).number(f"left:{lane.value}") for lane in Lane}


def _last_allowed(redis: Redis, view: Overview) -> float:
    """Returns when somebody last resumed mail or changed a limit, or when a send window last opened."""
    history = Policy(redis, view.account).history(1)
    resumed = float(history[0].get("at") or 0.0) if history else 0.0
    return max(resumed, last_opening(redis, view.account, view.usage.now))
