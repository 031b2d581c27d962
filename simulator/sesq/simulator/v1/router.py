"""From a form to an action of SES v1, and from its outcome to an XML reply."""

from __future__ import annotations

import uuid

from sesq.simulator.account import Account
from sesq.simulator.errors import SesError
from sesq.simulator.http import Call, Reply
from sesq.simulator.table.check import check
from sesq.simulator.table.v1 import V1
from sesq.simulator.v1.form import nested, parse_form
from sesq.simulator.v1.operations import ACTIONS
from sesq.simulator.v1.xml import error_reply, result_reply


def answer(account: Account, call: Call) -> Reply:
    """Run the action that a call names. ReplyLost and a `reset` SesError are the transport's to act on."""
    request_id = str(uuid.uuid4())
    try:
        fields = parse_form(call.body or call.query)
        name = fields.get("Action", "")
        action = ACTIONS.get(name)
        if action is None:
            raise SesError(
                "unknown_operation", f"Could not find operation {name[:100]} for version 2010-12-01"
            )
        if action.throttled:
            account.control_call(f"v1:{name}")
        form = V1[name].from_text(nested(fields))
        if not action.recorded:
            check(V1[name], form, null="Value null")
        return result_reply(name, action.run(account, form), request_id)
    except SesError as error:
        if error.kind == "reset":
            raise
        return error_reply(error, request_id)


def refuse(error: SesError) -> Reply:
    """A refusal from before any action: of the signature, of the size."""
    return error_reply(error, str(uuid.uuid4()))
