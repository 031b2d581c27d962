"""`/_sim/`: the simulator's own API, for tests and people. Each path takes `?region=`, by default us-east-1."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, NamedTuple

from pydantic import BaseModel, ConfigDict, Field
from starlette.datastructures import QueryParams
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sesq.simulator.cloud import Cloud
from sesq.simulator.errors import SesError
from sesq.simulator.http import DEFAULT_REGION
from sesq.simulator.settings import explain

MAX_BODY = 1024 * 1024


class ClockMove(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)
    advance: float = Field(0.0, ge=0, description="seconds")
    freeze: bool | None = None


class EventWanted(BaseModel):
    model_config = ConfigDict(extra="forbid")
    fate: str


class TenantChange(BaseModel):
    model_config = ConfigDict(extra="forbid")
    sending_status: str


class Ask(NamedTuple):
    """One request: its region, its query and the names in its path, and the JSON object of its body."""

    method: str
    region: str
    query: QueryParams
    names: dict[str, Any]
    body: dict[str, Any]


class Control:
    """Answers requests. A ValueError or a SesError becomes a 400 that names what is wrong."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud

    def routes(self) -> list[Route]:
        verify = "/_sim/identities/{name:path}/verify"
        return [
            Route("/_sim/clock", _json(self.clock), methods=["GET", "POST"]),
            Route("/_sim/faults", _json(self.faults), methods=["GET", "PUT"]),
            Route("/_sim/events", _json(self.events), methods=["GET", "PUT"]),
            Route("/_sim/account", _json(self.account), methods=["GET", "PUT"]),
            Route("/_sim/identities", _json(self.identities), methods=["GET"]),
            Route(verify, _json(self.verify), methods=["POST"]),
            Route("/_sim/tenants", _json(self.tenants), methods=["GET"]),
            Route("/_sim/tenants/{name}", _json(self.tenant), methods=["POST", "PUT"]),
            Route("/_sim/reset", _json(self.reset), methods=["POST"]),
            Route("/_sim/messages", _json(self.messages), methods=["GET"]),
            Route("/_sim/messages/{id}/event", _json(self.tell), methods=["POST"]),
            Route("/_sim/report", _json(self.report), methods=["GET"]),
        ]

    def clock(self, ask: Ask) -> Any:
        return self._cloud.move_clock(**ClockMove.model_validate(ask.body).model_dump())

    def faults(self, ask: Ask) -> Any:
        if ask.method == "PUT":
            return self._cloud.set_faults(ask.body, ask.region)
        return self._cloud.account(ask.region).faults.model_dump(exclude_none=True)

    def events(self, ask: Ask) -> Any:
        events = self._cloud.account(ask.region).events
        if ask.method == "PUT":
            events.change(ask.body)
        return events.state()

    def account(self, ask: Ask) -> Any:
        account = self._cloud.account(ask.region)
        if ask.method == "PUT":
            account.change(ask.body)
        return account.state()

    def identities(self, ask: Ask) -> Any:
        now = self._cloud.clock.now()
        return [
            {"identity": each.name, "status": each.status(now)}
            for each in self._cloud.account(ask.region).identities
        ]

    def verify(self, ask: Ask) -> Any:
        account = self._cloud.account(ask.region)
        identity = account.identities.verify(ask.names["name"], self._cloud.clock.now())
        return {"identity": identity.name, "status": identity.status(self._cloud.clock.now())}

    def tenants(self, ask: Ask) -> Any:
        return [tenant.state() for tenant in self._cloud.account(ask.region).tenants]

    def tenant(self, ask: Ask) -> Any:
        if ask.method == "POST":
            return self._cloud.add_tenant(ask.names["name"], ask.region)
        wanted = TenantChange.model_validate(ask.body)
        return self._cloud.set_tenant(ask.names["name"], wanted.sending_status, ask.region)

    def reset(self, ask: Ask) -> Any:
        return self._cloud.reset(ask.region).state()

    def messages(self, ask: Ask) -> Any:
        query = ask.query
        return self._cloud.messages(
            ask.region,
            since=float(query.get("since", 0)),
            limit=int(query["limit"]) if "limit" in query else None,
            content=query.get("content") == "1",
        )

    def tell(self, ask: Ask) -> Any:
        wanted = EventWanted.model_validate(ask.body)
        return self._cloud.tell(ask.names["id"], wanted.fate, ask.region)

    def report(self, ask: Ask) -> Any:
        return self._cloud.account(ask.region).record.report()


class _Line(JSONResponse):
    """Writes JSON as one line, since people read it in a terminal."""

    def render(self, content: Any) -> bytes:
        return super().render(content) + b"\n"


def _json(handler: Callable[[Ask], Any]) -> Callable[[Request], Any]:
    async def endpoint(request: Request) -> Response:
        query = request.query_params
        region = query.get("region", DEFAULT_REGION)
        ask = Ask(request.method, region, query, request.path_params, await _read_object(request))
        try:
            return _Line(handler(ask))
        except SesError as error:
            return _Line({"error": error.message}, 400)
        except ValueError as error:
            return _Line({"error": explain(error)}, 400)

    return endpoint


async def _read_object(request: Request) -> dict[str, Any]:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY:
            raise HTTPException(413)
    try:
        value = json.loads(body or b"{}")
    except (ValueError, RecursionError) as error:
        raise HTTPException(400, "the body is not JSON") from error
    if not isinstance(value, dict):
        raise HTTPException(400, "the body is not a JSON object")
    return value
