"""Defines the states of a message.

scheduled -> queued -> sending -> sent -> delivered | bounced | complained
               ^          |
               |          +-> retrying (waits for a time, then queued again)
               |          +-> held     (waits for an event or a person, not for a time)
               |          +-> unknown  (may have left: sent | queued | failed, by an event or a person)
               +----------+-> refused | failed | suppressed | expired
anything not sent: cancelled
"""

from __future__ import annotations

from enum import Enum


class State(str, Enum):
    """Names the states of a message. Redis, JSON and the command line show the values."""

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
"""The state that people see if a record has lost its own."""

SENT_STATES = frozenset({State.SENT, State.DELIVERED, State.BOUNCED, State.COMPLAINED})
"""SES has taken it: it has a MessageId and is never sent again."""

WAITING_STATES = frozenset({State.SCHEDULED, State.QUEUED, State.RETRYING, State.HELD})
"""It is not sent yet, and may still be. It can be cancelled."""

FINAL_STATES = SENT_STATES | {State.REFUSED, State.SUPPRESSED, State.FAILED, State.EXPIRED, State.CANCELLED}
"""Only an event or a person changes it now. `unknown` is not final: an event, a policy or a person settles it."""


class Lane(str, Enum):
    """Names the two lanes of an account, in the order in which the gate reads them."""

    TRANSACTIONAL = "transactional"
    BULK = "bulk"

    def __str__(self) -> str:
        return self.value
