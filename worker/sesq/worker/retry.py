"""Decides what happens to a message that SES did not take: a pure function from a verdict to a result."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

from sesq.queue.grants import Grant
from sesq.queue.results import SendResult
from sesq.queue.states import State
from sesq.worker.verdicts import Kind, Verdict

OnUnknown = Literal["hold", "resend"]


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Says how often and when to try again. All times are seconds.

    `delays` follow AWS's advice for SES (5, 10, 30 s, then always 20 minutes), with steps in between. The last
    one repeats. A delay becomes longer by up to `spread` (0.25: a quarter), so that mails that failed together do not
    come back together. `rate_delay` is for a rate that SES enforced, not our gate. `throttled_delay` is the longest
    wait when SES slows us down for another reason (AWS: up to ten minutes).
    """

    max_attempts: int = 10
    delays: tuple[float, ...] = (5, 10, 30, 120, 300, 600, 1200)
    spread: float = 0.25
    rate_delay: float = 1
    throttled_delay: float = 600

    def delay(self, attempts: int, jitter: float) -> float:
        """Returns the wait after `attempts` failed attempts (1 or more). `jitter`: 0 to 1."""
        return self.delays[min(attempts, len(self.delays)) - 1] * (1 + self.spread * jitter)


def decide(
    grant: Grant, verdict: Verdict, attempts: int, on_unknown: OnUnknown, policy: RetryPolicy, jitter: float
) -> SendResult:
    """Decides about a message that had `attempts` attempts before this one. `jitter`: a random number from 0 to 1.

    A wait for SES (rate, day, throttle, pause) and a hold cost no attempt, because the message is not at fault.
    """
    kind, reason = verdict.kind, verdict.reason
    becomes = partial(SendResult, grant, reason=reason, attempts=attempts, refund_day=True)
    waits = partial(becomes, state=State.QUEUED, front=True)
    if kind is Kind.RATE:
        return waits(delay=policy.rate_delay * (1 + policy.spread * jitter), throttled=True)
    if kind is Kind.THROTTLED:
        delay = policy.rate_delay + (policy.throttled_delay - policy.rate_delay) * jitter
        return becomes(state=State.RETRYING, delay=delay, throttled=True)
    if kind is Kind.DAY_SPENT:
        return waits(day_spent=True)
    if kind in (Kind.PAUSED, Kind.SUSPENDED):
        return waits(paused=reason)
    if kind is Kind.REFUSED:
        return becomes(state=State.REFUSED, attempts=attempts + 1)
    if kind not in (Kind.TRANSIENT, Kind.UNKNOWN):
        return becomes(state=State.HELD, hold=verdict.hold)
    delay, is_last = policy.delay(attempts + 1, jitter), attempts + 1 >= policy.max_attempts
    again = becomes(state=State.RETRYING, attempts=attempts + 1, delay=delay)
    if kind is Kind.UNKNOWN:
        # it may have been accepted: its recipients stay counted, and after the last attempt it is unknown, not failed
        if on_unknown == "hold" or is_last:
            return replace(again, state=State.UNKNOWN, delay=0.0, refund_day=False)
        return replace(again, refund_day=False, unsure=True)
    if is_last:
        told = f"Given up after {again.attempts} attempts. {reason}"
        return replace(again, state=State.FAILED, reason=told, delay=0.0)
    return again
