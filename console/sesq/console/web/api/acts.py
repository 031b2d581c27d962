"""Acts on all messages that match a filter: count them, agree to the number, and follow the progress."""

from __future__ import annotations

from typing import Any

from sesq.config.errors import WrongState
from sesq.console import many
from sesq.console.act import SILENT_SECONDS, Act, Acts
from sesq.console.times import utc
from sesq.console.web import acting
from sesq.console.web.api.entry import Json, Operating, Viewing, api_router, operation
from sesq.console.web.api.given import ActOnAll, AgreedAct
from sesq.console.web.api.mail_answers import ActNow, Counted
from sesq.console.web.site import Room
from sesq.queue.snapshot import redis_now

router = api_router("messages")


@router.post("/acts/count", **operation("count_act", Counted))
def count(room: Viewing, given: ActOnAll) -> Json:
    """Counts the messages that an act would change, and changes none. Give `number` and `at` to `begin_act`.

    If the filter needs the messages' records, it counts among the newest `counted_among`.
    """
    at = int(redis_now(room.redis) * 1000) / 1000  # as it is told
    act = many.ask(room.redis, room.account, given.verb, given.filter.query(), at=at)
    return {
        "act": act.verb,
        "words": act.words,
        "number": act.number,
        "at": utc(act.at),
        "counted_among": many.MOST_COUNTED if act.query.looks_inside else None,
    }


@router.post("/acts", **operation("begin_act", ActNow, 202))
def begin(room: Operating, given: AgreedAct) -> Json:
    """Changes the messages that were counted, in steps of 50. Answers 409 if their number is another one now.

    Up to 500 messages are changed before the answer, the others after it: `show_act` has the progress.
    """
    act, _ = acting.begin(room, _agreed(room, given))
    return show(room, act.id)


def _agreed(room: Room, given: AgreedAct) -> Act:
    at = min(given.at.timestamp(), redis_now(room.redis))
    act = many.ask(room.redis, room.account, given.verb, given.filter.query(), at=at)
    if act.number != given.number:
        raise WrongState(f"number: {act.number} messages match, not {given.number}; count them again")
    return act


@router.get("/acts", **operation("list_acts", list[ActNow]))
def unfinished(room: Viewing) -> list[Json]:
    """Lists the acts that have not ended, the oldest first."""
    now = redis_now(room.redis)
    return [_begun(act, now) for act in Acts(room.redis, room.account).all()]


@router.get("/acts/{id}", **operation("show_act", ActNow))
def show(room: Viewing, id: str) -> Json:
    """Shows the progress of an act, also after its end while the audit trail has it."""
    acts = Acts(room.redis, room.account)
    act = acts.get(id)
    return _begun(act, redis_now(room.redis)) if act else _ended(acts.ended(id))


@router.post("/acts/{id}/continue", **operation("continue_act", ActNow, 202))
def go_on(room: Operating, id: str) -> Json:
    """Continues an act that was interrupted. Answers 409 if somebody works on it, or if it has ended."""
    acting.go_on(room, id)
    return show(room, id)


@router.post("/acts/{id}/stop", **operation("stop_act", ActNow, 202))
def stop(room: Operating, id: str) -> Json:
    """Ends an act after its step. What is done stays done."""
    acting.stop(room, id)
    return show(room, id)


def _begun(act: Act, now: float) -> Json:
    moves = act.moved > now - SILENT_SECONDS
    return {
        "id": act.id,
        "state": "stopping" if act.stopped_by else "running" if moves else "interrupted",
        "what": act.told,
        "by": act.people,
        "at": utc(act.moved),
        "number": act.number,
        "done": act.done,
        "refused": act.refused,
        "reasons": list(act.reasons),
    }


def _ended(entry: dict[str, Any]) -> Json:
    same = {name: entry[name] for name in ("what", "by", "number", "done", "refused", "reasons")}
    return {"id": entry["act"], "state": "ended", "at": utc(entry["at"]), **same}
