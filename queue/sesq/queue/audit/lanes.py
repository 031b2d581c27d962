"""Audits the lanes: RQ's queues of an account and of its tenants, the jobs that run, and the stale entries."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import cast

from redis import Redis

from sesq.queue.audit.finding import Finding, Kind, Seen, mendable
from sesq.queue.audit.walk import STEP, list_entries, set_entries, zset_scores
from sesq.queue.job import rq_key
from sesq.queue.keys import Keys
from sesq.queue.replies import text
from sesq.queue.shares import give_turns, lane_queue, queues_of, queues_without_turns
from sesq.queue.states import Lane


@dataclass(slots=True)
class LaneFacts:
    """Holds the lists of one RQ queue. `runs`: id -> the entries of its runs, "<id>:<execution>"."""

    queue: str
    stale_key: str
    entries: Counter[str] = field(default_factory=Counter)
    stale: set[str] = field(default_factory=set)
    runs: dict[str, list[str]] = field(default_factory=dict)
    timed: set[str] = field(default_factory=set)
    """Ids of runs with a time limit. RQ's own maintenance ends those later; runs of sesq's workers have no limit."""
    taken: set[str] = field(default_factory=set)
    """Ids that a stock RQ worker is taking out of the queue."""
    has_turns: bool = True
    """Whether it is a lane's own queue, or takes turns with the other queues of its lane."""

    def standing(self, id: str) -> int:
        """Returns how often the id is in the queue, not counting a stale entry."""
        return self.entries[id] - (id in self.stale)


Lanes = dict[str, LaneFacts]
"""By the name of the RQ queue."""


def own_queue(lanes: Lanes, queue: str) -> str:
    """Returns the queue that a record names, or as the scripts do, the bulk lane's if it is no queue of the account."""
    return (
        queue
        if lane_queue(queue) in lanes
        else next(name for name in lanes if name.endswith(f".{Lane.BULK}"))
    )


def rq_place(registry: str, queue: str) -> str:
    """Returns where RQ keeps a job of that queue in that registry. A tenant's queue uses the registries of its lane."""
    return f"{registry} {queue if registry == 'queue' else lane_queue(queue)}"


def registries_of(lanes: Lanes) -> list[str]:
    """Returns the queues that have registries: those of lanes."""
    return [queue for queue in lanes if lane_queue(queue) == queue]


def read_lanes(redis: Redis, keys: Keys) -> Lanes:
    """Reads the lists of all lanes in bounded steps, the lanes' own queues first."""
    idle = queues_without_turns(redis, keys)
    return {queue: _read_lane(redis, keys, queue, idle) for queue in queues_of(redis, keys)}


def _read_lane(redis: Redis, keys: Keys, queue: str, idle: set[str]) -> LaneFacts:
    key = rq_key("queue", queue)
    facts = LaneFacts(queue, keys.stale(queue), has_turns=queue not in idle)
    facts.stale.update(set_entries(redis, facts.stale_key))
    facts.entries.update(list_entries(redis, key))
    facts.taken.update(list_entries(redis, f"{key}:intermediate"))
    for run, ends in dict(zset_scores(redis, rq_key("wip", queue))).items():
        id = run.rpartition(":")[0] or run
        facts.runs.setdefault(id, []).append(run)
        if ends < math.inf:
            facts.timed.add(id)
    return facts


def check_lane(facts: LaneFacts) -> Iterator[Finding]:
    """Checks that the set of stale entries names exactly the stale entries of the lane."""
    for id in sorted(facts.stale):
        if not facts.entries[id]:
            what = f"{id} is called stale in queue {facts.queue}, where it does not stand"
            yield mendable(Kind.LANE, facts.stale_key, what)
    if facts.entries and not facts.has_turns:
        what = f"mail waits in queue {facts.queue}, which has no turns in its lane"
        yield mendable(Kind.LANE, facts.stale_key, what)


def audit_lanes(lanes: Lanes) -> Iterator[Seen]:
    """Checks lanes that were read before."""
    return ((finding, "") for facts in lanes.values() for finding in check_lane(facts))


def mend_stale(redis: Redis, keys: Keys, key: str) -> str:
    """Removes from the set of stale entries the ids that are not in the queue any more."""
    lane = next((facts for facts in read_lanes(redis, keys).values() if facts.stale_key == key), None)
    did = [f"{each} takes turns again" for each in give_turns(redis, keys)]
    found = cast("Iterator[bytes]", redis.sscan_iter(key, count=STEP))
    gone = [id for id in set(found) if not lane.entries[text(id)]] if lane else []
    if gone:
        redis.srem(key, *gone)
        did.append(f"{len(gone)} entries that stand in no queue are taken out")
    return "; ".join(did)
