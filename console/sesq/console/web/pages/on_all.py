"""The same for all messages that match: first a question that names the number, then it is done, with progress."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Form
from redis import Redis
from starlette.responses import Response

from sesq.config.errors import SesqError
from sesq.console import many
from sesq.console.act import SILENT_SECONDS, Act, Acts, in_words, read_filter, write_filter
from sesq.console.overview import Waiting, read_waiting
from sesq.console.web.render import page
from sesq.console.web.search import Query
from sesq.console.web.site import Operating, Room, Viewing
from sesq.queue.snapshot import redis_now
from sesq.queue.states import State

router = APIRouter()
log = logging.getLogger("sesq.console")
DONE_AT_ONCE = 500
"""Of larger acts the rest is done while their page shows how far they are."""
MOST_REASONS = 20

CONSEQUENCES = {
    "cancel": "They are not sent, and their content is deleted. This cannot be undone.",
    "retry": "They go into their lanes again, with their attempts forgotten. Until one is sent, it can be cancelled.",
    "release": "They go into their lanes again. What may still not go is held again. "
    "Until one is sent, it can be cancelled.",
    "resolve as sent": "They count as sent, and their content is deleted. This cannot be undone.",
    "resolve as queued": "They are sent again: whoever has the first mail gets a second one. "
    "Until one is sent, it can be cancelled.",
    "resolve as failed": "They count as failed. What failed can be queued again with “Retry”.",
}
"""What a person should know before the yes."""


@dataclass(frozen=True, slots=True)
class Choices:
    """What can be done on a page of messages: to those that are chosen, and to all that match."""

    chosen: list[str]
    all: list[str]
    which: str
    reasons: list[tuple[Waiting, str]]
    """What held messages wait for, each with the filter for those."""


def choices(room: Room, query: Query) -> Choices:
    """To all only where something is filtered: so nobody cancels everything with the first button."""
    states = query.states or ((State.HELD,) if query.waiting else ())
    verbs = many.verbs_for(states)
    all_held = query.states == (State.HELD,) and not query.waiting and not query.looks_inside
    reasons = read_waiting(room.redis, room.messages) if all_held else ()
    return Choices(
        verbs,
        verbs if query.is_filtered else [],
        write_filter(query),
        [(each, write_filter(Query(waiting=each.what))) for each in reasons[:MOST_REASONS]],
    )


@router.get("/accounts/{account}/acts/ask")
def ask(room: Viewing, verb: str, which: str, back: str = "messages") -> Response:
    act = many.ask(room.redis, room.account, verb, read_filter(which))
    return page(
        room,
        "act_question",
        act=act,
        which=which,
        back=messages_path(back),
        consequence=CONSEQUENCES[verb],
        counted=many.MOST_COUNTED if act.query.looks_inside else None,
    )


@router.post("/accounts/{account}/acts")
def begin(
    room: Operating,
    verb: Annotated[str, Form()],
    which: Annotated[str, Form()],
    number: Annotated[int, Form(ge=1)],
    at: Annotated[float, Form(gt=0, allow_inf_nan=False)],
    back: Annotated[str, Form()] = "messages",
) -> Response:
    """Does what was asked, to no more messages than the question named, and to none that came after it."""
    query = many.narrowed(verb, read_filter(which))
    asked = Act(verb, query, number, at, words=in_words(query), page=messages_path(back))
    act = many.begin(room.redis, room.account, asked, room.by)
    act = many.run(room.redis, room.account, act, most=DONE_AT_ONCE)
    room.log(f"{verb}: {act.number} that match")
    if Acts(room.redis, room.account).get(act.id) is None:
        return _tell(room, act)
    _go_on(room.redis, room.account, act)
    return room.go(f"acts/{act.id}")


def _tell(room: Room, act: Act) -> Response:
    """Back to the same filter, with what became of it."""
    others = f", {act.refused} not" if act.refused else ""
    said = "; ".join([f"{act.verb}: {act.done:,} done{others}", *act.reasons])
    return room.go(act.page, said, bad=bool(act.refused))


@router.get("/accounts/{account}/acts/{id}")
def show(room: Viewing, id: str) -> Response:
    acts, now = Acts(room.redis, room.account), redis_now(room.redis)
    act = acts.get(id)
    ended = acts.ended(id) if act is None else None
    moves = act is not None and act.moved > now - SILENT_SECONDS
    return page(room, "act", act=act, ended=ended, moves=moves, now=now, id=id)


@router.post("/accounts/{account}/acts/{id}/continue")
def go_on(room: Operating, id: str) -> Response:
    """For one that was interrupted: whoever worked on it is gone."""
    act = Acts(room.redis, room.account).get(id)
    if act and act.moved <= redis_now(room.redis) - SILENT_SECONDS:
        _go_on(room.redis, room.account, act)
    return room.go(f"acts/{id}")


@router.post("/accounts/{account}/acts/{id}/stop")
def stop(room: Operating, id: str) -> Response:
    Acts(room.redis, room.account).stop(id, redis_now(room.redis))
    return room.go(f"acts/{id}", "Stopped. What is done stays done.")


def messages_path(path: str) -> str:
    """A page of messages, or of one; for any other path the first one of messages."""
    return path if path.startswith("messages") else "messages"


def _go_on(redis: Redis, account: str, act: Act) -> None:
    threading.Thread(target=_finish, args=(redis, account, act), daemon=True, name=f"act-{act.id}").start()


def _finish(redis: Redis, account: str, act: Act) -> None:
    try:
        many.run(redis, account, act)
    except SesqError as error:
        log.warning("account %s: act %s is interrupted and can be continued: %s", account, act.id, error)
