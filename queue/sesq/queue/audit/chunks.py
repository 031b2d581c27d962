"""Audits one chunk of a batch: its RQ job, and where each of its rows is."""

from __future__ import annotations

import re
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

from redis import Redis

from sesq.config.errors import InvalidMessage, UnknownVersion
from sesq.queue.audit.finding import Finding, Kind, for_a_person, mendable
from sesq.queue.audit.lanes import Lanes, own_queue, registries_of, rq_place
from sesq.queue.audit.messages import NO_EXPIRY, NO_KEY, RQ_STATE
from sesq.queue.audit.walk import pages
from sesq.queue.chunks import place_of, read_results, unpack_rows
from sesq.queue.fields import Fields
from sesq.queue.job import rq_key
from sesq.queue.keys import Keys
from sesq.queue.replies import text, text_hash
from sesq.queue.states import State

AT_ONCE = 20
NUMBERS, MOST_ROWS = ("n", "counted", "cursor", "out"), 10**9
_redo = re.compile(r"(\d+-\d+( \d+-\d+)*)?").fullmatch
REGISTRIES = ("deferred", "scheduled", "finished", "failed", "canceled")
KINDS = ("chunk", "rows", "log", "results", "arrived")
"""The keys that a chunk has."""


@dataclass(frozen=True, slots=True)
class ChunkFacts:
    """Holds what Redis has of one chunk. `leaving`: rows on their way; `materialized`: rows with their own record."""

    id: str
    fields: Mapping[str, str]
    ttls: Mapping[str, int]
    places: Sequence[str]
    job_status: str
    job_ttl: int
    unpacked: bool
    windowed: bool
    """Whether it is in the list of chunks that wait for their window."""
    taken: frozenset[int]
    arrived: frozenset[int]
    leaving: frozenset[int]
    materialized: frozenset[int]
    rows_lost: bool = False
    """Whether rows wait in it that are gone or damaged."""

    def number(self, name: str) -> int:
        return Fields(self.fields).count(name, MOST_ROWS) or 0

    @property
    def place(self) -> State:
        return State(self.fields.get("place", ""))

    @property
    def damaged(self) -> list[str]:
        """Its fields that cannot be read. The scripts then send nothing of it."""
        if not self.fields:
            return []
        read = Fields(self.fields)
        found = [name for name in NUMBERS if read.count(name, MOST_ROWS) is None]
        found += ["cursor"] if self.number("cursor") > self.number("n") else []
        found += ["place"] if not self.place.is_known else []
        return found + ([] if _redo(self.fields.get("redo", "")) else ["redo"])

    @property
    def can_wait(self) -> bool:
        """Whether rows of it are to be granted. False if that cannot be read."""
        return bool(self.fields) and not self.damaged and self.waiting > 0

    @property
    def has_keys(self) -> bool:
        """Whether any of its keys is there."""
        return any(ttl != NO_KEY for ttl in self.ttls.values())

    @property
    def is_traced(self) -> bool:
        """Whether anything of it is left: a job, an entry in a list, rows on their way or with a record."""
        return bool(self.places or self.job_status or self.leaving or self.materialized)

    @property
    def waiting(self) -> int:
        """Rows that are to be granted."""
        redo = re.findall(r"(\d+)-(\d+)", self.fields.get("redo", ""))
        return self.number("n") - self.number("cursor") + sum(int(end) - int(start) for start, end in redo)

    def counts(self, *, cancelled: bool) -> Counter[str]:
        """Counts the rows without a record, under the names that the batch uses. `lost`: rows that are nowhere."""
        own = self.taken - self.materialized
        counts = Counter(
            waiting=self.waiting,
            leaving=len(self.leaving),
            taken=len(own - self.arrived),
            arrived=len(own & self.arrived),
        )
        rest = self.number("n") - counts.total() - len(self.materialized)
        if "lost" in self.fields:
            counts["failed"] = rest
        elif cancelled or "cancelled" in self.fields:
            counts["cancelled"] = rest + counts.pop("waiting")
        else:
            counts["lost"] = rest
        return counts


def rows_by_chunk(ids: Iterable[str]) -> dict[str, set[int]]:
    """Groups ids of rows: chunk -> the numbers of its rows. Skips the ids of other messages."""
    rows: dict[str, set[int]] = {}
    for place in filter(None, map(place_of, ids)):
        rows.setdefault(place.chunk_id, set()).add(place.row)
    return rows


def read_chunks(
    redis: Redis,
    keys: Keys,
    lanes: Lanes,
    ids: Sequence[str],
    leaving: Mapping[str, set[int]],
    materialized: Mapping[str, set[int]],
) -> Iterator[ChunkFacts]:
    """Reads these chunks; one that is missing has no fields. `leaving`, `materialized`: rows by chunk, read before."""
    for some in pages(ids, AT_ONCE):
        for id, told in zip(some, _ask(redis, keys, lanes, some), strict=True):
            rows = (frozenset(each.get(id, ())) for each in (leaving, materialized))
            facts = _facts(id, lanes, told, *rows)
            yield replace(facts, rows_lost=facts.can_wait and _are_lost(redis, keys, id))


def _ask(redis: Redis, keys: Keys, lanes: Lanes, ids: Sequence[str]) -> list[list[Any]]:
    pipeline = redis.pipeline(transaction=True)
    for id in ids:
        pipeline.hgetall(keys.chunk(id))
        for kind in KINDS:
            pipeline.ttl(f"{keys.chunk('')[: -len('chunk:')]}{kind}:{id}")
        for key in (keys.results, keys.log, keys.arrived):
            pipeline.get(key(id))
        pipeline.hget(rq_key("job", id), "status")
        pipeline.ttl(rq_key("job", id))
        pipeline.sismember(keys.unpacked, id)
        pipeline.zscore(keys.windowed, id)
        for queue in registries_of(lanes):
            for name in REGISTRIES:
                pipeline.zscore(rq_key(name, queue), id)
    answers = pipeline.execute()
    each = len(answers) // len(ids)
    return [answers[start : start + each] for start in range(0, len(answers), each)]


def _facts(
    id: str, lanes: Lanes, told: list[Any], leaving: frozenset[int], materialized: frozenset[int]
) -> ChunkFacts:
    fields, ttls, (results, log, arrived) = text_hash(told[0]), told[1:6], told[6:9]
    if fields:
        fields["queue"] = own_queue(lanes, fields.get("queue", ""))
    status, job_ttl, unpacked, order, *scores = told[9:]
    names = [f"{name} {queue}" for queue in registries_of(lanes) for name in REGISTRIES]
    places = [name for name, score in zip(names, scores, strict=True) if score is not None]
    for queue, lane in lanes.items():
        places += [f"queue {queue}"] * lane.standing(id)
        places += [f"wip {queue}"] * len(lane.runs.get(id, ()))
    taken = {*_logged(results), *_logged(log)}
    bits = cast("bytes", arrived or b"")
    came = frozenset(row for row in range(len(bits) * 8) if bits[row // 8] & (128 >> row % 8))
    return ChunkFacts(
        id, fields, dict(zip(KINDS, ttls, strict=True)), sorted(places), text(status), job_ttl,
        bool(unpacked), order is not None, frozenset(taken), came, leaving, materialized,
    )  # fmt: skip


def _are_lost(redis: Redis, keys: Keys, id: str) -> bool:
    try:
        unpack_rows(cast("bytes", redis.get(keys.rows(id)) or b""))
    except UnknownVersion:  # a worker that can read them sends them
        return False
    except InvalidMessage:
        return True
    return False


def _logged(log: bytes | None) -> set[int]:
    try:
        return set(read_results(log or b""))
    except (ValueError, zlib.error):  # no log: its rows count as lost
        return set()


def check_chunk(
    facts: ChunkFacts, keys: Keys, batch: Mapping[str, str], *, settled: bool
) -> Iterator[Finding]:
    """Checks a chunk. `batch`: the hash of its batch; empty if that is gone, and then none of its rows is sent."""
    key, batch_id = keys.chunk(facts.id), facts.id.rpartition("-")[0]
    if not facts.fields:
        what = "it is lost: nobody can tell which of its rows went, and none of those that wait in it is sent"
        yield mendable(Kind.CHUNK, key, what)
        return
    if facts.damaged:
        cure = f"sesq batch cancel {batch_id}, and send those again that sesq batch report {batch_id} names as not sent"
        what = f"its fields {', '.join(facts.damaged)} cannot be read: those who wait in it are not sent"
        yield for_a_person(Kind.CHUNK, key, what, cure)
        return
    if not batch:
        if any(ttl == NO_EXPIRY for ttl in facts.ttls.values()):
            yield mendable(Kind.ORPHAN, key, "its batch is gone, and it never expires")
        return
    cancelled = batch.get("state") == "cancelled" or "cancelled" in facts.fields
    place, queue = facts.place, facts.fields["queue"]
    if place not in _places(facts, cancelled=cancelled):
        what = (
            f"{facts.waiting} rows wait and {len(facts.leaving)} are on their way, and its place is {place}"
        )
        yield mendable(Kind.CHUNK, key, what)
    registry, status = RQ_STATE[place]
    told = not settled and facts.job_status in ("canceled", "queued") and facts.job_status != status
    if not told and (list(facts.places) != [rq_place(registry, queue)] or facts.job_status != status):
        found = ", ".join(facts.places) or "nowhere"
        expected = rq_place(registry, queue)
        what = f"its job should be in {expected}, and is in {found}, with status {facts.job_status or 'none'}"
        yield mendable(Kind.CHUNK, key, what)
    if facts.windowed is not (place == State.SCHEDULED.value):
        noted = "noted" if facts.windowed else "not noted"
        yield mendable(Kind.CHUNK, key, f"its place is {place}, and it is {noted} as waiting for its window")
    if facts.number("out") != len(facts.leaving):
        what = f"it counts {facts.number('out')} rows on their way, and has {len(facts.leaving)}"
        yield mendable(Kind.CHUNK, key, what)
    if facts.rows_lost and not cancelled:
        yield mendable(
            Kind.CHUNK, key, f"its rows cannot be read: the {facts.waiting} who wait in it cannot be sent"
        )
    done = place in (State.SENT, State.CANCELLED)
    if done and facts.ttls["log"] >= NO_EXPIRY and not facts.unpacked:
        yield mendable(Kind.CHUNK, key, "it is done, and nobody knows that its results are to be packed")


def _places(facts: ChunkFacts, *, cancelled: bool) -> set[State]:
    """Returns the places that it may have. A place may be out of date until the next claim reads the chunk."""
    waits = {State.QUEUED, State.HELD, State.SCHEDULED} if facts.waiting else set()
    if facts.waiting and not cancelled:
        return waits
    return waits | ({State.SENDING} if facts.leaving else {State.SENT, State.CANCELLED})
