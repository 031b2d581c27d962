"""Says in sentences for people why mail waits and when it goes. It reads nothing but an `Overview`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sesq.config.quotas import format_rate
from sesq.console.overview import LaneView, Overview
from sesq.console.times import local
from sesq.queue.batch import Batch
from sesq.queue.conditions import Condition
from sesq.queue.states import Lane, State

SOON_SECONDS = 0.05
HOLDS_NAMED = 5


@dataclass(frozen=True, slots=True)
class Told:
    """A sentence, and its subject: `paused`, `workers`, `lane:bulk`, `held:recipient:bob@x.org` …"""

    about: str
    text: str

    def __str__(self) -> str:
        return self.text


def sentences(view: Overview) -> list[str]:
    """Returns sentences about the account, then about each lane, then about what messages wait for other than time."""
    return [told.text for told in tell(view)]


def tell(view: Overview) -> list[Told]:
    """Returns the same with the subject of each sentence, so that a page can leave out what an alert says."""
    return [*_account(view), *_lanes(view), *_states(view)]


def about(condition: Condition) -> str:
    """Returns the subject of the sentences about a condition."""
    return f"{condition.kind}:{condition.tenant}".rstrip(":")


def _account(view: Overview) -> Iterator[Told]:
    if view.memory and view.memory.is_full:
        yield Told(
            "memory", "Redis is full: it takes no mail, and workers cannot claim any. Raise its maxmemory."
        )
    yield from (Told(about(condition), condition.words) for condition in view.conditions)
    if view.damaged:
        damage = (
            f"Damaged in Redis, or of another version, and set aside: {view.damaged}. `sesq doctor` names it."
        )
        yield Told("damaged", damage)
    if not view.workers and any(lane.queued for lane in view.lanes):
        yield Told("workers", "No worker is running: `sesq worker` starts one.")


def _sentence(reason: str | None) -> str:
    """Returns the reason with one full stop at its end."""
    return (reason or "").rstrip(".") + "."


def _lanes(view: Overview) -> Iterator[Told]:
    for lane in view.lanes:
        if lane.queued and not view.is_stopped(lane.lane):
            yield Told(f"lane:{lane.lane}", f"{lane.lane}: {lane.queued:,} queued; {_head(view, lane)}")


def _head(view: Overview, lane: LaneView) -> str:
    now = view.usage.now
    if lane.room_at is None:
        return f"{_day(view, lane)}; others use it too, so workers look for room at each sync."
    if lane.room_at > now:
        return f"{_day(view, lane)}; enough of it frees up at {local(lane.room_at, now)}."
    if lane.lane is not Lane.TRANSACTIONAL and view.lanes[0].queued:
        return "it goes after the transactional mail."
    if lane.ready_at > now + SOON_SECONDS:
        return (
            f"the rate of {format_rate(view.usage.rate)} lets the next one go at {local(lane.ready_at, now)}."
        )
    return "the next one may go now."


def _day(view: Overview, lane: LaneView) -> str:
    if lane.lane is not Lane.TRANSACTIONAL and view.usage.reserve >= (view.usage.remaining or 0) >= 1:
        kept = f"(reserve: {view.usage.reserve:,.10g})"
        return f"what is left of the day is kept for transactional mail {kept}{_spent(view)}"
    if (view.usage.remaining or 0) >= 1:
        return f"the next one has more recipients than the day has room for{_spent(view)}"
    return f"the day is spent{_spent(view)}"


def _spent(view: Overview) -> str:
    usage = view.usage
    if usage.daily is None:
        return ""
    others = f", {usage.others:,.10g} by others" if usage.others else ""
    return f" ({usage.last_24h + usage.others:,.10g} of {usage.daily:,.10g} recipients in 24 hours{others})"


def _states(view: Overview) -> Iterator[Told]:
    for waiting in view.waiting[:HOLDS_NAMED]:
        yield Told(f"held:{waiting.what}", f"{waiting.count:,} held: {_sentence(waiting.reason)}")
    more = len(view.waiting) - HOLDS_NAMED
    if more > 0:
        yield Told("held", f"{more:,} more things are waited for: `sesq messages list --state held`.")
    for outside in view.outside[:HOLDS_NAMED]:
        yield Told(
            f"batch:{outside.batch}",
            f"{outside.count:,} of batch {outside.batch} are {_sentence(outside.why)}",
        )
    yield from (Told(f"batch:{batch.id}", _paused(batch, view.usage.now)) for batch in view.paused_batches)
    unknown = view.counts[State.UNKNOWN]
    if unknown:
        lost = "may have been sent, or not: SES's answer was lost. Settle them with `sesq messages resolve`."
        yield Told("unknown", f"{unknown:,} {lost}")


def _paused(batch: Batch, now: float) -> str:
    if batch.starts_at is not None:
        return f"Batch {batch.id} starts at {local(batch.starts_at, now)}: {batch.left:,} of it wait."
    waits = f"{batch.left:,} of it wait until `sesq batch resume {batch.id}`."
    return f"Batch {batch.id} is paused: {_sentence(batch.reason)} {waits}"
