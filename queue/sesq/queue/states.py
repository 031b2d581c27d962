"""The states of a message, and where RQ's own tools see each of them.

scheduled -> queued -> sending -> sent -> delivered | bounced | complained
               ^          |
               |          +-> retrying (waits for a time, then queued again)
               |          +-> held     (waits for something that is not time)
               |          +-> unknown  (may have left: sent | queued | failed, by an event or a person)
               +----------+-> refused | failed | suppressed | expired
anything not sent: cancelled
"""

from __future__ import annotations

from enum import Enum


class State(str, Enum):
    """Where a message is in its life. The value is what Redis, JSON and the command line show."""

    SCHEDULED = "scheduled"
    QUEUED = "queued"
    SENDING = "sending"
    RETRYING = "retrying"
    HELD = "held"
    UNKNOWN = "unknown"
    SENT = "sent"
    DELIVERED = "delivered"
    BOUNCED = "bounced"
    COMPLAINED = "complained"
    REFUSED = "refused"
    SUPPRESSED = "suppressed"
    FAILED = "failed"
    EXPIRED = "expired"
    CANCELLED = "cancelled"

    def __str__(self) -> str:
        return self.value

    @classmethod
    def _missing_(cls, value: object) -> State | None:
        """Returns a member for a state of another version of sesq. It is shown as it is, and is in no set of states."""
        if not isinstance(value, str):
            return None
        unknown = str.__new__(cls, value)
        unknown._name_, unknown._value_ = value.upper(), value
        return unknown

    @property
    def is_known(self) -> bool:
        """Whether this version of sesq knows what it means."""
        return self.name in State.__members__


DAMAGED = State("damaged")
"""What a record is shown in whose own state is lost."""

SENT_STATES = frozenset({State.SENT, State.DELIVERED, State.BOUNCED, State.COMPLAINED})
"""SES has taken it: it has a MessageId and is never sent again."""

WAITING_STATES = frozenset({State.SCHEDULED, State.QUEUED, State.RETRYING, State.HELD})
"""Not sent yet, and may still be: these can be cancelled."""

FINAL_STATES = SENT_STATES | {State.REFUSED, State.SUPPRESSED, State.FAILED, State.EXPIRED, State.CANCELLED}
"""The end of the road. `unknown` is not among them: an event, a policy or a person settles it."""


class Lane(str, Enum):
    """The two lanes of an account, in the order in which the gate looks at them."""

    TRANSACTIONAL = "transactional"
    BULK = "bulk"

    def __str__(self) -> str:
        return self.value
