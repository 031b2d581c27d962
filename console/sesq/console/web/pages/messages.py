"""Messages: the search, one message, and the acts on one or many."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Form, Query
from starlette.responses import Response

from sesq.console import find
from sesq.console.act import VERBS
from sesq.console.find import Finder
from sesq.console.subjects import Subjects
from sesq.console.web import actions
from sesq.console.web.guard import MAIL_POLICY
from sesq.console.web.pages.finding import PageOfSearch, Progress, as_given
from sesq.console.web.pages.on_all import choices, path_back
from sesq.console.web.paging import Paging
from sesq.console.web.preview import preview
from sesq.console.web.render import page
from sesq.console.web.search import by_id
from sesq.console.web.site import Operating, Room, Viewing
from sesq.queue.explain import explain
from sesq.queue.record import Record
from sesq.queue.short_ids import find_message
from sesq.queue.snapshot import redis_now
from sesq.queue.states import State
from sesq.queue.suppression import SuppressionList

router = APIRouter()
PROBLEMS_SHOWN = 3


@router.get("/accounts/{account}/messages")
def messages(room: Viewing, asked: Annotated[PageOfSearch, Query()]) -> Response:
    now, after = redis_now(room.redis), asked.after
    query = asked.query(now)
    exact = by_id(room.messages, asked.q) if asked.q.strip() and not after else None
    if exact is not None:
        return room.go(f"messages/{exact.id}")
    finder = Finder(room.redis, room.account, replace(query, after=after))
    found = finder.page(seconds=find.PAGE_SECONDS)
    given = as_given(query)
    return page(
        room,
        "messages",
        query=replace(query, after=after),
        found=found,
        now=now,
        search=Progress.of(finder, found, given, asked.looked, none=asked.none or not after),
        export=urlencode(given, doseq=True),
        paging=Paging("messages", given, after, asked.newer or (), found.next),
        choices=choices(room, query),
    )


@router.get("/accounts/{account}/messages/{id}")
def message(room: Viewing, id: str) -> Response:
    found = find_message(room.messages, id)
    if found.id != id:
        return room.go(f"messages/{found.id}")
    record = explain(room.redis, Subjects(room.redis, room.account).of(found))
    shown = preview(room, record)
    return page(
        room,
        "message",
        record=record,
        now=redis_now(room.redis),
        shown=shown,
        verbs=verbs_for(record, has_content=shown.is_there),
        suppressed=_suppressed(room, record),
    )


@router.get("/accounts/{account}/messages/{id}/html")
def html(room: Viewing, id: str) -> Response:
    """Answers with the mail's HTML, for the sandboxed frame: its policy lets nothing run or load."""
    shown = preview(room, room.messages.get(id))
    headers = {"content-security-policy": MAIL_POLICY}
    return Response(shown.html.encode("utf-8", "replace"), 200, headers, "text/html; charset=utf-8")


@router.get("/accounts/{account}/messages/{id}/raw")
def raw(room: Viewing, id: str) -> Response:
    """Answers with the mail as a download, since a browser must not open it here."""
    shown = preview(room, room.messages.get(id))
    headers = {
        "content-security-policy": MAIL_POLICY,
        "content-disposition": 'attachment; filename="message.eml"',
    }
    return Response(shown.raw, 200, headers, "application/octet-stream")


@router.post("/accounts/{account}/messages/act")
def act(
    room: Operating,
    verb: Annotated[str, Form()],
    ids: Annotated[list[str] | None, Form()] = None,
    back: Annotated[str, Form()] = "messages",
) -> Response:
    done, problems = actions.act(room, verb, ids or ())
    said = f"{verb}: {len(done)} done" + (f", {len(problems)} not" if problems else "")
    reasons = list(dict.fromkeys(problems.values()))[:PROBLEMS_SHOWN]
    return room.go(path_back(back), "; ".join([said, *reasons]), bad=bool(problems))


def _suppressed(room: Room, record: Record) -> list[str]:
    """Returns its recipients on the suppression list, if that may be a reason for its state."""
    if record.state not in (State.BOUNCED, State.COMPLAINED, State.SUPPRESSED):
        return []
    return list(SuppressionList(room.redis, room.account).among(record.envelope.recipients))


def verbs_for(record: Record, *, has_content: bool) -> list[str]:
    """Returns the acts that its state allows. Without its content it cannot be sent again."""
    return [
        verb for verb, states in VERBS.items() if record.state in states and (has_content or verb != "retry")
    ]
