"""Audits one message: its record against the set of its state, its lease, its hold, RQ's registries and its expiry."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from redis import Redis

from sesq.queue.audit.finding import Finding, Kind, for_a_person, mendable
from sesq.queue.audit.lanes import Lanes, own_queue, registries_of, rq_place
from sesq.queue.fields import Fields
from sesq.queue.keys import Keys
from sesq.queue.replies import text, texts
from sesq.queue.scripts import MESSAGES, compose
from sesq.queue.states import FINAL_STATES, SENT_STATES, WAITING_STATES, State

LOOK = compose("look.lua", MESSAGES)

RQ_STATE = {
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
"""State -> RQ's registry, and the status of the RQ job. The scripts have the same table; this one checks them."""
NO_KEY, NO_EXPIRY = -2, -1
NOT_UTF8 = "\\"
"""Stands in a name with bytes that are not UTF-8, and in no id."""


@dataclass(frozen=True, slots=True)
class MessageFacts:
    """Holds what Redis has of one message. A TTL is in seconds; NO_KEY and NO_EXPIRY as in Redis."""

    id: str
    state: str
    since: str
    queue: str
    hold: str
    expires_at: str
    ttl: int
    content_ttl: int
    job_ttl: int
    job_status: str
    states: Sequence[str]
    places: Sequence[str]
    """"<registry> <queue>", once for each time that it is there."""
    leased: bool
    expiring: bool
    in_hold: bool
    hold_explained: bool
    in_materialized: bool
    timed: bool
    """Whether its run has a time limit, after which RQ's own maintenance would end it."""
    packed: bool
    """Whether it is a row of a chunk that is being sent, which has only this record and a lease."""
    elsewhere: bool
    """Whether a stock RQ worker has it, or had it a moment ago."""

    @property
    def mark(self) -> str:
        return f"{self.state} {self.since} {self.job_status}"


def look_at(redis: Redis, keys: Keys, lanes: Lanes, ids: Sequence[str]) -> list[MessageFacts]:
    """Reads these messages, each at one moment. `lanes` were read before."""
    queues = registries_of(lanes)
    answers = LOOK.run(redis, keys.account, len(queues), *queues, *ids)
    return [_facts(id, lanes, answer) for id, answer in zip(ids, answers, strict=True)]


def _facts(id: str, lanes: Lanes, answer: Any) -> MessageFacts:
    record, ttl, content_ttl, job_ttl, status, states, registries, flags = answer
    state, since, queue, hold, _, _, expires_at, packed = texts(record)
    places = texts(registries)
    for name, lane in lanes.items():
        places += [f"queue {name}"] * lane.standing(id)
        places += [f"wip {name}"] * len(lane.runs.get(id, ()))
    taken = any(id in lane.taken for lane in lanes.values())
    timed = any(id in lane.timed for lane in lanes.values())
    leased, expiring, in_hold, explained, materialized, elsewhere = map(bool, flags)
    return MessageFacts(
        id, state, since, own_queue(lanes, queue), hold, expires_at, ttl, content_ttl, job_ttl, text(status),
        sorted(texts(states)), sorted(places), leased, expiring, in_hold, explained, materialized, timed,
        bool(packed), elsewhere or taken,
    )  # fmt: skip


def check_message(facts: MessageFacts, keys: Keys, now: float, *, settled: bool) -> Iterator[Finding]:
    """Checks a message. `settled`: nobody uses the account, so all that RQ and its workers were doing has ended."""
    key = keys.message(facts.id)
    state = State(facts.state)
    if not state.is_known:
        cure = "start a worker of the version that wrote it; where there is none, queue its mail anew and delete it"
        what = f"its state is {facts.state!r}, which this version of sesq does not know"
        yield for_a_person(Kind.MESSAGE, key, what, cure)
        return
    if facts.packed:
        if not facts.leased:
            yield mendable(Kind.MESSAGE, key, "it is a row on its way, and has no lease")
        return
    if list(facts.states) != [state.value]:
        where = ", ".join(facts.states) or "no state's set"
        yield mendable(Kind.MESSAGE, key, f"it is {state}, and stands in {where}")
    if facts.leased is not (state is State.SENDING):
        yield mendable(Kind.MESSAGE, key, f"it is {state}, and has {'a' if facts.leased else 'no'} lease")
    if not facts.in_materialized:
        yield mendable(Kind.MESSAGE, key, "its batch does not know that it has a record")
    yield from _check_hold(facts, state, key)
    yield from _check_rq(facts, state, key, settled=settled)
    yield from _check_expiry(facts, state, keys, now)


def _check_hold(facts: MessageFacts, state: State, key: str) -> Iterator[Finding]:
    if state is State.HELD and not facts.hold:
        cure = f"sesq messages release {facts.id}, or sesq messages cancel {facts.id}"
        yield for_a_person(Kind.HOLD, key, "it is held, and nothing says what it waits for", cure)
    elif state is State.HELD and not facts.in_hold:
        yield mendable(Kind.HOLD, key, f"it does not stand among those that wait for {facts.hold}")
    elif state is State.HELD and not facts.hold_explained:
        yield mendable(Kind.HOLD, key, f"nothing says in words why it waits for {facts.hold}")
    elif facts.hold and state is not State.HELD:
        yield mendable(Kind.HOLD, key, f"it is {state}, and waits for {facts.hold}")


def _check_rq(facts: MessageFacts, state: State, key: str, *, settled: bool) -> Iterator[Finding]:
    registry, status = RQ_STATE[state]
    expected = rq_place(registry, facts.queue)
    if list(facts.places) == [expected] and facts.job_status == status:
        if facts.timed and not facts.elsewhere:
            yield mendable(
                Kind.LANE, key, "it is being sent, and RQ's maintenance would judge that after a time"
            )
        return
    if not settled and (facts.elsewhere or _is_in_rqs_hands(facts, state)):
        return
    twice = [place for place in set(facts.places) if facts.places.count(place) > 1]
    if twice and set(facts.places) == {expected}:
        cure = "none is needed: the claim that meets the second entry drops it"
        yield for_a_person(Kind.LANE, key, f"it stands more than once in {' and '.join(sorted(twice))}", cure)
        return
    found = ", ".join(facts.places) or "nowhere"
    job = f"status {facts.job_status}" if facts.job_status else "no RQ job"
    yield mendable(
        Kind.LANE, key, f"it is {state}: it should be in {expected}, and is in {found}, with {job}"
    )


def _is_in_rqs_hands(facts: MessageFacts, state: State) -> bool:
    """Whether somebody moved it with RQ's tools. A worker mends that at its next claim or sync."""
    if facts.job_status == "canceled" and state in WAITING_STATES:
        return True
    if facts.job_status == "queued" and state is not State.QUEUED:
        return any(place.startswith("queue ") for place in facts.places)
    return state in FINAL_STATES and facts.job_ttl == NO_KEY


def _check_expiry(facts: MessageFacts, state: State, keys: Keys, now: float) -> Iterator[Finding]:
    ended = state in FINAL_STATES
    record = keys.message(facts.id)
    for name, ttl in (
        ("record", facts.ttl),
        ("content", facts.content_ttl),
        ("RQ job", facts.job_ttl),
    ):
        if ttl == NO_EXPIRY and ended:
            yield mendable(Kind.EXPIRY, record, f"it is {state}, and its {name} never expires")
        elif ttl >= 0 and not ended:
            yield mendable(Kind.EXPIRY, record, f"it is {state}, and its {name} will expire")
    if facts.content_ttl == NO_KEY and not ended:
        cure = f"sesq messages cancel {facts.id}, and queue the mail anew"
        yield for_a_person(Kind.MESSAGE, record, f"it is {state}, and its content is gone", cure)
    read = Fields({"expires_at": facts.expires_at})
    late = read.optional("expires_at")
    if read.problems and not ended:
        cure = f"sesq messages cancel {facts.id}, and queue the mail anew"
        yield for_a_person(Kind.MESSAGE, record, f"it is {state}, and its expires_at is no number", cure)
    if state in WAITING_STATES and late is not None and now < late and not facts.expiring:
        yield mendable(Kind.EXPIRY, record, "it has an end, and nobody looks whether that has come")


def describe_traces(id: str, traces: Iterable[str], keys: Keys) -> Finding:
    """Reports what is left of something whose record is gone."""
    where = sorted(set(traces))
    if NOT_UTF8 in id:
        cure = "find out who wrote it: sesq does not. Then take it out with redis-cli"
        return for_a_person(Kind.ORPHAN, where[0], f"{id} stands there, which is no id", cure)
    what = f"there is no record of it, but it stands in {', '.join(where)}"
    return mendable(Kind.ORPHAN, keys.message(id), what)
