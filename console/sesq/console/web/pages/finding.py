"""A search for messages on a page: the filter in its address, its progress, and its result as a file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal
from urllib.parse import urlencode

from fastapi import APIRouter, Query
from pydantic import Field
from starlette.responses import Response

from sesq.console.find import NEAR, Finder
from sesq.console.message_view import lines
from sesq.console.times import parse_past
from sesq.console.web.filters import Parts
from sesq.console.web.pieces import file_of_lines
from sesq.console.web.search import PAGE_SIZE, Found, as_states, parameters
from sesq.console.web.search import Query as Wanted
from sesq.console.web.site import Viewing
from sesq.queue.snapshot import redis_now

router = APIRouter()
MOST_EXPORTED = 10_000_000
MEDIA_TYPES = {"csv": "text/csv", "jsonl": "application/jsonl"}


@dataclass(frozen=True, slots=True)
class Progress:
    """The progress of a search. `goes_on`: the address that continues it; None if it has ended or the page is full.

    `none`: the search has found nothing yet, neither on this page nor on those before.
    `missed`: the time in the wanted MessageId (s), if the search looks everywhere since it was not found there.
    """

    looked: int
    total: int
    goes_on: str | None
    none: bool
    missed: float | None = None

    @classmethod
    def of(
        cls, finder: Finder, found: Found, given: Mapping[str, Any], before: int, *, none: bool
    ) -> Progress:
        """Returns the progress. `before`: how many messages the pages before looked at. `none`: they found nothing."""
        looked, none = before + found.looked, none and not found.records
        if found.next is None or len(found.records) >= PAGE_SIZE:
            return cls(looked, looked, None, none)
        rest = urlencode({**given, "after": found.next, "looked": looked, "none": int(none)}, doseq=True)
        missed = None if found.next.startswith(NEAR) else finder.taken_at
        return cls(looked, max(looked, finder.to_look_at()), f"messages?{rest}", none, missed)


class Search(Parts):
    """The filter in the address of a page."""

    state: list[str] | None = None
    q: str = ""
    since: str = ""
    until: str = ""

    def query(self, now: float) -> Wanted:
        """Makes the query. Raises InputError, which names the wrong parameter."""
        since = parse_past(self.since.strip(), "since", now) if self.since.strip() else None
        until = parse_past(self.until.strip(), "until", now) if self.until.strip() else None
        return self.query_for(as_states(self.state or ()), self.q, since, until)


class PageOfSearch(Search):
    """The address of a page of a search. `newer`: where newer pages begin.

    `looked`: how many messages the pages before looked at. `none`: they found nothing.
    """

    after: str = ""
    looked: int = Field(default=0, ge=0)
    none: bool = False
    newer: list[str] | None = None


def as_given(query: Wanted) -> dict[str, Any]:
    """Returns the query as parameters of a page's address."""
    return {("q" if name == "to" else name): value for name, value in parameters(query).items()}


@router.get("/accounts/{account}/messages.{form}")
def export(room: Viewing, form: Literal["csv", "jsonl"], given: Annotated[Search, Query()]) -> Response:
    """Sends all messages that match, as they are found."""
    found = Finder(room.redis, room.account, given.query(redis_now(room.redis))).all(MOST_EXPORTED)
    kind = f"{MEDIA_TYPES[form]}; charset=utf-8"
    return file_of_lines(lines(found, jsonl=form == "jsonl"), kind, f"messages.{form}")
