"""Acts on all messages that match a filter: first a question with their number, then the act, with its progress."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Form
from starlette.responses import Response

from sesq.config.errors import WrongState
from sesq.console import many
from sesq.console.act import SILENT_SECONDS, Act, Acts, in_words, read_filter, write_filter
from sesq.console.overview import Waiting, read_waiting
from sesq.console.web import acting
from sesq.console.web.render import page
from sesq.console.web.search import Query
from sesq.console.web.site import Operating, Room, Viewing
from sesq.queue.snapshot import redis_now
from sesq.queue.states import State

router = APIRouter()
MOST_REASONS = 20

CONSEQUENCES = {
    "cancel": "They are not sent, and their content is deleted. This cannot be undone.",
    "retry": "They are queued again, and their attempts are forgotten. Each can be cancelled until it is sent.",
    "release": "They are queued again. A message that may still not go is held again. "
    "Each can be cancelled until it is sent.",
    "resolve as sent": "They count as sent, and their content is deleted. This cannot be undone.",
    "resolve as queued": "They are sent again: a recipient who has the first mail gets a second one. "
    "Each can be cancelled until it is sent.",
    "resolve as failed": "They count as failed. Failed messages can be queued again with “Retry”.",
}
"""What the question says before a person agrees."""


@dataclass(frozen=True, slots=True)
class Choices:
    """What can be done on a page of messages: to those that are chosen, and to all that match."""

    chosen: list[str]
    all: list[str]
    which: str
    reasons: list[tuple[Waiting, str]]
    """What held messages wait for, each with the filter for those."""


def choices(room: Room, query: Query) -> Choices:
    """Returns what can be done; to all messages only with a filter, so that one button cannot cancel everything."""
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
    """Does the act, to no more messages than the question named, and to none that came after the question."""
    query = many.narrowed(verb, read_filter(which))
    asked = Act(verb, query, number, at, words=in_words(query), page=messages_path(back))
    act, has_ended = acting.begin(room, asked)
    return _tell(room, act) if has_ended else room.go(f"acts/{act.id}")


def _tell(room: Room, act: Act) -> Response:
    """Returns to the page with the same filter, and says what was done."""
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
    """Continues an act that was interrupted. If somebody else has just done that, it says who."""
    try:
        acting.go_on(room, id)
    except WrongState as error:
        return room.go(f"acts/{id}", f"You do not need to continue it: {error}.")
    return room.go(f"acts/{id}")


@router.post("/accounts/{account}/acts/{id}/stop")
def stop(room: Operating, id: str) -> Response:
    acting.stop(room, id)
    return room.go(f"acts/{id}", "Stopped. Finished steps stay finished.")


def messages_path(path: str) -> str:
    """Returns the path of a page of messages or of one message; for any other path, the first page of messages."""
    return path if path.startswith("messages") else "messages"
