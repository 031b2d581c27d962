"""Mends findings that follow from other keys. Each repair reads the keys anew: to repeat it changes nothing."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import cast

from redis import Redis

from sesq.queue.audit.batches import BatchFacts, read_batch
from sesq.queue.audit.chunks import REGISTRIES, read_chunks, rows_by_chunk
from sesq.queue.audit.finding import Finding, Kind
from sesq.queue.audit.lanes import Lanes, mend_stale, own_queue, read_lanes, registries_of
from sesq.queue.audit.ledger import mend_ledger
from sesq.queue.audit.lost_batches import lost_fields, rebuild
from sesq.queue.audit.lost_chunks import give_up_rows, restore_chunk
from sesq.queue.audit.walk import keys_like
from sesq.queue.job import job_fields, rq_key
from sesq.queue.keys import ACCOUNTS, Keys
from sesq.queue.replies import text, texts
from sesq.queue.scripts import MESSAGES, compose, library
from sesq.queue.shares import lane_queue
from sesq.queue.states import State

MENDING = library("mending.lua", base=MESSAGES)
MEND = compose("mend.lua", MENDING)
MEND_CHUNK = compose("mend_chunk.lua", MENDING)
MEND_BATCH = compose("mend_batch.lua", MENDING)
MEND_KEEPING = compose("mend_keeping.lua", MESSAGES)
MEND_ORPHAN = compose("mend_orphan.lua", MESSAGES)


def mend(redis: Redis, account: str, finding: Finding) -> str:
    """Mends one finding. Returns what was done, in words; empty if there was nothing to do any more."""
    keys = Keys(account)
    if finding.kind is Kind.LEDGER:
        return mend_ledger(redis, keys)
    if finding.key == ACCOUNTS:
        return "it is put among them" if redis.sadd(ACCOUNTS, account) else ""
    if finding.key == keys.holds:
        return _mend_reasons(redis, keys)
    kind, _, rest = finding.key[len(keys.message("")) - len("message:") :].partition(":")
    if finding.kind is Kind.ORPHAN and kind not in ("message", "chunk"):
        return "it is deleted" if redis.delete(finding.key) else ""
    done = _MENDERS[kind](redis, keys, rest)
    return done if isinstance(done, str) else "; ".join(done)


def _mend_message(redis: Redis, keys: Keys, id: str) -> Sequence[str] | str:
    lanes = read_lanes(redis, keys)
    runs = json.dumps([[name, run] for name, lane in lanes.items() for run in lane.runs.get(id, ())])
    if not redis.exists(keys.message(id)):
        standing = json.dumps([name for name, lane in lanes.items() if lane.standing(id)])
        count = int(MEND_ORPHAN.run(redis, keys.account, id, standing, runs, *registries_of(lanes)))
        count += sum(redis.zrem(hold, id) for hold in set(keys_like(redis, keys.hold("*"))))
        return f"what was left of it is deleted: {count} keys and entries" if count else ""
    state, queue = texts(redis.hmget(keys.message(id), "state", "queue"))
    queue = own_queue(lanes, queue)
    own, wrong = _standing(lanes, id, queue, belongs=state == State.QUEUED.value)
    fields = job_fields(id, lane_queue(queue), f"sesq message {id}")
    done = texts(MEND.run(redis, keys.account, id, own, runs, wrong, json.dumps(fields)))
    others = [
        rq_key(name, lane)
        for lane in registries_of(lanes)
        if lane != lane_queue(queue)
        for name in REGISTRIES
    ]
    return [*done, *(f"taken out of {key}" for key in others if redis.zrem(key, id))]


def _standing(lanes: Lanes, id: str, queue: str, *, belongs: bool) -> tuple[int, str]:
    """Returns how often it is in its own lane; and as JSON, the lanes in which it should not be."""
    own = lanes[queue].standing(id) if queue in lanes else 0
    wrong = [name for name, lane in lanes.items() if lane.standing(id) and not (belongs and name == queue)]
    return own, json.dumps(wrong)


def _restore_chunk(redis: Redis, keys: Keys, id: str) -> list[str]:
    facts, still = _read_batch(redis, keys, id.rpartition("-")[0])
    return restore_chunk(redis, keys, facts, id) if still else []


def _mend_chunk(redis: Redis, keys: Keys, id: str) -> Sequence[str]:
    restored = [] if redis.exists(keys.chunk(id)) else _restore_chunk(redis, keys, id)
    lanes = read_lanes(redis, keys)
    for chunk in read_chunks(redis, keys, lanes, [id], {}, {}):
        restored += give_up_rows(redis, keys, chunk)
    place, queue = texts(redis.hmget(keys.chunk(id), "place", "queue"))
    queue = own_queue(lanes, queue)
    own, wrong = _standing(lanes, id, queue, belongs=place == State.QUEUED.value)
    runs = json.dumps([[name, run] for name, lane in lanes.items() for run in lane.runs.get(id, ())])
    fields = job_fields(id, lane_queue(queue), f"sesq chunk {id}")
    count = len(_packed(redis, keys, f"{id}-"))
    did = MEND_CHUNK.run(redis, keys.account, id, count, own, runs, wrong, json.dumps(fields))
    return [*restored, *texts(did)]


def _packed(redis: Redis, keys: Keys, beginning: str) -> set[str]:
    """Returns the ids of rows on their way that begin with a text."""
    ids = [key[len(keys.message("")) :] for key in keys_like(redis, f"{keys.message(beginning)}*")]
    pipeline = redis.pipeline(transaction=False)
    for id in ids:
        pipeline.hexists(keys.message(id), "packed")
    return {id for id, packed in zip(ids, pipeline.execute(), strict=True) if packed}


def _read_batch(redis: Redis, keys: Keys, id: str) -> tuple[BatchFacts, bool]:
    packed = _packed(redis, keys, f"{id}-")
    own = {key[len(keys.message("")) :] for key in keys_like(redis, keys.message(f"{id}-*"))} - packed
    return read_batch(redis, keys, read_lanes(redis, keys), id, rows_by_chunk(packed), own)


def _mend_batch(redis: Redis, keys: Keys, id: str) -> Sequence[str]:
    facts, still = _read_batch(redis, keys, id)
    if lost_fields(facts.fields):
        return rebuild(redis, keys, id)
    if not still or facts.lost or any(chunk.damaged for chunk in facts.chunks):
        return []
    unknown = facts.counts_alone or facts.counted["lost"]
    counted = {} if unknown else dict(facts.recounted or {})
    if counted:
        counted |= {name: 0 for name in facts.told if name not in counted}
    place = {chunk.id: chunk.place for chunk in facts.chunks}
    queued = sum(each == State.QUEUED.value for each in place.values())
    held = [id for id, each in place.items() if each == State.HELD.value]
    told = json.dumps(dict(facts.told))
    total = sum(chunk.number("n") for chunk in facts.chunks)
    if facts.counts_alone:
        total = facts.read.whole("total")
    done = texts(
        MEND_BATCH.run(redis, keys.account, id, told, json.dumps(counted), queued, json.dumps(held), total)
    )
    return [*done, *_mend_keeping(redis, keys, id, facts)]


def _mend_keeping(redis: Redis, keys: Keys, id: str, facts: BatchFacts) -> list[str]:
    ended = redis.hexists(keys.batch(id), "ended")
    ttls = [*facts.ttls.values(), *(ttl for chunk in facts.chunks for ttl in chunk.ttls.values())]
    if not any(ttl == -1 if ended else ttl >= 0 for ttl in ttls):
        return []
    more = MEND_KEEPING.run(redis, keys.account, id, 1)
    while more:
        more = MEND_KEEPING.run(redis, keys.account, id, 0)
    return ["its keys expire" if ended else "its keys expire no more"]


def _mend_hold(redis: Redis, keys: Keys, what: str) -> str:
    """Removes from the list the messages whose record says something else."""
    gone = 0
    for entry, _ in redis.zscan_iter(keys.hold(what), count=1000):
        if text(redis.hget(keys.message(text(entry)), "hold")) != what:
            gone += redis.zrem(keys.hold(what), entry)
    if not redis.exists(keys.hold(what)):
        redis.hdel(keys.holds, what)
    return f"{gone} that do not wait for it are taken out" if gone else ""


def _mend_reasons(redis: Redis, keys: Keys) -> str:
    kept = {b"restore"} if redis.exists(keys.restored) else set()
    unused = set(cast("list[bytes]", redis.hkeys(keys.holds))) - kept
    gone = [what for what in unused if not redis.exists(keys.hold(text(what)))]
    return f"{redis.hdel(keys.holds, *gone)} are taken out" if gone else ""


def _mend_stale(redis: Redis, keys: Keys, queue: str) -> str:
    return mend_stale(redis, keys, keys.stale(queue))


_MENDERS: dict[str, Callable[[Redis, Keys, str], Sequence[str] | str]] = {
    "message": _mend_message,
    "content": _mend_message,
    "chunk": _mend_chunk,
    "batch": _mend_batch,
    "parked": _mend_batch,
    "hold": _mend_hold,
    "stale": _mend_stale,
}
"""Kind of key -> the function that mends it, given the rest of the key's name."""
