"""Acts on all messages that match a filter: first a question with their number, then the act, with its progress."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Form, Query
from starlette.responses import Response

from sesq.config.errors import WrongState
from sesq.console import many
from sesq.console.act import MOST_NUMBER, Act
from sesq.console.acts import Acts
from sesq.console.overview import Waiting, read_waiting
from sesq.console.web import acting
from sesq.console.web.filters import read_filter, write_filter
from sesq.console.web.render import page
from sesq.console.web.search import Query as Wanted
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


def choices(room: Room, query: Wanted) -> Choices:
    """Returns what can be done; to all messages only with a filter, so that one button cannot cancel everything."""
    states = query.states or ((State.HELD,) if query.waiting else ())
    verbs = many.verbs_for(states)
    all_held = query == Wanted(states=(State.HELD,))
    reasons = read_waiting(room.redis, room.messages) if all_held else ()
    return Choices(
        verbs,
        verbs if query.is_filtered else [],
        write_filter(query),
        [(each, write_filter(Wanted(waiting=each.what))) for each in reasons[:MOST_REASONS]],
    )


@router.get("/accounts/{account}/acts/ask")
def ask(
    room: Viewing,
    verb: str,
    which: str,
    back: str = "messages",
    at: Annotated[float | None, Query(gt=0, allow_inf_nan=False)] = None,
    number: Annotated[int, Query(ge=0, le=MOST_NUMBER)] = 0,
    after: str = "",
) -> Response:
    """Asks with the number. `at`, `number`, `after`: the time, the result and the end of a count that continues."""
    so_far, seconds = many.Counted(number, after), acting.COUNT_SECONDS
    act = many.ask(room.redis, room.account, verb, read_filter(which), at=at, seconds=seconds, so_far=so_far)
    rest = {
        "verb": verb,
        "which": which,
        "back": back,
        "at": act.at,
        "number": act.number,
        "after": act.cursor,
    }
    return page(
        room,
        "act_question",
        act=act,
        which=which,
        back=path_back(back),
        consequence=CONSEQUENCES[verb],
        goes_on=f"acts/ask?{urlencode(rest)}",
    )


@router.post("/accounts/{account}/acts")
def begin(
    room: Operating,
    verb: Annotated[str, Form()],
    which: Annotated[str, Form()],
    number: Annotated[int, Form(ge=0, le=MOST_NUMBER)],
    at: Annotated[float, Form(gt=0, allow_inf_nan=False)],
    complete: Annotated[bool, Form()] = True,
    back: Annotated[str, Form()] = "messages",
) -> Response:
    """Does the act, to no message that came after the question; and to no more than it named, if it named all."""
    asked = many.asked(verb, read_filter(which), at, number, complete=complete)
    act, has_ended = acting.begin(room, replace(asked, page=path_back(back)))
    return _tell(room, act) if has_ended else room.go(f"acts/{act.id}")


def _tell(room: Room, act: Act) -> Response:
    """Returns to the page with the same filter, and says what was done."""
    others = f", {act.refused} not" if act.refused else ""
    said = "; ".join([f"{act.verb}: {act.done:,} done{others}", *act.reasons])
    return room.go(act.page, said, bad=bool(act.refused))


@router.get("/accounts/{account}/acts/{id}")
def show(room: Viewing, id: str) -> Response:
    acts, now = Acts(room.redis, room.account), redis_now(room.redis)
    act = acts.get(id, now)
    ended = acts.ended(id) if act is None else None
    return page(room, "act", act=act, ended=ended, now=now, id=id)


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
    try:
        was_good = acting.stop(room, id)
    except WrongState:
        return room.go("activity", f"Nothing was stopped: act {id} has ended, or there was none.")
    if was_good:
        return room.go(f"acts/{id}", "Stopped. Finished steps stay finished.")
    return room.go("activity", f"Removed: the damaged record of act {id}.")


def path_back(path: str) -> str:
    """Returns the path of a page of messages, of one message or of identities; otherwise, the page of messages."""
    return path if path.startswith(("messages", "identities")) else "messages"
