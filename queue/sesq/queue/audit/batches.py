"""Audits one batch: its counts against its rows and their records, its chunks, and how long its keys stay."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from redis import Redis

from sesq.queue.audit.chunks import ChunkFacts, check_chunk, read_chunks
from sesq.queue.audit.finding import Finding, Kind, Seen, for_a_person, marked, mendable
from sesq.queue.audit.lanes import Lanes
from sesq.queue.audit.lost_batches import chunk_numbers, lost_fields
from sesq.queue.audit.messages import NO_EXPIRY, NO_KEY, NOT_UTF8
from sesq.queue.audit.walk import list_entries, pages, set_entries
from sesq.queue.chunks import place_of
from sesq.queue.fields import UNREADABLE, Fields
from sesq.queue.keys import Keys
from sesq.queue.replies import read_hash, text
from sesq.queue.states import FINAL_STATES, State

AT_ONCE = 500
OPEN = ("waiting", "leaving", *(state.value for state in State if state not in FINAL_STATES))
"""The counts of rows that are not at their end."""
BATCH_STATES = ("running", "paused", "done", "cancelled")
KINDS = ("batch", "template", "materialized", "parked", "windows", "progress")


@dataclass(frozen=True, slots=True)
class BatchFacts:
    """Holds what Redis has of one batch, with its chunks.

    `records`: the states of the rows with a record, counted; `expired`: how many records have expired.
    """

    id: str
    fields: Mapping[str, str]
    ttls: Mapping[str, int]
    listed: bool
    keeping: bool
    starting: bool
    parked: Sequence[str]
    records: Mapping[str, int]
    expired: int
    chunks: Sequence[ChunkFacts]
    missing: Sequence[ChunkFacts]
    """Its chunks without a hash: they never had a recipient, or are lost."""

    @property
    def read(self) -> Fields:
        """Its hash, for numbers."""
        return Fields(self.fields)

    @property
    def told(self) -> Counter[str]:
        """The counts that its hash has."""
        names = (name for name in self.fields if name.startswith("n:") and NOT_UTF8 not in name)
        found = {name[2:]: self.read.whole(name) for name in names}
        return Counter({name: count for name, count in found.items() if count})

    @property
    def ended(self) -> bool:
        return "ended" in self.fields

    @property
    def gap(self) -> int:
        """How many of its recipients are in no chunk that is here; 0 if its counts do not agree with its total."""
        total = self.read.whole("total")
        known = sum(chunk.number("n") for chunk in self.chunks)
        return max(0, total - known) if self.missing and self.told.total() == total else 0

    @property
    def lost(self) -> Sequence[ChunkFacts]:
        """Its chunks that are lost. The keys of an ended batch expire one after the other: those are not lost."""
        traced = [chunk for chunk in self.missing if chunk.has_keys or (not self.ended and chunk.is_traced)]
        return traced or (self.missing if self.gap and not self.ended else [])

    @property
    def counts_alone(self) -> bool:
        """Whether chunks of it have expired, so that only its hash knows how many recipients it has."""
        return self.ended and self.gap > 0

    @property
    def counted(self) -> Counter[str]:
        """The counts, made anew from its rows and their records."""
        counts = Counter(self.records)
        for chunk in self.chunks:
            counts.update(chunk.counts(cancelled=self.fields.get("state") == "cancelled"))
        return Counter({name: count for name, count in counts.items() if count})

    @property
    def recounted(self) -> Counter[str] | None:
        """The counts as they should be; None if they cannot be known.

        A row whose record has expired had ended. If the counts of ended rows lack it, it counts as failed.
        """
        if not self.expired:
            return self.counted
        failed = sum(self.told[name] - self.counted[name] for name in OPEN)
        if not 0 <= failed <= self.expired:
            return None
        counts = self.told | Counter(failed=self.told["failed"] + failed)
        return Counter({**counts, **{name: self.counted[name] for name in OPEN}})


def read_batch(
    redis: Redis,
    keys: Keys,
    lanes: Lanes,
    id: str,
    leaving: Mapping[str, set[int]],
    own: Collection[str],
) -> tuple[BatchFacts, bool]:
    """Reads a batch, and whether it stayed unchanged meanwhile. `own`: the ids of its rows with a record."""
    before = read_hash(redis, keys.batch(id))
    numbers = chunk_numbers(redis, keys, id, before)
    materialized: dict[str, set[int]] = {}
    records: Counter[str] = Counter()
    for some in pages({*own, *set_entries(redis, keys.materialized(id))}, AT_ONCE):
        pipeline = redis.pipeline(transaction=False)
        for row in some:
            pipeline.hget(keys.message(row), "state")
            place = place_of(row)
            if place is not None:
                materialized.setdefault(place.chunk_id, set()).add(place.row)
        records.update(map(text, pipeline.execute()))
    told = list(read_chunks(redis, keys, lanes, [f"{id}-{k}" for k in numbers], leaving, materialized))
    chunks, missing = [each for each in told if each.fields], [each for each in told if not each.fields]
    pipeline = redis.pipeline(transaction=True)
    pipeline.hgetall(keys.batch(id))
    of_batch = (keys.batch, keys.template, keys.materialized, keys.parked, keys.batch_windows, keys.progress)
    for key in of_batch:
        pipeline.ttl(key(id))
    pipeline.zscore(keys.batches, id)
    pipeline.sismember(keys.keeping, id)
    pipeline.zscore(keys.starting, id)
    _, *ttls, listed, keeping, starting = pipeline.execute()
    parked = list(list_entries(redis, keys.parked(id)))
    expired = records.pop("", 0)
    facts = BatchFacts(
        id, before, dict(zip(KINDS, ttls, strict=True)), listed is not None, bool(keeping), starting is not None,
        parked, records, expired, chunks, missing,
    )  # fmt: skip
    return facts, read_hash(redis, keys.batch(id)) == before


def check_batch(facts: BatchFacts, keys: Keys, *, still: bool, settled: bool) -> Iterator[Finding]:
    """Checks a batch. `still`: it has not changed while it was read; else its counts and rows cannot be compared."""
    key = keys.batch(facts.id)
    if lost := lost_fields(facts.fields):
        yield mendable(Kind.BATCH, key, f"its fields {', '.join(lost)} are lost")
        return
    yield from _check_fields(facts, key)
    if damaged := [
        *facts.lost,
        *(chunk for chunk in facts.chunks if chunk.damaged),
    ]:  # nobody can count its rows
        for chunk in damaged:
            yield from check_chunk(chunk, keys, facts.fields, settled=settled)
        return
    total = facts.read.whole("total")
    if not facts.listed:
        yield mendable(Kind.BATCH, key, "it does not stand among the batches")
    if still and facts.counted["lost"]:
        cure = f"sesq batch report {facts.id} names them; send to those again that were not reached"
        yield for_a_person(Kind.BATCH, key, f"{facts.counted['lost']} of its rows are nowhere", cure)
    elif facts.counts_alone:
        pass
    elif facts.told.total() != total:
        yield mendable(Kind.BATCH, key, f"it counts {facts.told.total()} rows, and has {total}")
    elif still:
        yield from _check_counts(facts, key)
    if facts.fields.get("starts_at") and not facts.starting:
        yield mendable(Kind.BATCH, key, "it waits for its time, and nobody looks whether that has come")
    if still:
        yield from _check_chunks(facts, keys)
    yield from _check_end(facts, keys)
    for chunk in facts.chunks if still else ():
        yield from check_chunk(chunk, keys, facts.fields, settled=settled)


def _check_fields(facts: BatchFacts, key: str) -> Iterator[Finding]:
    state = facts.fields["state"]
    if state not in BATCH_STATES:
        what = f"its state is {state!r}, which this version of sesq does not know: it counts as paused"
        cure = f"start a worker of the version that wrote it; or sesq batch resume {facts.id}, or cancel it"
        yield for_a_person(Kind.BATCH, key, what, cure)
    if not facts.ended and facts.read.envelope_of_batch() is UNREADABLE:
        cure = f"give the same `sesq batch send` again, which restores it, and sesq batch resume {facts.id}"
        yield for_a_person(Kind.BATCH, key, "its envelope is lost: nobody can tell who sends it", cure)


def _check_counts(facts: BatchFacts, key: str) -> Iterator[Finding]:
    counted = facts.counted if facts.recounted is None else facts.recounted
    known = OPEN if facts.expired else set(counted) | set(facts.told)
    wrong = sorted(name for name in known if counted[name] != facts.told[name])
    if not wrong:
        return
    told, found = ([f"{counts[name]} {name}" for name in wrong] for counts in (facts.told, counted))
    what = f"it counts {', '.join(told)}, and its rows are {', '.join(found)}"
    if facts.recounted is None:
        cure = "none: records of its rows have expired, so that nobody can count them anew"
        yield for_a_person(Kind.BATCH, key, what, cure)
    else:
        yield mendable(Kind.BATCH, key, what)


def _check_chunks(facts: BatchFacts, keys: Keys) -> Iterator[Finding]:
    queued = sum(chunk.place == State.QUEUED.value for chunk in facts.chunks)
    jobs = facts.read.whole("jobs")
    if jobs != queued:
        yield mendable(Kind.BATCH, keys.batch(facts.id), f"it counts {jobs} queued chunks, and has {queued}")
    held = {chunk.id for chunk in facts.chunks if chunk.place == State.HELD.value}
    if held - set(facts.parked):  # other parked chunks do no harm: to resume the batch skips them
        what = f"{len(held - set(facts.parked))} chunks wait for it to be resumed, and are not parked"
        yield mendable(Kind.BATCH, keys.parked(facts.id), what)


def _check_end(facts: BatchFacts, keys: Keys) -> Iterator[Finding]:
    key, ended = keys.batch(facts.id), facts.ended
    is_open = any(facts.told[name] for name in OPEN)
    complete = facts.fields.get("filled") == "1" or facts.fields.get("state") == "cancelled"
    if complete and ended is is_open:
        yield mendable(
            Kind.BATCH,
            key,
            f"it has {'' if ended else 'not '}ended, and rows are {'' if is_open else 'not '}open",
        )
        return
    if not ended and facts.ttls["template"] == NO_KEY:
        cure = f"sesq batch cancel {facts.id}, and send to those again that were not reached"
        yield for_a_person(Kind.BATCH, key, "its template is gone", cure)
    if facts.keeping:  # its keys get their expiry in several steps
        return
    ttls = [*facts.ttls.values(), *(ttl for chunk in facts.chunks for ttl in chunk.ttls.values())]
    if ended and NO_EXPIRY in ttls:
        yield mendable(Kind.EXPIRY, key, "it has ended, and not all of its keys expire")
    elif not ended and any(ttl >= 0 for ttl in ttls):
        yield mendable(Kind.EXPIRY, key, "it goes on, and some of its keys will expire")


def audit_batch(
    redis: Redis,
    keys: Keys,
    lanes: Lanes,
    id: str,
    leaving: Mapping[str, set[int]],
    own: Collection[str],
    *,
    settled: bool,
) -> Iterator[Seen]:
    """Audits one batch and its chunks, in steps of some chunks."""
    facts, still = read_batch(redis, keys, lanes, id, leaving, own)
    if not facts.fields:
        return iter(())
    mark = " ".join(f"{name}={value}" for name, value in sorted(facts.fields.items()) if name != "kept")
    return marked(check_batch(facts, keys, still=still, settled=settled), mark)
