"""Defines the result of a grant, as `Gate.settle` writes it down, for sesq and for RQ."""

from __future__ import annotations

import json
import zlib
from base64 import b64encode
from dataclasses import dataclass, fields, replace
from operator import attrgetter
from typing import Any

from rq.results import Result

from sesq.config.errors import InputError, MissingPart, UnknownVersion
from sesq.queue.grants import Grant
from sesq.queue.states import State

NOT_SENT = frozenset({State.REFUSED, State.FAILED, State.SUPPRESSED})


@dataclass(frozen=True, slots=True)
class SendResult:
    """Describes the result of one grant. `settle.lua` reads these names.

    `state`: the new state, because of `reason`. `attempts`: attempts so far. `delay`: seconds, for retrying.
    `front`: it goes to the head of its lane. `hold`: what it waits for, `held_because` in words. `block`: all mail of
    that sender, set or account waits too. `doubt`: only a try can tell when that ends. `unsure`: it is sent again,
    although SES may have taken it. `refund_rate`: nothing went to SES. `refund_day`: SES took nothing. `spared`:
    recipients that it was not sent to, and how many of them count towards the day. `throttled`, `day_spent`, `paused`
    (why): SES said this about all mail of the account. `drop_content`: the content is deleted.
    """

    grant: Grant
    state: State
    reason: str = ""
    message_id: str | None = None
    attempts: int | None = None
    delay: float = 0.0
    front: bool = False
    hold: str | None = None
    held_because: str | None = None
    block: bool = False
    doubt: bool = False
    unsure: bool = False
    spared: tuple[int, int] | None = None
    refund_rate: bool = False
    refund_day: bool = False
    throttled: bool = False
    day_spent: bool = False
    paused: str | None = None
    drop_content: bool = False

    @property
    def needs_record(self) -> bool:
        """Whether a row needs a record: it was neither sent nor given back unused."""
        return self.state is not State.SENT and not (self.state is State.QUEUED and self.refund_rate)

    def came_to(self, state: State | None) -> SendResult:
        """Returns the result with the state that `settle` returned; unchanged for None."""
        return self if state is None or state is self.state else replace(self, state=state)

    def told(self) -> dict[str, Any]:
        """Returns the fields for `settle.lua`, without those that are false or None."""
        given = zip(NAMES, _VALUES(self), strict=True)
        named = {name: value for name, value in given if value is not None and value is not False}
        return {"id": self.grant.id, "claim_id": self.grant.claim_id, **named, **_for_rq(self)}


NAMES = tuple(field.name for field in fields(SendResult) if field.name != "grant")
_VALUES = attrgetter(*NAMES)


def put_back(grant: Grant, reason: str) -> SendResult:
    """Makes the result of an unused grant: it goes to the head of its lane, and rate and day are refunded."""
    return SendResult(grant, State.QUEUED, reason, front=True, refund_rate=True, refund_day=True)


def unsendable(grant: Grant, state: State, reason: str) -> SendResult:
    """Makes the result of a message that is not sent: rate and day are refunded."""
    return SendResult(grant, state, reason, refund_rate=True, refund_day=True)


def unreadable(grant: Grant, error: InputError | MissingPart) -> SendResult:
    """Makes the result of an unreadable message: failed, or held for a worker that knows its version."""
    if not isinstance(error, UnknownVersion):
        return unsendable(grant, State.FAILED, str(error))
    held = unsendable(grant, State.HELD, str(error))
    because = f"{error}; it goes when a newer worker runs"
    return replace(held, hold=f"version:{error.version}", held_because=because)


def _for_rq(result: SendResult) -> dict[str, Any]:
    """Returns the result as RQ stores it: `Job.fetch(id).return_value()` is the MessageId."""
    if result.state is State.SENT:
        value = b64encode(json.dumps(result.message_id).encode()).decode()
        return {"rq": {"type": Result.Type.SUCCESSFUL.value, "name": "return_value", "value": value}}
    if result.state in NOT_SENT:
        value = b64encode(zlib.compress(result.reason.encode())).decode()
        return {"rq": {"type": Result.Type.FAILED.value, "name": "exc_string", "value": value}}
    return {}
