"""Why what waits waits, in sentences for people, and when it goes. Pure: says what an `Overview` holds."""

from __future__ import annotations

from collections.abc import Iterator

from sesq.config.quotas import format_rate
from sesq.console.overview import LaneView, Overview
from sesq.console.ramp_view import ramp_sentences
from sesq.console.times import local
from sesq.queue.states import Lane, State
from sesq.queue.usage import VISIBLE_SLOWNESS

SOON_SECONDS = 0.05
HOLDS_NAMED = 5


def sentences(view: Overview) -> list[str]:
    """The account first, then each lane, then what waits for something other than time."""
    return [*_account(view), *_lanes(view), *_states(view)]


def _account(view: Overview) -> Iterator[str]:
    if view.memory and view.memory.is_full:
        yield "Redis is full: it takes no mail, and workers cannot claim any. Raise its maxmemory."
    if view.usage.closed == "suspended":
        yield f"{_sentence(view.paused).capitalize()} Nothing goes, of any account, until `rq resume`."
    elif view.usage.closed == "paused":
        yield f"Paused: {_sentence(view.paused)} Nothing goes until `sesq quota resume`."
    elif view.usage.closed == "ses_paused":
        yield f"{_sentence(view.paused)} Workers ask again at each sync, and go on by themselves."
    elif view.usage.closed == "unsynced" and view.snapshot.known:
        yield "Redis was started anew since SES was asked, or another took over: nothing goes before a worker asks."
    elif view.usage.closed == "unsynced":
        yield "SES has not described this account yet, and nothing goes before: start a worker, or `sesq quota sync`."
    elif view.snapshot.known and not view.snapshot.readable:
        yield "These credentials may not read the account (ses:GetAccount): the limits of sesq.toml count."
    if view.bulk_paused:
        yield f"Bulk mail is paused: {_sentence(view.bulk_paused)} It waits until `sesq quota resume --bulk`."
    elif view.bulk_waits_because:
        yield f"Bulk mail is {_sentence(view.bulk_waits_because)}"
    yield from ramp_sentences(view.usage)
    if view.damaged:
        yield f"Damaged in Redis, or of another version, and set aside: {view.damaged}. `sesq doctor` names it."
    if view.usage.slow > VISIBLE_SLOWNESS:
        yield f"SES throttled lately, so the pace is {format_rate(view.usage.shown_rate)} for a while."
    if not view.workers and any(lane.queued for lane in view.lanes):
        yield "No worker is running: `sesq worker` starts one."


def _sentence(reason: str | None) -> str:
    """With one full stop, whether its writer gave it one or not."""
    return (reason or "").rstrip(".") + "."


def _lanes(view: Overview) -> Iterator[str]:
    if view.usage.closed:
        return
    for lane in view.lanes:
        if lane.queued and not (lane.lane is Lane.BULK and view.bulk_waits_because):
            yield f"{lane.lane}: {lane.queued} queued; {_head(view, lane)}"


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
        return f"what is left of the day is kept for transactional mail (reserve: {view.usage.reserve:g}){_spent(view)}"
    if (view.usage.remaining or 0) >= 1:
        return f"the next one has more recipients than the day has room for{_spent(view)}"
    return f"the day is spent{_spent(view)}"


def _spent(view: Overview) -> str:
    usage = view.usage
    if usage.daily is None:
        return ""
    others = f", {usage.others:g} by others" if usage.others else ""
    return f" ({usage.last_24h + usage.others:g} of {usage.daily:g} recipients in 24 hours{others})"


def _states(view: Overview) -> Iterator[str]:
    for waiting in view.waiting[:HOLDS_NAMED]:
        yield f"{waiting.count} held: {_sentence(waiting.reason)}"
    more = len(view.waiting) - HOLDS_NAMED
    if more > 0:
        yield f"{more} more things are waited for: `sesq messages list --state held`."
    for outside in view.outside[:HOLDS_NAMED]:
        yield f"{outside.count:,} of batch {outside.batch} are {_sentence(outside.why)}"
    unknown = view.counts[State.UNKNOWN]
    for batch in view.paused_batches:
        if batch.starts_at is not None:
            yield f"Batch {batch.id} starts at {local(batch.starts_at, view.usage.now)}: {batch.left:,} of it wait."
        else:
            yield (
                f"Batch {batch.id} is paused: {_sentence(batch.reason)} {batch.left:,} of it wait until "
                f"`sesq batch resume {batch.id}`."
            )
    if unknown:
        yield f"{unknown} may have been sent, or not: SES's answer was lost. Settle them with `sesq messages resolve`."
