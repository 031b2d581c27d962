"""Acts on all messages that match a filter: count them, agree to the number, and follow the progress."""

from __future__ import annotations

from contextlib import suppress

from sesq.config.errors import WrongState
from sesq.console import many
from sesq.console.act import Act
from sesq.console.acts import Acts, EndedAct
from sesq.console.times import utc
from sesq.console.web import acting
from sesq.console.web.api.entry import Json, Operating, Viewing, api_router, operation
from sesq.console.web.api.given import ActOnAll, AgreedAct, Waiting
from sesq.console.web.api.mail_answers import ActNow, Counted
from sesq.console.web.search import Query
from sesq.console.web.site import Room
from sesq.queue.snapshot import redis_now

router = api_router("messages")


@router.post("/acts/count", **operation("count_act", Counted))
def count(room: Viewing, given: ActOnAll) -> Json:
    """Counts the messages that an act would change, and changes none. Give `number` and `at` to `begin_act`.

    If the filter needs the messages' records, it counts for about 200 ms. `complete` says whether it has counted all.
    """
    at = int(redis_now(room.redis) * 1000) / 1000  # as it is told
    act = _count(room, given.verb, given.filter.query(), at)
    return {
        "act": act.verb,
        "words": act.words,
        "number": act.number,
        "at": utc(act.at),
        "complete": act.complete,
    }


@router.post("/acts", **operation("begin_act", ActNow, 202))
def begin(room: Operating, given: AgreedAct) -> Json:
    """Changes the messages that were counted, in steps of 50. Answers 409 if their number is another one now.

    If the count was not `complete`, it changes all that match, up to the time of the count. Up to 500 messages are
    changed before the answer, the others after it: `show_act` has the progress.
    """
    at, query = min(given.at.timestamp(), redis_now(room.redis)), given.filter.query()
    if not given.complete:
        return _begin(room, many.asked(given.verb, query, at, given.number, complete=False))
    return _begin(room, _agreed(room, given.verb, query, at, given.number))


@router.post("/waiting/release", **operation("release_waiting", ActNow, 202))
def release_all(room: Operating, given: Waiting) -> Json:
    """Lets all messages try again that wait for the same thing. Answers 409 if their number is another one now."""
    many.require_waited_for(room.messages, given.waiting)
    query = Query(waiting=given.waiting)
    return _begin(room, _agreed(room, "release", query, redis_now(room.redis), given.number))


def _count(room: Room, verb: str, query: Query, at: float) -> Act:
    return many.ask(room.redis, room.account, verb, query, at=at, seconds=acting.COUNT_SECONDS)


def _agreed(room: Room, verb: str, query: Query, at: float, number: int) -> Act:
    act = _count(room, verb, query, at)
    if act.number != number or not act.complete:
        raise WrongState(f"number: {act.counted} messages match, not {number}; count them again")
    return act


def _begin(room: Room, asked: Act) -> Json:
    act, _ = acting.begin(room, asked)
    return show(room, act.id)


@router.get("/acts", **operation("list_acts", list[ActNow]))
def unfinished(room: Viewing) -> list[Json]:
    """Lists the acts that have not ended, the oldest first."""
    now = redis_now(room.redis)
    return [_begun(act, now) for act in Acts(room.redis, room.account).all(now).acts]


@router.get("/acts/{id}", **operation("show_act", ActNow))
def show(room: Viewing, id: str) -> Json:
    """Shows the progress of an act, also after its end while the audit trail has it."""
    acts, now = Acts(room.redis, room.account), redis_now(room.redis)
    act = acts.get(id, now)
    return _begun(act, now) if act else _ended(acts.ended(id))


@router.post("/acts/{id}/continue", **operation("continue_act", ActNow, 202))
def go_on(room: Operating, id: str) -> Json:
    """Continues an act that was interrupted. Answers 409 if somebody works on it, or if it has ended."""
    acting.go_on(room, id)
    return show(room, id)


@router.post("/acts/{id}/stop", **operation("stop_act", ActNow, 202))
def stop(room: Operating, id: str) -> Json:
    """Ends an act after its step. What is done stays done. A damaged one is removed, and then unknown."""
    with suppress(WrongState):  # it has ended already, which the answer says
        acting.stop(room, id)
    return show(room, id)


def _begun(act: Act, now: float) -> Json:
    state = "stopping" if act.stopped_by else "interrupted" if act.is_silent(now) else "running"
    return {
        "id": act.id,
        "state": state,
        "what": act.told,
        "by": act.people,
        "at": utc(act.moved),
        "number": act.number,
        "complete": act.complete,
        "done": act.done,
        "refused": act.refused,
        "reasons": list(act.reasons),
    }


def _ended(act: EndedAct) -> Json:
    return {
        "id": act.act,
        "state": "ended",
        "what": act.what,
        "by": act.by,
        "at": utc(act.at),
        "number": act.number,
        "complete": act.complete,
        "done": act.done,
        "refused": act.refused,
        "reasons": act.reasons,
    }
