"""From a path to an operation of SESv2, and from its outcome to an HTTP reply."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any, NamedTuple
from urllib.parse import parse_qs

from sesq.simulator.account import Account
from sesq.simulator.errors import WIRE, SesError
from sesq.simulator.http import Call, Reply
from sesq.simulator.members import text


class Request(NamedTuple):
    """What an operation is given: the account, the names in the path, the query and the JSON object of the body."""

    account: Account
    names: dict[str, str]
    query: dict[str, list[str]]
    body: dict[str, Any]
    source: bytes


class Operation(NamedTuple):
    """`throttled`: one call a second, as all but the sending ones are."""

    method: str
    path: str
    name: str
    run: Callable[[Request], dict[str, Any]]
    throttled: bool = True


class Router:
    def __init__(self, *families: tuple[Operation, ...]) -> None:
        operations = [operation for family in families for operation in family]
        self._exact = {(each.method, each.path): each for each in operations if "{" not in each.path}
        self._patterns = [(_pattern(each.path), each) for each in operations if "{" in each.path]

    def answer(self, account: Account, call: Call) -> Reply:
        """Run the operation that a call names. ReplyLost and a `reset` SesError are the transport's to act on."""
        try:
            operation, names = self._find(call)
            if operation.throttled:
                account.control_call(operation.name)
            query = parse_qs(call.query.decode("latin-1")) if call.query else {}
            result = operation.run(Request(account, names, query, _json_object(call.body), call.body))
        except SesError as error:
            if error.kind == "reset":
                raise
            return error_reply(error)
        return Reply(200, json.dumps(result).encode(), "application/json")

    def _find(self, call: Call) -> tuple[Operation, dict[str, str]]:
        exact = self._exact.get((call.method, call.path))
        if exact is not None:
            return exact, {}
        for pattern, operation in self._patterns:
            match = pattern.fullmatch(call.path) if operation.method == call.method else None
            if match is not None:
                return operation, match.groupdict()
        raise SesError("unknown_operation", f"No operation of this simulator at {call.method} {call.path}.")


def _pattern(path: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", path))


def _json_object(body: bytes) -> dict[str, Any]:
    if not body:
        return {}
    try:
        value = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise SesError("unreadable", "The request body is not JSON.") from error
    if not isinstance(value, dict):
        raise SesError("unreadable", "The request body is not a JSON object.")
    return value


def error_reply(error: SesError) -> Reply:
    wire = WIRE[error.kind]
    body = json.dumps({"message": error.message}).encode()
    return Reply(wire.v2_status, body, "application/json", wire.v2_code)


def asked_page(request: Request, names: list[str], largest: int = 1000) -> tuple[list[str], dict[str, str]]:
    """The page of some sorted names that a request asks for, by body or query, and its NextToken if there is more.

    The token is the last name of the page before. SesError(bad_request).
    """
    asked = {name: values[0] for name, values in request.query.items()} | request.body
    size = _page_size(asked.get("PageSize"), largest)
    token = text(asked, "NextToken")
    rest = [name for name in names if name > token]
    return rest[:size], {"NextToken": rest[size - 1]} if len(rest) > size else {}


def _page_size(value: Any, largest: int) -> int:
    try:
        size = largest if value is None else int(value)
    except (TypeError, ValueError) as error:
        raise SesError("bad_request", "PageSize is not a number.") from error
    if not 0 <= size <= largest:
        raise SesError("bad_request", f"PageSize is not between 0 and {largest}.")
    return size or largest
