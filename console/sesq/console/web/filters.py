"""Filters for messages as people and programs give them. Each becomes a `Query`, or is refused with a clear text."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from sesq.config.errors import InputError
from sesq.console.web.search import Query, bare_message_id, parameters
from sesq.producer.moments import FIRST, LAST
from sesq.queue.states import State

Moment = Annotated[AwareDatetime, Field(ge=FIRST, lt=LAST)]


def _known(state: State) -> State:
    if not state.is_known:
        raise ValueError(f"{state.value!r} is no state; allowed: {', '.join(State)}")
    return state


WORDS = {
    "waiting": "waiting for",
    "message_id": "with the MessageId",
    "since": "in that state not before",
    "until": "in that state not after",
}
"""Parts of a filter -> how a sentence names them, if not by their name."""
KnownState = Annotated[State, AfterValidator(_known)]


def whole_characters(data: Any) -> Any:
    """Returns what was given. Raises ValueError if it has text that cannot be written down."""
    try:
        json.dumps(data, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise ValueError("has half a character in it (a lone surrogate)") from error
    return data


class Parts(BaseModel):
    """The parts of a filter that a page, the API and a form write in the same way."""

    tag: str = ""
    waiting: str = ""
    subject: str = ""
    message_id: str = ""

    def query_for(
        self, states: tuple[State, ...], to: str, since: float | None, until: float | None, after: str = ""
    ) -> Query:
        """Returns the search for these parts and the others."""
        return Query(
            states=states,
            to=to.strip(),
            tag=self.tag.strip(),
            waiting=self.waiting.strip(),
            after=after,
            subject=self.subject.strip(),
            message_id=bare_message_id(self.message_id),
            since=since,
            until=until,
        )


class Filter(Parts):
    """A filter for messages. Empty, it matches all."""

    model_config = ConfigDict(extra="forbid")
    _whole = model_validator(mode="before")(whole_characters)
    state: list[KnownState] | None = None
    to: str = ""
    since: Moment | None = None
    until: Moment | None = None

    def query(self, after: str = "") -> Query:
        """Returns the search for it."""
        since, until = (_seconds(moment) for moment in (self.since, self.until))
        return self.query_for(tuple(self.state or ()), self.to, since, until, after)


def write_filter(query: Query) -> str:
    """Returns a query without its cursor, as text for a form and for Redis."""
    times = {"since": query.since, "until": query.until}
    told = {name: _moment(seconds) for name, seconds in times.items() if seconds is not None}
    return json.dumps({**parameters(query), **told})


def read_filter(text: str) -> Query:
    """Reads what `write_filter` has written. Raises InputError."""
    try:
        return Filter.model_validate_json(text).query()
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        why = ": ".join((*map(str, first["loc"]), first["msg"]))
        raise InputError(f"which: that is no filter ({why}); choose one on the page of messages") from error


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, timezone.utc).isoformat()


def _seconds(moment: datetime | None) -> float | None:
    return None if moment is None else moment.timestamp()


def in_words(query: Query) -> str:
    """Says which messages a query means, such as `that are held, to ada`."""
    told = {"that are": " or ".join(query.states), **parameters(query)}
    return ", ".join(
        f"{WORDS.get(name, name)} {value}" for name, value in told.items() if value and name != "state"
    )
