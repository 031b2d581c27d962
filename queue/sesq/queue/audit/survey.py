"""Reads every key of an account once, and reports what does not agree, with a mark."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import groupby

from redis import Redis

from sesq.queue.audit.batches import audit_batch
from sesq.queue.audit.chunks import check_chunk, read_chunks, rows_by_chunk
from sesq.queue.audit.finding import Finding, Kind, Seen, for_a_person, marked, mendable
from sesq.queue.audit.lanes import Lanes, audit_lanes, read_lanes, registries_of
from sesq.queue.audit.ledger import audit_ledger
from sesq.queue.audit.messages import check_message, describe_traces, look_at
from sesq.queue.audit.owners import KeyNames, audit_owners, lost_jobs, read_names
from sesq.queue.audit.walk import hash_fields, pages, zset_entries
from sesq.queue.job import rq_key
from sesq.queue.keys import ACCOUNTS, LAYOUT, Keys
from sesq.queue.layout import fault_of_layout
from sesq.queue.replies import texts
from sesq.queue.snapshot import redis_now
from sesq.queue.states import FINAL_STATES, State

MESSAGES_AT_ONCE = 50
"""For so many, the script takes some milliseconds."""
AT_ONCE = 500

Progress = Callable[[str, int, int], object]
"""Is called with what is being read, how many of those are done, and how many there are."""


class Survey:
    """Reads one account once. It changes nothing."""

    def __init__(self, redis: Redis, account: str, *, settled: bool, progress: Progress) -> None:
        self.redis, self.keys, self.settled, self.progress = redis, Keys(account), settled, progress
        self.lanes: Lanes = {}
        self.names = KeyNames()
        self.waited_for: set[str] = set()
        self.packed: set[str] = set()

    def look(self) -> dict[Finding, str]:
        """Returns what was found, each with its mark."""
        return dict(self._all())

    def _all(self) -> Iterator[Seen]:
        self.progress("keys", 0, 0)
        self.lanes = read_lanes(self.redis, self.keys)
        self.names = read_names(self.redis, self.keys)
        yield from audit_ledger(self.redis, self.keys)
        yield from audit_lanes(self.lanes)
        yield from self._account()
        yield from self._messages()
        yield from self._holds()
        yield from self._batches()
        yield from self._chunks_of_nobody()
        yield from marked(audit_owners(self.redis, self.keys, self.names), "")
        yield from self._traces()

    def _account(self) -> Iterator[Seen]:
        known = self.redis.sismember(ACCOUNTS, self.keys.account)
        if (self.names.messages or self.names.batches) and not known:
            what = f"account {self.keys.account} has mail, and does not stand among the accounts"
            yield mendable(Kind.MESSAGE, ACCOUNTS, what), ""
        if fault := fault_of_layout(self.redis):
            cure = "run the version of sesq that wrote the data, or empty this Redis: there is no migration"
            yield for_a_person(Kind.LAYOUT, LAYOUT, fault, cure), ""

    def _messages(self) -> Iterator[Seen]:
        done, now = 0, redis_now(self.redis)
        for some in pages(sorted(self.names.messages), MESSAGES_AT_ONCE):
            for facts in look_at(self.redis, self.keys, self.lanes, some):
                self.waited_for.add(facts.hold)
                if facts.packed:
                    self.packed.add(facts.id)
                if facts.ttl != -2:  # it may have expired since its name was read
                    yield from marked(check_message(facts, self.keys, now, settled=self.settled), facts.mark)
            done += len(some)
            self.progress("messages", done, len(self.names.messages))

    def _holds(self) -> Iterator[Seen]:
        """Checks that the messages in the list of each hold have that hold in their records."""
        for what in sorted(self.names.holds):
            key = self.keys.hold(what)
            for some in pages(zset_entries(self.redis, key), AT_ONCE):
                pipeline = self.redis.pipeline(transaction=False)
                for id in some:
                    pipeline.hget(self.keys.message(id), "hold")
                for id, hold in zip(some, texts(pipeline.execute()), strict=True):
                    if hold != what and id in self.names.messages:
                        yield mendable(Kind.HOLD, key, f"{id} stands there, and does not wait for it"), hold
        unused = set(hash_fields(self.redis, self.keys.holds)) - self.names.holds - self.waited_for
        if self.redis.exists(self.keys.restored):  # older messages may still get this hold
            unused.discard("restore")
        for what in unused:
            yield mendable(Kind.HOLD, self.keys.holds, f"it explains {what}, for which nothing waits"), ""

    def _batches(self) -> Iterator[Seen]:
        own: dict[str, list[str]] = {}
        for id in self.names.messages - self.packed:
            own.setdefault(id.partition("-")[0], []).append(id)
        leaving = rows_by_chunk(self.packed)
        for done, id in enumerate(sorted(self.names.batches), 1):
            rows = own.get(id, [])
            seen = audit_batch(self.redis, self.keys, self.lanes, id, leaving, rows, settled=self.settled)
            for finding, mark in seen:
                if finding.kind is Kind.CHUNK:  # else the entries of a lost chunk would count as orphans
                    self.names.chunks.add(finding.key[len(self.keys.chunk("")) :])
                yield finding, mark
            self.progress("batches", done, len(self.names.batches))

    def _chunks_of_nobody(self) -> Iterator[Seen]:
        alone = sorted(id for id in self.names.chunks if id.rpartition("-")[0] not in self.names.batches)
        leaving = rows_by_chunk(self.packed)
        for batch, ids in groupby(alone, lambda id: id.rpartition("-")[0]):
            told = read_chunks(self.redis, self.keys, self.lanes, list(ids), leaving, {})
            chunks = [chunk for chunk in told if chunk.fields]
            if any(chunk.waiting or chunk.leaving for chunk in chunks):
                self.names.batches.add(batch)  # its template and its lists must stay
                what = f"its hash is lost, and rows of it wait in {len(chunks)} chunks"
                yield mendable(Kind.BATCH, self.keys.batch(batch), what), ""
                continue
            for chunk in chunks:
                yield from marked(check_chunk(chunk, self.keys, {}, settled=self.settled), "")

    def _traces(self) -> Iterator[Seen]:
        """Finds ids without a record that are in a list, or that have a key which stays."""
        traces: dict[str, set[str]] = {}
        for key, ids in self._places():
            for id in ids:
                if id not in self.names.messages and id not in self.names.chunks:
                    traces.setdefault(id, set()).add(key)
        for some in pages(sorted(traces), AT_ONCE):
            pipeline = self.redis.pipeline(transaction=False)
            for id in some:
                pipeline.exists(self.keys.message(id), self.keys.chunk(id))
                pipeline.ttl(self.keys.content(id))
            answers = pipeline.execute()
            for id, exists, ttl in zip(some, answers[::2], answers[1::2], strict=True):
                content = self.keys.content(id)
                found = traces[id] - {content} if ttl != -1 else traces[id]
                if not exists and found:
                    yield describe_traces(id, found, self.keys), ""

    def _places(self) -> Iterator[tuple[str, Iterable[str]]]:
        """Yields the lists whose entries must all have a record. Lists of ended messages are pruned later."""
        for state in State:
            if state not in FINAL_STATES:
                yield self.keys.state(state), zset_entries(self.redis, self.keys.state(state))
        holds = map(self.keys.hold, sorted(self.names.holds))
        for key in (self.keys.leases, self.keys.expiring, self.keys.windowed, *holds):
            yield key, zset_entries(self.redis, key)
        for queue, lane in self.lanes.items():
            yield rq_key("queue", queue), (id for id in lane.entries if lane.standing(id))
            yield rq_key("wip", queue), lane.runs
        for queue in registries_of(self.lanes):
            for name in ("deferred", "scheduled"):
                yield rq_key(name, queue), zset_entries(self.redis, rq_key(name, queue))
        for id in self.names.contents:
            yield self.keys.content(id), (id,)
        for id in lost_jobs(self.redis, self.keys, self.names):
            yield rq_key("job", id), (id,)
