"""The API for programs: the pages' data and actions as JSON, described by OpenAPI at /api/v1/openapi.json."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, FastAPI, Query, Request, Security
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator
from starlette.exceptions import HTTPException

from sesq.config.batches import Batch, Batches
from sesq.config.errors import SesqError, WrongState
from sesq.config.replies import read_hash
from sesq.config.states import Lane, State
from sesq.console.commands.messages import as_json as message_as_json
from sesq.console.commands.status import as_json as overview_as_json
from sesq.console.limits import read_limits
from sesq.console.overview import read_overview
from sesq.console.times import utc
from sesq.console.web import actions
from sesq.console.web.outlook import changed, look_ahead
from sesq.console.web.pages.batches import act as act_on_batch
from sesq.console.web.search import Query as Wanted
from sesq.console.web.search import search
from sesq.console.web.site import NotAllowed, NotLoggedIn, Room, Site
from sesq.producer import Message

Json = dict[str, Any]
ERRORS: Any = {
    401: {"description": "no token, or one that nobody has"},
    403: {"description": "the token may look, but not change anything"},
    404: {"description": "no such account, message or batch"},
    409: {"description": "it is in a state in which that cannot be done"},
    422: {"description": "what was sent cannot be right"},
    502: {"description": "SES or AWS refused, or could not be reached"},
    503: {"description": "Redis cannot be reached"},
}
bearer = HTTPBearer(
    auto_error=False, description="A token of the users file; without that file none is needed."
)
router = APIRouter(prefix="/accounts/{account}", responses=ERRORS)


class Given(BaseModel):
    """What is sent here has no names that are not known, and text that can be written down."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    @model_validator(mode="before")
    @classmethod
    def _whole_characters(cls, data: Any) -> Any:
        try:
            json.dumps(data, ensure_ascii=False).encode()
        except UnicodeEncodeError as error:
            raise ValueError("has half a character in it (a lone surrogate)") from error
        return data


class Mail(Given):
    """A message to send; see `sesq.producer.Message`."""

    sender: str = Field(alias="from")
    to: list[str] = []
    cc: list[str] = []
    bcc: list[str] = []
    reply_to: list[str] = []
    subject: str = ""
    text: str | None = None
    html: str | None = None
    headers: dict[str, str] = {}
    tags: dict[str, str] = {}
    configuration_set: str | None = None
    lane: Lane = Lane.TRANSACTIONAL
    send_at: AwareDatetime | None = None
    expires_at: AwareDatetime | None = None
    idempotency_key: str | None = None


class Ids(Given):
    """The messages that something is to be done to."""

    ids: list[str] = Field(min_length=1, max_length=actions.MOST_AT_ONCE)


class Limits(Given):
    """Limits to change, as people write them: "14/second", "50000/day", "10%"."""

    rate: str | None = None
    daily: str | None = None
    burst: str | None = None
    margin: str | None = None
    reserve: str | None = None
    for_: str | None = Field(default=None, alias="for", description="Only for so long: 90s, 10m, 2h, 1d12h.")
    force: bool = Field(default=False, description="Also above what SES allows.")

    @property
    def changes(self) -> dict[str, str]:
        """Those that are given."""
        given = self.model_dump(exclude={"for_", "force"}, exclude_none=True)
        return {knob: str(value) for knob, value in given.items()}


class Knobs(Given):
    """Limits to forget; all where none is named."""

    knobs: list[Literal["rate", "daily", "burst", "margin", "reserve"]] = []


class Reason(Given):
    """Why, for those who ask later."""

    reason: str = Field(default="", max_length=500)


class Name(Given):
    """An address or a domain."""

    name: str = Field(max_length=320)


def _enter(
    request: Request, account: str, _token: Annotated[HTTPAuthorizationCredentials | None, Security(bearer)]
) -> Room:
    """Sessions do not count here: what a browser sends by itself shall change nothing."""
    site: Site = request.app.state.site
    token = request.headers.get("authorization", "")
    visitor = site.visitor(request) if site.people.local or token else None
    if visitor is None:
        raise NotLoggedIn("a token is needed: Authorization: Bearer …")
    return Room(site, request, site.check_account(account), visitor)


def _operate(room: Annotated[Room, Depends(_enter)]) -> Room:
    if not room.visitor.may_operate:
        raise NotAllowed(f"{room.visitor.name} may look, but not change anything")
    return room


Viewing = Annotated[Room, Depends(_enter)]
Operating = Annotated[Room, Depends(_operate)]


def make_api(site: Site, status_of: Callable[[Exception], int]) -> FastAPI:
    """The API as an application of its own, to be mounted."""

    def tell(_request: Request, error: Exception) -> JSONResponse:
        if isinstance(error, RequestValidationError):
            # without what was sent: that may be what JSON cannot carry back
            problems = [
                {"where": [*map(str, each["loc"])], "problem": each["msg"]} for each in error.errors()
            ]
            return JSONResponse({"detail": "what was sent cannot be right", "problems": problems}, 422)
        status = 401 if isinstance(error, NotLoggedIn) else status_of(error)
        detail = (
            error.detail
            if isinstance(error, HTTPException)
            else str(error).encode("utf-8", "replace").decode()
        )
        headers = {"www-authenticate": "Bearer"} if status == 401 else getattr(error, "headers", None)
        return JSONResponse({"detail": detail}, status, headers)

    api = FastAPI(title="sesq", version="1", docs_url=None, redoc_url=None)
    api.state.site = site
    api.include_router(router)
    for kind in (SesqError, HTTPException, RequestValidationError):
        api.add_exception_handler(kind, tell)
    return api


@router.get("/overview")
def overview(room: Viewing) -> Json:
    """As `sesq status --json`, and when the lanes will be empty."""
    view = read_overview(room.redis, room.account)
    return overview_as_json(view) | {"empty_at": utc(look_ahead(room.redis, view).empty_at)}


@router.get("/messages")
def messages(
    room: Viewing,
    state: Annotated[list[State] | None, Query()] = None,
    to: str = "",
    tag: str = "",
    waiting: str = "",
    after: str = "",
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
) -> Json:
    """The newest that match. Where `next` is not null, it is the `after` of the following page, which may have more."""
    query = Wanted(tuple(state or ()), to, tag, waiting, after)
    found = search(room.redis, room.account, query, limit)
    return {
        "messages": [message_as_json(each) for each in found.records],
        "next": found.next,
        "looked_at": found.looked,
    }


@router.post("/messages", status_code=201)
def send(room: Operating, mail: Mail) -> Json:
    """Queues a message."""
    given = mail.model_dump(exclude_none=True)
    return {"id": actions.send(room, Message(account=room.account, **given))}


@router.get("/messages/{id}")
def message(room: Viewing, id: str) -> Json:
    """One, with its history."""
    return message_as_json(room.messages.get(id))


def _each(room: Room, verb: str, ids: list[str]) -> Json:
    done, problems = actions.act(room, verb, ids)
    if not done:
        raise WrongState("; ".join(dict.fromkeys(problems.values())))
    return {"done": done, "problems": problems}


@router.post("/messages/cancel")
def cancel(room: Operating, given: Ids) -> Json:
    """Takes back messages that are not sent yet. 409 where it can be done to none of them."""
    return _each(room, "cancel", given.ids)


@router.post("/messages/retry")
def retry(room: Operating, given: Ids) -> Json:
    """Queues failed, refused, expired, cancelled or retrying messages again."""
    return _each(room, "retry", given.ids)


@router.post("/messages/release")
def release(room: Operating, given: Ids) -> Json:
    """Lets held messages try again now."""
    return _each(room, "release", given.ids)


@router.post("/messages/resolve/{outcome}")
def resolve(room: Operating, outcome: Literal["sent", "queued", "failed"], given: Ids) -> Json:
    """Settles messages of which nobody knows whether SES took them."""
    return _each(room, f"resolve as {outcome}", given.ids)


@router.get("/quota")
def quota(room: Viewing) -> Json:
    """Each limit: in force, where it comes from, what SES allows."""
    return {knob: limit.as_json() for knob, limit in read_limits(room.redis, room.account).items()}


@router.patch("/quota")
def set_quota(room: Operating, limits: Limits) -> Json:
    """Changes limits from the next claim on."""
    actions.set_limits(room, limits.changes, limits.for_ or "", force=limits.force)
    return quota(room)


@router.post("/quota/preview")
def preview_quota(room: Viewing, limits: Limits) -> Json:
    """What a change would do to when the lanes are empty. Changes nothing."""
    view = read_overview(room.redis, room.account)
    after = changed(view, limits.changes, force=limits.force)
    told = (look_ahead(room.redis, view), look_ahead(room.redis, view, after))
    return {
        "waiting": told[0].waiting,
        "empty_at": utc(told[0].empty_at),
        "then_empty_at": utc(told[1].empty_at),
    }


@router.post("/quota/reset")
def reset_quota(room: Operating, given: Knobs) -> Json:
    """Back to sesq.toml, or to what SES allows."""
    actions.reset_limits(room, [*given.knobs])
    return quota(room)


@router.get("/quota/history")
def history(room: Viewing, limit: Annotated[int, Query(ge=1, le=1000)] = 50) -> list[Json]:
    """Who changed what, the newest first."""
    return [
        each | {"at": utc(each["at"]), "until": utc(each.get("until"))} for each in room.policy.history(limit)
    ]


@router.post("/pause")
def pause(room: Operating, given: Reason) -> Json:
    """Nothing goes until somebody resumes."""
    actions.pause(room, given.reason)
    return {"paused": True}


@router.post("/resume")
def resume(room: Operating) -> Json:
    """Ends a pause."""
    actions.resume(room)
    return {"paused": False}


@router.get("/identities")
def identities(room: Viewing) -> dict[str, bool]:
    """Identity -> verified, as account sync last read them."""
    listed = read_hash(room.redis, room.messages.keys.identities)
    return {name: verified == "1" for name, verified in listed.items()}


@router.post("/identities", status_code=202)
def verify(room: Operating, given: Name) -> Json:
    """Starts a verification at SES."""
    found = actions.verify(room, given.name)
    return {"name": found.name, "status": found.status, "verified": found.verified}


@router.get("/batches")
def batches(room: Viewing) -> list[Json]:
    """The newest first."""
    return [_batch(each) for each in Batches(room.redis, room.account).all()]


@router.get("/batches/{id}")
def batch(room: Viewing, id: str) -> Json:
    """How far it is."""
    return _batch(Batches(room.redis, room.account).get(id))


@router.post("/batches/{id}/{action}")
def change_batch(
    room: Operating, id: str, action: Literal["pause", "resume", "cancel"], given: Reason
) -> Json:
    """Pauses, resumes or cancels it."""
    act_on_batch(room, id, action, given.reason)
    return batch(room, id)


def _batch(batch: Batch) -> Json:
    counts = {state.value: count for state, count in batch.counts.items() if count}
    told: Json = {
        name: getattr(batch, name) for name in ("id", "name", "state", "reason", "total", "sent", "waiting")
    }
    return told | {"counts": counts, "created": utc(batch.created), "ended": utc(batch.ended)}
