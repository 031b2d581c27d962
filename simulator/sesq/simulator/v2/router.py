"""Finds the operation of SESv2 at a path, runs it, and answers by HTTP."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple
from urllib.parse import parse_qs, unquote

from sesq.simulator.account import Account
from sesq.simulator.errors import WIRE, SesError
from sesq.simulator.http import Call, Reply
from sesq.simulator.json_text import read_json
from sesq.simulator.mail import Mail
from sesq.simulator.members import text
from sesq.simulator.paging import page
from sesq.simulator.table.check import check
from sesq.simulator.table.v2 import V2

# The names that differ between the model and a query: the model's -> the query's.
_IN_QUERY = {"Reasons": "Reason"}
_MEMBER = {wire: member for member, wire in _IN_QUERY.items()}


class Request(NamedTuple):
    """What an operation gets: the account, `body` (all members of path, query and body), and the body as it came."""

    account: Account
    body: dict[str, Any]
    source: bytes


class Operation(NamedTuple):
    """`throttled`: SES allows one call a second, as of all operations but SendEmail."""

    method: str
    path: str
    name: str
    run: Callable[[Request], dict[str, Any]]
    throttled: bool = True


class Router:
    def __init__(self, operations: Sequence[Operation]) -> None:
        self._exact = {(each.method, each.path): each for each in operations if "{" not in each.path}
        self._patterns = [(_pattern(each.path), each) for each in operations if "{" in each.path]

    def answer(self, account: Account, call: Call) -> Reply:
        """Runs the operation that a call names. Raises ReplyLost and SesError(reset), for which the transport acts."""
        try:
            operation, names = self._find(call.method, call.raw_path.decode("latin-1"))
            if operation.throttled:
                account.control_call(operation.name)
            given = _given(operation, names, call)
            check(V2[operation.name], given)
            result = operation.run(Request(account, given, call.body))
        except SesError as error:
            if call.sends:
                account.refuse(error, Mail(""))
            if error.kind == "reset":
                raise
            return error_reply(error)
        return Reply(200, json.dumps(result).encode(), "application/json")

    def _find(self, method: str, path: str) -> tuple[Operation, dict[str, str]]:
        """Finds an operation by the path as it came, since a name in it may have an encoded slash."""
        exact = self._exact.get((method, path))
        if exact is not None:
            return exact, {}
        for pattern, operation in self._patterns:
            match = pattern.fullmatch(path) if operation.method == method else None
            if match is not None:
                return operation, {name: unquote(value) for name, value in match.groupdict().items()}
        raise SesError("unknown_operation", f"No operation of this simulator at {method} {path[:200]}.")


def _pattern(path: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", path))


def _given(operation: Operation, names: dict[str, str], call: Call) -> dict[str, Any]:
    """Collects the members of a request from path, query and body. Raises SesError for one in the wrong place."""
    given = _json_object(call.body)
    if operation.method in ("GET", "DELETE"):
        if given:
            raise _misplaced(next(iter(given)), "body", operation)
        given = _from_query(operation, call.query)
    elif call.query:
        raise _misplaced(call.query.decode("latin-1"), "query", operation)
    for name in names.keys() & given.keys():
        raise _misplaced(name, "query or body", operation)
    return given | names if names else given


def _from_query(operation: Operation, query: bytes) -> dict[str, Any]:
    if not query:
        return {}
    texts = parse_qs(query.decode("latin-1"), keep_blank_values=True)
    for name in texts.keys() & _IN_QUERY.keys():
        raise _misplaced(name, "query", operation)
    return V2[operation.name].from_query({_MEMBER.get(name, name): each for name, each in texts.items()})


def _misplaced(name: str, place: str, operation: Operation) -> SesError:
    return SesError(
        "not_imitated",
        f"{name[:100]}: this simulator does not imitate it in the {place} of {operation.name}.",
    )


def _json_object(body: bytes) -> dict[str, Any]:
    if not body:
        return {}
    try:
        value = read_json(body)
    except (ValueError, RecursionError) as error:
        raise SesError("unreadable", "The request body is not JSON, or gives a name twice.") from error
    if not isinstance(value, dict):
        raise SesError("unreadable", "The request body is not a JSON object.")
    return value


def error_reply(error: SesError) -> Reply:
    wire = WIRE[error.kind]
    body = json.dumps({"message": error.message}).encode()
    return Reply(wire.v2_status, body, "application/json", wire.v2_code)


def asked_page(request: Request, names: list[str], largest: int = 1000) -> tuple[list[str], dict[str, str]]:
    """Returns the page of some sorted names that a request asks for, and its NextToken if there are more.

    Raises SesError(bad_request, next_token).
    """
    size = _page_size(request.body.get("PageSize", largest), largest)
    return page(names, size, text(request.body, "NextToken"))


def _page_size(size: int, largest: int) -> int:
    if not 0 <= size <= largest:
        raise SesError("bad_request", f"PageSize is not between 0 and {largest}.")
    return int(size) or largest
