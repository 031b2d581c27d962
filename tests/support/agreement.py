"""One question about the whole of Redis: do our records, our lists, and everything RQ keeps say the same?"""

from __future__ import annotations

from collections import Counter

from redis import Redis

from sesq.config.keys import Keys
from sesq.config.messages import accounts
from sesq.config.replies import text, text_hash, texts
from sesq.config.states import SENT_STATES, Lane, State

REGISTRIES = ("wip", "deferred", "scheduled", "finished", "failed", "canceled")
IN_RQ = {
    State.SCHEDULED: ("scheduled", "scheduled"),
    State.RETRYING: ("scheduled", "scheduled"),
    State.QUEUED: ("queue", "queued"),
    State.SENDING: ("wip", "started"),
    State.HELD: ("deferred", "deferred"),
    State.UNKNOWN: ("deferred", "deferred"),
    State.CANCELLED: ("canceled", "canceled"),
    **dict.fromkeys(SENT_STATES, ("finished", "finished")),
    **dict.fromkeys((State.REFUSED, State.FAILED, State.SUPPRESSED, State.EXPIRED), ("failed", "failed")),
}
"""Where RQ's tools have to show a message, and with which status: written down here once more, to check by."""
ENDED = {state for state, (place, _) in IN_RQ.items() if place in ("finished", "failed", "canceled")}


def assert_agreement(redis: Redis) -> dict[State, int]:
    """Every message is in one state, everywhere; returns how many are in each. For systems at rest."""
    total: Counter[State] = Counter()
    for account in accounts(redis):
        total.update(_Account(redis, account).check())
    return {state: total[state] for state in State}


class _Account:
    def __init__(self, redis: Redis, account: str) -> None:
        self.redis = redis
        self.keys = Keys(account)
        prefix = self.keys.message("")
        self.records = {
            key[len(prefix) :]: text_hash(redis.hgetall(key))
            for key in texts(redis.scan_iter(f"{prefix}*", count=1000))
        }
        self.chunks = {
            key[len(self.keys.chunk("")) :]: text_hash(redis.hgetall(key))
            for key in texts(redis.scan_iter(f"{self.keys.chunk('')}*", count=1000))
        }
        self.places = self._places()

    def check(self) -> Counter[State]:
        for id, record in self.records.items():
            self._check_message(id, record)
        for id, chunk in self.chunks.items():
            self._check_chunk(id, chunk)
        for where in self.places:
            strangers = set(self.places[where]) - set(self.records) - set(self.chunks)
            assert not strangers or where in ("finished", "failed", "canceled"), (where, strangers)
        self._check_lists()
        return Counter(State(record["state"]) for record in self.records.values())

    def _places(self) -> dict[str, Counter[str]]:
        """Where in RQ each id stands, and how often. In `wip` it is followed by the execution."""
        places: dict[str, Counter[str]] = {name: Counter() for name in ("queue", *REGISTRIES)}
        for lane in Lane:
            queue = self.keys.queue(lane)
            places["queue"].update(texts(self.redis.lrange(f"rq:queue:{queue}", 0, -1)))
            stale = texts(self.redis.smembers(self.keys.stale(queue)))
            assert set(stale) <= set(places["queue"]), (stale, "are not in the queue")
            places["queue"].subtract(stale)
            for name in REGISTRIES:
                places[name].update(texts(self.redis.zrange(f"rq:{name}:{queue}", 0, -1)))
        places["executions"] = places["wip"]
        places["wip"] = Counter(entry.rpartition(":")[0] for entry in places["executions"].elements())
        del places["executions"]
        return places

    def _check_message(self, id: str, record: dict[str, str]) -> None:
        state = State(record["state"])
        story = (id, state, record.get("history"))
        place, status = IN_RQ[state]
        found = {where: ids[id] for where, ids in self.places.items() if ids[id]}
        assert found == {place: 1}, (*story, found)
        job = f"rq:job:{id}"
        assert text(self.redis.hget(job, "status")) == status, (*story, self.redis.hget(job, "status"))

        lists = [other for other in State if self.redis.zscore(self.keys.state(other), id) is not None]
        assert lists == [state], (*story, lists)
        leased = self.redis.zscore(self.keys.leases, id) is not None
        assert leased is (state is State.SENDING), story

        hold = record.get("hold", "")
        assert bool(hold) is (state is State.HELD), (*story, hold)
        if hold:
            assert self.redis.zscore(self.keys.hold(hold), id) is not None, (*story, hold)

        for key in (self.keys.message(id), job):
            assert (self.redis.ttl(key) > 0) is (state in ENDED), (*story, key, self.redis.ttl(key))
        content = self.redis.ttl(self.keys.content(id))
        assert content == -2 or (content > 0) is (state in ENDED), (*story, "content", content)
        assert content != -2 or state in ENDED, (*story, "its content is gone")

    def _check_chunk(self, id: str, chunk: dict[str, str]) -> None:
        """A chunk of a batch is one job: in its queue while any of its recipients is to be granted."""
        place, status = IN_RQ[State(chunk["place"])]
        found = {where: ids[id] for where, ids in self.places.items() if ids[id]}
        assert found == {place: 1}, (id, chunk, found)
        assert text(self.redis.hget(f"rq:job:{id}", "status")) == status, (id, chunk)
        left = int(chunk["cursor"]) < int(chunk["n"]) or chunk["redo"] != ""
        assert left is (place in ("queue", "deferred")), (id, chunk)

    def _check_lists(self) -> None:
        holds = text_hash(self.redis.hgetall(self.keys.holds))
        waiting = {what: set(texts(self.redis.zrange(self.keys.hold(what), 0, -1))) for what in holds}
        by_record: dict[str, set[str]] = {}
        for id, record in self.records.items():
            if record.get("hold"):
                by_record.setdefault(record["hold"], set()).add(id)
        assert waiting == by_record
        prefix = self.keys.hold("")
        keys = {key[len(prefix) :] for key in texts(self.redis.scan_iter(f"{prefix}*", count=1000))}
        assert keys == set(by_record)
        assert set(texts(self.redis.zrange(self.keys.leases, 0, -1))) <= set(self.records)
