"""What happens to a message after SES did not take it: a pure function from a verdict to a decision."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from sesq.queue.states import State
from sesq.worker.verdicts import Kind, Verdict

OnUnknown = Literal["hold", "resend"]


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often and how late. All times are seconds.

    `delays` follow AWS's advice for SES (5, 10, 30 s, then 20 minutes, again and again), with steps in
    between; the last one repeats. A delay is stretched by up to `spread` (0.25: a quarter), so that mails that
    failed together do not come back together. `rate_delay` is for a rate that SES felt and our gate did not;
    `throttled_delay` the longest wait when SES slows us down for a reason of its own (AWS: up to ten minutes).
    """

    max_attempts: int = 10
    delays: tuple[float, ...] = (5, 10, 30, 120, 300, 600, 1200)
    spread: float = 0.25
    rate_delay: float = 1
    throttled_delay: float = 600

    def delay(self, attempts: int, jitter: float) -> float:
        """The wait after `attempts` failed ones (1 or more)."""
        return self.delays[min(attempts, len(self.delays)) - 1] * (1 + self.spread * jitter)


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do with the message, and what the answer says about the account.

    `delay`: seconds until it may be tried again (0 unless queued or retrying). `attempts`: the new count.
    `hold`: as in the verdict, for a held one. `refund_day`: SES surely did not take it, so the day's recipients
    are given back. `unsure`: it is tried again although SES may have taken it. `throttled`, `day_spent` and `paused`
    tell the gate what SES said about everybody's mail.
    """

    state: State
    attempts: int
    reason: str
    delay: float = 0.0
    hold: str | None = None
    refund_day: bool = True
    unsure: bool = False
    throttled: bool = False
    day_spent: bool = False
    paused: bool = False


def decide(
    verdict: Verdict, attempts: int, on_unknown: OnUnknown, policy: RetryPolicy, jitter: float
) -> Decision:
    """Decide about a message that had `attempts` before this one. `jitter` is drawn by the caller, 0 to 1.

    Waiting for SES (rate, day, throttle, pause) and being held spend no attempt: neither is the message's fault.
    """
    kind, reason = verdict.kind, verdict.reason
    if kind is Kind.RATE:
        delay = policy.rate_delay * (1 + policy.spread * jitter)
        return Decision(State.QUEUED, attempts, reason, delay=delay, throttled=True)
    if kind is Kind.THROTTLED:
        delay = policy.rate_delay + (policy.throttled_delay - policy.rate_delay) * jitter
        return Decision(State.RETRYING, attempts, reason, delay=delay, throttled=True)
    if kind is Kind.DAY_SPENT:
        return Decision(State.QUEUED, attempts, reason, day_spent=True)
    if kind in (Kind.PAUSED, Kind.SUSPENDED):
        return Decision(State.QUEUED, attempts, reason, paused=True)
    if kind is Kind.TRANSIENT:
        return _retry(reason, attempts + 1, policy, jitter)
    if kind is Kind.UNKNOWN:
        return _unknown(reason, attempts + 1, on_unknown, policy, jitter)
    if kind is Kind.REFUSED:
        return Decision(State.REFUSED, attempts + 1, reason)
    return Decision(State.HELD, attempts, reason, hold=verdict.hold)


def _retry(reason: str, attempts: int, policy: RetryPolicy, jitter: float) -> Decision:
    if attempts >= policy.max_attempts:
        return Decision(State.FAILED, attempts, f"Given up after {attempts} attempts. {reason}")
    return Decision(State.RETRYING, attempts, reason, delay=policy.delay(attempts, jitter))


def _unknown(
    reason: str, attempts: int, on_unknown: OnUnknown, policy: RetryPolicy, jitter: float
) -> Decision:
    """It may have been accepted: its recipients stay counted. Out of attempts it is still unknown, never failed."""
    if on_unknown == "hold" or attempts >= policy.max_attempts:
        return Decision(State.UNKNOWN, attempts, reason, refund_day=False)
    delay = policy.delay(attempts, jitter)
    return Decision(State.RETRYING, attempts, reason, delay=delay, refund_day=False, unsure=True)
