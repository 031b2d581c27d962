"""Finds what an event means for its message, for the suppression list and for the account's reputation. Pure.

The table (`table.py`) has the meaning of each value. This module adds the words and the addresses of one event.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import islice

from sesq.queue.addresses import is_mailbox_simulator
from sesq.queue.states import State
from sesq.queue.suppression import mailed_as
from sesq.worker.events.document import Event
from sesq.worker.events.notices import one_line
from sesq.worker.events.passed_on import PassedOn
from sesq.worker.events.table import Effect, Row, Suppresses, row_of

MAX_DIAGNOSIS = 200
MAX_REASON = 500
"""Characters. Other servers write a part of the reason, and may write very much."""

MOST_NAMES = 50
"""How many domains, and how many tags, of one event count. A mail has no more recipients."""
LONGEST_NAME = 513
"""Characters: the longest tag, `name=value` of 256 each."""


@dataclass(frozen=True, slots=True)
class Meaning:
    """Holds the effects of an event.

    `count`: recipients for the reputation, by `sent`, `bounced`, `complained`. `domains`, `tags`: the same recipients
    by domain, and by tag `name=value`. `suppress`: address -> reason. `take_off`: addresses to remove from it if a
    complaint put them there. `note`: for the history of a message that keeps its state. `kind`: the kind of a bounce.
    `delayed`: why it is not delivered yet. `prevented`: SES did not try to send it. `unknown`: a value that the table
    does not have.
    """

    to: State
    rank: int
    reason: str
    count: Mapping[str, int] = field(default_factory=dict)
    domains: Mapping[str, int] = field(default_factory=dict)
    tags: Mapping[str, int] = field(default_factory=dict)
    suppress: Mapping[str, str] = field(default_factory=dict)
    take_off: tuple[str, ...] = ()
    note: str = ""
    delayed: str = ""
    prevented: bool = False
    kind: str = ""
    passed_on: PassedOn | None = None
    unknown: str = ""


def meaning_of(event: Event, *, suppress_possible: bool = False) -> Meaning:
    """Returns what an event means. A reason is one line of at most MAX_REASON characters.

    A reason has only addresses that the event is about. `suppress_possible`: if SES names several who may have
    complained, all of them are suppressed.
    """
    row = row_of(event.type, event.subtype, event.feedback)
    words = one_line(_words(event, row))[:MAX_REASON]
    moves = row.effect is Effect.MOVES and row.to is not None
    return Meaning(
        to=row.to or State.SENT,
        rank=row.rank,
        reason=words if moves else event.message_id,
        count={row.counts: _number(event, row)} if row.counts else {},
        domains=_domains(event, row),
        tags=_tags(event, row),
        suppress=_suppressed(event, row, suppress_possible),
        take_off=_sure(event) if row.suppresses is Suppresses.TAKES_OFF else (),
        note=words if row.effect in (Effect.NOTED, Effect.DELAYS) else "",
        prevented=row.prevents,
        delayed=words if row.effect is Effect.DELAYS else "",
        kind=_kind(event, row) if row.to is State.BOUNCED else "",
        passed_on=PassedOn.of(event) if row.effect is Effect.PASSED_ON else None,
        unknown="" if row.is_known else one_line(_values(event)),
    )


def _kind(event: Event, row: Row) -> str:
    if row.prevents:
        return "prevented"
    if event.type != "Bounce":
        return "rejected"
    return "hard" if row.suppresses is Suppresses.NAMED else "soft"


def _number(event: Event, row: Row) -> int:
    """Returns how many recipients count. A complaint counts once, however many may have made it."""
    real = len(_real(event))
    return min(real, 1) if row.counts == "complained" else real


def _domains(event: Event, row: Row) -> dict[str, int]:
    """Counts recipients by domain. If one of several recipients complained, each of their domains counts once."""
    domains = Counter(address.rpartition("@")[2].lower() for address in _real(event)) if row.counts else {}
    return _bounded({name: 1 if row.counts == "complained" else n for name, n in domains.items()})


def _tags(event: Event, row: Row) -> dict[str, int]:
    n = _number(event, row) if row.counts else 0
    return _bounded({f"{name}={value}": n for name, value in event.tags.items()} if n else {})


def _bounded(names: Mapping[str, int]) -> dict[str, int]:
    """Keeps at most MOST_NAMES names, none longer than LONGEST_NAME: mail of SES has no others."""
    usual = ((name, n) for name, n in names.items() if 0 < len(name) <= LONGEST_NAME)
    return dict(islice(usual, MOST_NAMES))


def _suppressed(event: Event, row: Row, suppress_possible: bool) -> dict[str, str]:
    if row.suppresses is Suppresses.NAMED:
        return dict.fromkeys(() if event.may_be_any else _listable(event), "bounce")
    if row.suppresses is Suppresses.COMPLAINER:
        return dict.fromkeys(_listable(event) if suppress_possible else _sure(event), "complaint")
    return {}


def _sure(event: Event) -> tuple[str, ...]:
    """Returns the recipient who complained or reported; nobody if it may be one of several."""
    return _listable(event) if len(set(event.recipients)) == 1 else ()


def _real(event: Event) -> tuple[str, ...]:
    """Returns the recipients without those of the mailbox simulator, which SES neither lists nor counts."""
    return tuple(address for address in event.recipients if not is_mailbox_simulator(address))


def _listable(event: Event) -> tuple[str, ...]:
    return tuple(address for address in _real(event) if mailed_as(address))


def _words(event: Event, row: Row) -> str:
    return _WORDS.get(event.type, _any)(event, row)


def _send(event: Event, _row: Row) -> str:
    return event.message_id


def _delivery(event: Event, _row: Row) -> str:
    return str(event.detail.get("smtpResponse") or "delivered")


def _delay(event: Event, row: Row) -> str:
    until = event.detail.get("expirationTime")
    tries = f"; SES tries until {until}" if until else ""
    return f"delayed to {_few(event)} ({event.subtype}): {row.says}{tries}{_diagnosis(event)}"


def _bounce(event: Event, row: Row) -> str:
    if row.prevents:
        return f"not sent to {_few(event)}: {row.says}"
    kind, _, subtype = event.subtype.partition("/")
    return f"{kind} bounce ({subtype}) of {_few(event)}{_diagnosis(event)}"


def _complaint(event: Event, row: Row) -> str:
    if row.prevents:
        return f"not sent to {_few(event)}: {row.says}"
    if not row.is_known:
        return f"{_values(event)} of {_few(event)}: {row.says}"
    if row.effect is Effect.NOTED:
        return f"{event.feedback} report of {_few(event)}: {row.says}"
    kind = event.feedback or "complaint"
    if len(set(event.recipients)) > 1:
        return f"{kind} by one of {', '.join(dict.fromkeys(event.recipients))}: SES does not know which"
    return f"{kind} by {_few(event)}"


def _reject(event: Event, _row: Row) -> str:
    return f"SES took it and did not send it on: {event.detail.get('reason', 'rejected')}"


def _failure(event: Event, _row: Row) -> str:
    return f"SES could not render it: {event.detail.get('errorMessage', '')}"


def _any(event: Event, row: Row) -> str:
    return f"{event.type}: {row.says}"


def _values(event: Event) -> str:
    named = (event.type, event.subtype, event.feedback)
    return ", ".join(value for value in named if value.strip("/"))


def _few(event: Event) -> str:
    first, *more = event.recipients or ("nobody named",)
    return f"{first} and {len(more)} more" if more else first


def _diagnosis(event: Event) -> str:
    named = event.detail.get("bouncedRecipients") or event.detail.get("delayedRecipients") or [{}]
    code = str(named[0].get("diagnosticCode", "")) if isinstance(named[0], dict) else ""
    return f": {' '.join(code.split())[:MAX_DIAGNOSIS]}" if code else ""


_WORDS = {
    "Send": _send,
    "Delivery": _delivery,
    "DeliveryDelay": _delay,
    "Bounce": _bounce,
    "Complaint": _complaint,
    "Reject": _reject,
    "Rendering Failure": _failure,
}
