"""Decides what becomes of a message whose worker died. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sesq.queue.fields import Fields
from sesq.queue.grants import Grant
from sesq.queue.replies import text
from sesq.queue.results import SendResult, put_back
from sesq.queue.states import State

MAY_HAVE_LEFT = "its worker died while it was on its way: SES may have taken it"


@dataclass(frozen=True, slots=True)
class Reaped:
    """Describes a message whose lease ran out. `started`: it may have left. `on_unknown`: its own policy, or empty."""

    id: str
    started: bool
    attempts: int
    on_unknown: str

    @classmethod
    def read(cls, answer: Sequence[object]) -> Reaped:
        """Reads an answer of `reap.lua`."""
        id, started_at, attempts, on_unknown = map(text, answer)
        return cls(id, bool(started_at), Fields({"attempts": attempts}).whole("attempts"), on_unknown)


def judged(reaped: Reaped, claim_id: str, on_unknown: str, max_attempts: int) -> SendResult:
    """Judges a message that a dead worker left behind.

    If it had not been started, it goes back into its queue. If it had, it is unknown, or it is sent again if the policy
    says so. With no attempt left it stays unknown: `failed` would say that nobody got it.
    """
    grant = Grant(reaped.id, claim_id)
    if not reaped.started:
        return put_back(grant, "its worker died before sending it")
    attempts = reaped.attempts + 1
    if (reaped.on_unknown or on_unknown) != "resend" or attempts >= max_attempts:
        return SendResult(grant, State.UNKNOWN, MAY_HAVE_LEFT, attempts=attempts)
    reason = f"{MAY_HAVE_LEFT}; sent again, as its policy says"
    return SendResult(grant, State.QUEUED, reason, attempts=attempts, front=True, unsure=True)
