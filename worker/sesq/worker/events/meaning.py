"""What an event means for its message, for the suppression list and for the account's reputation: a pure function.

Events come in any order and more than once. Each has a rank; a message goes on only to what is worth more. A bounce
that is not for good ranks below a delivery, since automatic replies are reported as such bounces.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from sesq.queue.addresses import is_mailbox_simulator
from sesq.queue.states import State
from sesq.queue.suppression import mailed_as
from sesq.worker.events.document import Event

SENT, BOUNCED_FOR_NOW, DELIVERED, BOUNCED, COMPLAINED = range(1, 6)

ON_OUR_LIST = "OnAccountSuppressionList"
MAX_DIAGNOSIS = 200
MAX_REASON = 500
"""Characters. Much of a reason is written by servers of others, as long as they like."""


@dataclass(frozen=True, slots=True)
class Meaning:
    """`count`: recipients for the reputation, by `sent`, `bounced` and `complained`. `suppress`: address -> reason."""

    to: State
    rank: int
    reason: str
    count: Mapping[str, int] = field(default_factory=dict)
    suppress: Mapping[str, str] = field(default_factory=dict)


def meaning_of(event: Event) -> Meaning:
    """What it means. The reason is one line of at most MAX_REASON characters.

    The message's addresses stand in the reason only where the event is about them.
    """
    meaning = _READ[event.type](event)
    return replace(meaning, reason=" ".join(meaning.reason.split())[:MAX_REASON])


def _send(event: Event) -> Meaning:
    return Meaning(State.SENT, SENT, event.message_id, {"sent": len(_real(event))})


def _delivery(event: Event) -> Meaning:
    return Meaning(State.DELIVERED, DELIVERED, str(event.detail.get("smtpResponse") or "delivered"))


def _bounce(event: Event) -> Meaning:
    kind, subtype = str(event.detail.get("bounceType", "")), str(event.detail.get("bounceSubType", ""))
    reason = f"{kind} bounce ({subtype}) of {_few(event)}{_diagnosis(event)}"
    if kind != "Permanent":
        return Meaning(State.BOUNCED, BOUNCED_FOR_NOW, reason)
    counted = len(_real(event)) if subtype != ON_OUR_LIST else 0
    return Meaning(State.BOUNCED, BOUNCED, reason, {"bounced": counted}, _listed(event, "bounce"))


def _complaint(event: Event) -> Meaning:
    if event.detail.get("complaintSubType") == ON_OUR_LIST:
        return Meaning(State.BOUNCED, BOUNCED, f"not sent to {_few(event)}: on SES's suppression list")
    kind = event.detail.get("complaintFeedbackType") or "complaint"
    return Meaning(
        State.COMPLAINED,
        COMPLAINED,
        f"{kind} by {_few(event)}",
        {"complained": len(_real(event))},
        _listed(event, "complaint"),
    )


def _reject(event: Event) -> Meaning:
    return Meaning(
        State.BOUNCED,
        BOUNCED,
        f"SES took it and did not send it on: {event.detail.get('reason', 'rejected')}",
    )


def _failure(event: Event) -> Meaning:
    return Meaning(State.BOUNCED, BOUNCED, f"SES could not render it: {event.detail.get('errorMessage', '')}")


def _real(event: Event) -> tuple[str, ...]:
    """Not the mailbox simulator's: SES lists and counts none of those."""
    return tuple(address for address in event.recipients if not is_mailbox_simulator(address))


def _listed(event: Event, reason: str) -> dict[str, str]:
    return {address: reason for address in _real(event) if mailed_as(address)}


def _few(event: Event) -> str:
    first, *more = event.recipients or ("nobody named",)
    return f"{first} and {len(more)} more" if more else first


def _diagnosis(event: Event) -> str:
    named = event.detail.get("bouncedRecipients") or [{}]
    code = str(named[0].get("diagnosticCode", "")) if isinstance(named[0], dict) else ""
    return f": {' '.join(code.split())[:MAX_DIAGNOSIS]}" if code else ""


_READ = {
    "Send": _send,
    "Delivery": _delivery,
    "Bounce": _bounce,
    "Complaint": _complaint,
    "Reject": _reject,
    "Rendering Failure": _failure,
}
