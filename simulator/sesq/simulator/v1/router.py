"""Finds the action of SES v1 that a form names, runs it, and answers in XML."""

from __future__ import annotations

import uuid

from sesq.simulator.account import Account
from sesq.simulator.errors import SesError
from sesq.simulator.http import Call, Reply
from sesq.simulator.mail import Mail
from sesq.simulator.table.check import check
from sesq.simulator.table.v1 import V1
from sesq.simulator.v1.form import nested, parse_form
from sesq.simulator.v1.operations import ACTIONS
from sesq.simulator.v1.xml import error_reply, result_reply

VERSION = "2010-12-01"


def answer(account: Account, call: Call) -> Reply:
    """Runs the action that a call names. Raises ReplyLost and SesError(reset), for which the transport acts."""
    request_id = str(uuid.uuid4())
    try:
        return _run(account, call, request_id)
    except SesError as error:
        if call.sends:
            account.refuse(error, Mail("", api="v1"))
        if error.kind == "reset":
            raise
        return error_reply(error, request_id)


def _run(account: Account, call: Call, request_id: str) -> Reply:
    fields = _fields(call)
    name, version = fields.get("Action", ""), fields.get("Version", VERSION)
    action = ACTIONS.get(name) if version == VERSION else None
    if action is None:
        raise SesError(
            "unknown_operation", f"Could not find operation {name[:100]} for version {version[:100]}"
        )
    if action.throttled:
        account.control_call(f"v1:{name}")
    form = V1[name].from_text(nested(fields))
    check(V1[name], form, null="Value null")
    return result_reply(name, action.run(account, form), request_id)


def _fields(call: Call) -> dict[str, str]:
    """Reads the fields of the body, or of the query. Raises SesError(unreadable, not_imitated)."""
    if call.method not in ("GET", "POST"):
        raise SesError("not_imitated", f"{call.method}: this simulator does not imitate it in v1.")
    if call.body and call.query:
        raise SesError("not_imitated", "A query: this simulator does not imitate one together with a form.")
    return parse_form(call.body or call.query)


def refuse(error: SesError) -> Reply:
    """Answers with a refusal that comes before any action: of the signature, or of the size."""
    return error_reply(error, str(uuid.uuid4()))
