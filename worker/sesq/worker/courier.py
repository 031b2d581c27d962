"""The life of one message at a worker: may it go, send it, and what does the answer mean.

A `Courier` carries the messages of one account. It takes what the gate has granted and returns an outcome for
`Gate.settle`; it writes nothing itself.
"""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_attempt, wait_random_exponential

from sesq.config.errors import InputError, InvalidMessage, MissingPart, QueueUnavailable
from sesq.queue.addresses import is_mailbox_simulator, spec_of
from sesq.queue.envelope import Envelope, SimpleContent
from sesq.queue.gate import Begun, Gate, unreadable, unsendable
from sesq.queue.states import State
from sesq.worker.clearance import Clearance, NoTokens, TooLate
from sesq.worker.press import Press
from sesq.worker.retry import OnUnknown, RetryPolicy, decide
from sesq.worker.rules import Missing, Rules
from sesq.worker.transports import NotCleared, Outgoing, SendFailed, Transport
from sesq.worker.verdicts import Kind

Outcome = dict[str, Any]
"""What became of a claimed message, in the words of `settle.lua`."""

BLIP_TRIES = 3
BLIP_LONGEST_SECONDS = 2.0
"""A wait for new tokens within one delivery, long enough at 1 a second; what takes longer goes back to the queue."""

SHORTEST_WAIT_SECONDS = 0.01

NOT_IN_TURN = "was not sent in its turn"


@dataclass(frozen=True, slots=True)
class Orders:
    """What the settings say about mail that cannot simply go."""

    on_unverified: Literal["hold", "refuse", "redirect"] = "hold"
    redirect_to: str | None = None
    on_unknown: OnUnknown = "hold"
    keep_content: bool = False
    configuration_set: str | None = None
    """For mail that names none."""
    retry: RetryPolicy = field(default_factory=RetryPolicy)


class Courier:
    """Carries the messages of one account. `carry` may be called from several threads at once."""

    def __init__(
        self,
        gate: Gate,
        transport: Transport,
        rules: Rules,
        orders: Orders,
        *,
        lease: float,
        sleep: Callable[[float], None] = time.sleep,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self.gate = gate
        self.press = Press(gate.redis, gate.account)
        self.transport = transport
        self.rules = rules
        self.orders = orders
        self.lease = lease
        self.sleep = sleep
        self.jitter = jitter

    def carry(self, begun: Begun, use_by: float = math.inf) -> Outcome:
        """Sends one message, or says why not. After `use_by` (monotonic) its tokens are too old for it."""
        clearance = Clearance(lambda unused: self._take_tokens(begun, unused), begun.leave_by, use_by)
        prepared = self._prepared(begun, clearance)
        if isinstance(prepared, dict):
            return prepared
        outgoing, unwanted = prepared
        spared = _spared(begun.envelope, outgoing.envelope)
        try:
            message_id = self._send(outgoing, clearance)
        except NoTokens:
            return put_back(begun.id, begun.execution, NOT_IN_TURN)
        except TooLate as error:
            return unsendable(begun.id, begun.execution, State.EXPIRED, str(error))
        except SendFailed as failure:
            return {**self._failed(begun, failure), **spared}
        return {
            **_name(begun),
            **spared,
            "to": State.SENT.value,
            "message_id": message_id,
            "reason": f"{message_id}; {unwanted}" if unwanted else message_id,
            "attempts": begun.attempts + 1,
            "drop_content": not self.orders.keep_content,
        }

    def _prepared(self, begun: Begun, clearance: Clearance) -> tuple[Outgoing, str] | Outcome:
        """What is to be sent, and a sentence about those to whom it is not; or why nothing is."""
        try:
            envelope, unwanted = self._wanted(self._as_ordered(begun.envelope))
            if not envelope.rate_cost:
                return unsendable(begun.id, begun.execution, State.SUPPRESSED, unwanted)
            missing = self.rules.missing_now(envelope)
            if missing:
                return self._not_tried(begun, missing)
            return self._outgoing(begun, envelope, clearance), unwanted
        except QueueUnavailable as error:
            return put_back(begun.id, begun.execution, f"was not sent: {error}")
        except (InputError, MissingPart) as error:
            return unreadable(begun.id, begun.execution, error)

    def _wanted(self, envelope: Envelope) -> tuple[Envelope, str]:
        """The envelope without those who are on the suppression list, and a sentence about them, or none."""
        unwanted = self.rules.unwanted(envelope)
        if not unwanted:
            return envelope, ""
        to, cc, bcc = (
            tuple(wire for wire in wires if spec_of(wire) not in unwanted)
            for wires in (envelope.to, envelope.cc, envelope.bcc)
        )
        first, *more = unwanted.values()
        others = f" and {len(more)} more" if more else ""
        return replace(
            envelope, to=to, cc=cc, bcc=bcc
        ), f"on the suppression list ({first.reason}): {first.address}{others}"

    def _as_ordered(self, envelope: Envelope) -> Envelope:
        if envelope.configuration_set is None and self.orders.configuration_set:
            envelope = replace(envelope, configuration_set=self.orders.configuration_set)
        if self.orders.on_unverified != "redirect" or not self.orders.redirect_to:
            return envelope
        if all(is_mailbox_simulator(spec) for spec in envelope.recipients):
            return envelope  # they are nobody, and cost nothing of the day, of which none was claimed
        return replace(envelope, to=(self.orders.redirect_to,), cc=(), bcc=())

    def _not_tried(self, begun: Begun, missing: Missing) -> Outcome:
        given_back = {**_name(begun), "refund_rate": True, "refund_day": True, "reason": missing.reason}
        if self.orders.on_unverified == "refuse" and missing.hold.startswith("recipient:"):
            return {**given_back, "to": State.REFUSED.value}
        return {**given_back, "to": State.HELD.value, "hold": missing.hold, "block": missing.block}

    def _outgoing(self, begun: Begun, envelope: Envelope, clearance: Clearance) -> Outgoing:
        if envelope.kind == "row":
            return Outgoing(
                begun.id, envelope, self.press.mail(begun.id, envelope), clearance.leave_by, clearance.check
            )
        content = begun.content if begun.content is not None else self.gate.content(begun.id)
        if not content:
            raise InvalidMessage("content", "is gone from Redis, so there is nothing to send")
        body = SimpleContent.from_bytes(content) if envelope.kind == "simple" else content
        return Outgoing(begun.id, envelope, body, clearance.leave_by, clearance.check)

    def _send(self, outgoing: Outgoing, clearance: Clearance) -> str:
        try:
            return self.transport.send(outgoing)
        except SendFailed as failure:
            if not _is_blip(failure):
                raise
            return self._send_again(outgoing, clearance, failure)

    def _send_again(self, outgoing: Outgoing, clearance: Clearance, failure: SendFailed) -> str:
        """A blip: a few more tries at once, each with tokens of its own."""

        def claim_anew(_: RetryCallState) -> None:
            clearance.renew()

        tries = Retrying(
            stop=stop_after_attempt(BLIP_TRIES - 1),
            wait=wait_random_exponential(multiplier=0.1, max=BLIP_LONGEST_SECONDS),
            retry=retry_if_exception(_is_blip),
            before=claim_anew,
            sleep=self.sleep,
            reraise=True,
        )
        try:
            return tries(self.transport.send, outgoing)
        except NotCleared:
            raise failure from None

    def _take_tokens(self, begun: Begun, unused: bool) -> None:
        left = BLIP_LONGEST_SECONDS
        while (answer := self._ask_for_tokens(begun, unused))[0] != "granted":
            reason, wait = answer
            if reason != "rate" or wait > left:
                raise NoTokens(f"no tokens: {reason}")
            pause = max(wait, SHORTEST_WAIT_SECONDS)
            self.sleep(pause)  # others may be quicker then
            left -= pause

    def _ask_for_tokens(self, begun: Begun, unused: bool) -> tuple[str, float]:
        try:
            return self.gate.take_again(begun, unused=unused, lease=self.lease)
        except QueueUnavailable as error:
            raise NoTokens(str(error)) from error

    def _failed(self, begun: Begun, failure: SendFailed) -> Outcome:
        verdict = failure.verdict
        on_unknown: OnUnknown = (
            "resend" if (begun.on_unknown or self.orders.on_unknown) == "resend" else "hold"
        )
        decision = decide(verdict, begun.attempts, on_unknown, self.orders.retry, self.jitter())
        state = decision.state
        if verdict.kind is Kind.UNVERIFIED_RECIPIENT and self.orders.on_unverified == "refuse":
            state = State.REFUSED
        hold = decision.hold if state is State.HELD else None
        return {
            **(self._held(hold, decision.reason) if hold else {}),
            **_name(begun),
            "to": state.value,
            "reason": decision.reason,
            "attempts": decision.attempts,
            "delay": decision.delay,
            "front": decision.state is State.QUEUED,
            "refund_day": decision.refund_day,
            "unsure": decision.unsure or None,
            "throttled": decision.throttled,
            "day_spent": decision.day_spent,
            "paused": decision.reason if decision.paused else None,
        }

    def _held(self, hold: str, reason: str) -> Outcome:
        """A hold of one recipient, or of one message, concerns that message; every other one all mail of its kind.

        Where the identities that SES lists speak for the address, or where it lists none, they cannot tell when SES
        will take it: then all its mail waits, and one message tries now and then.
        """
        unlisted = hold.startswith("recipient:") and not self.rules.snapshot.listed
        doubt = unlisted or self.rules.satisfied(hold)
        block = doubt or not (hold == "person" or hold.startswith("recipient:"))
        if block:
            self.rules.block(hold, reason)
        return {"hold": hold, "block": block, "doubt": doubt}


def put_back(id: str, execution: str, reason: str) -> Outcome:
    """For a message that was granted and not used: to the head of its lane, with all that it took given back."""
    back = {"to": State.QUEUED.value, "front": True, "refund_rate": True, "refund_day": True}
    return {"id": id, "execution": execution, **back, "reason": reason}


def _spared(claimed: Envelope, sent: Envelope) -> Outcome:
    """What was claimed for recipients to whom the mail is not sent goes back: recipients, and those of the day."""
    if sent is claimed:
        return {}
    rate, day = claimed.rate_cost - sent.rate_cost, claimed.day_cost - sent.day_cost
    return {"spared": [rate, day]} if rate else {}


def _name(begun: Begun) -> Outcome:
    return {"id": begun.id, "execution": begun.execution}


def _is_blip(error: BaseException) -> bool:
    return isinstance(error, SendFailed) and error.verdict.kind is Kind.TRANSIENT
