"""What became of a message, as RQ writes down its jobs' results: `Job.fetch(id).return_value()` is the MessageId."""

from __future__ import annotations

import json
import zlib
from base64 import b64encode
from typing import Any

from rq.results import Result

from sesq.queue.states import State

NOT_SENT = frozenset({State.REFUSED.value, State.FAILED.value, State.SUPPRESSED.value})


def rq_result(outcome: dict[str, Any]) -> dict[str, Any]:
    """The part of an outcome that `settle.lua` adds to RQ's stream of results; empty where there is no result yet."""
    if outcome["to"] == State.SENT.value:
        value = b64encode(json.dumps(outcome["message_id"]).encode()).decode()
        return {"rq": {"type": Result.Type.SUCCESSFUL.value, "name": "return_value", "value": value}}
    if outcome["to"] in NOT_SENT:
        value = b64encode(zlib.compress(outcome.get("reason", "").encode())).decode()
        return {"rq": {"type": Result.Type.FAILED.value, "name": "exc_string", "value": value}}
    return {}
