"""Sends one message at a worker: checks whether it may go, sends it, and turns the answer into a result.

A `Sender` sends the messages of one account. It takes what the gate has granted and returns a result for
`Gate.settle`; it writes nothing itself.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Literal

from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_attempt, wait_random_exponential

from sesq.config.errors import InputError, InvalidMessage, MissingPart, QueueUnavailable
from sesq.queue.addresses import is_mailbox_simulator, spec_of
from sesq.queue.envelope import Envelope, SimpleContent
from sesq.queue.gate import Gate
from sesq.queue.grants import Started
from sesq.queue.results import SendResult, put_back, unreadable, unsendable
from sesq.queue.states import State
from sesq.queue.transport import smtp_problem
from sesq.worker.retry import OnUnknown, RetryPolicy, decide
from sesq.worker.row_renderer import RowRenderer, TemplateUnusable
from sesq.worker.rules import Missing, Rules
from sesq.worker.send_permit import NoTokens, SendPermit, TooLate
from sesq.worker.transports import NotCleared, Outgoing, SendFailed, Transport
from sesq.worker.verdicts import Kind

BLIP_TRIES = 3
BLIP_LONGEST_SECONDS = 2.0
"""The longest wait for new tokens within one delivery, enough at 1 a second. If it takes longer, the message waits."""

SHORTEST_WAIT_SECONDS = 0.01

NOT_IN_TURN = "was not sent in its turn"


@dataclass(frozen=True, slots=True)
class SendingPolicy:
    """Holds the settings for mail that cannot simply be sent."""

    on_unverified: Literal["hold", "refuse", "redirect"] = "hold"
    redirect_to: str | None = None
    on_unknown: OnUnknown = "hold"
    keep_content: bool = False
    configuration_set: str | None = None
    """The configuration set of mail that names none."""
    tenant: str | None = None
    """The tenant of mail that names none."""
    by_smtp: bool = False
    retry: RetryPolicy = field(default_factory=RetryPolicy)


@dataclass(frozen=True, slots=True)
class Prepared:
    """Holds a message that is ready to be sent. `spared`: see SendResult. `unwanted`: names suppressed recipients."""

    outgoing: Outgoing
    spared: tuple[int, int] | None
    unwanted: str


class Sender:
    """Sends the messages of one account. `send_message` may be called from several threads at once."""

    def __init__(
        self,
        gate: Gate,
        transport: Transport,
        rules: Rules,
        policy: SendingPolicy,
        *,
        lease: float,
        sleep: Callable[[float], None] = time.sleep,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self.gate = gate
        self.renderer = RowRenderer(gate.redis, gate.account, gate.rows)
        self.transport = transport
        self.rules = rules
        self.policy = policy
        self.lease = lease
        self.sleep = sleep
        self.jitter = jitter

    def send_message(self, started: Started) -> SendResult:
        """Sends one message. Returns its result, also if it was not sent."""
        permit = SendPermit(
            lambda unused: self._take_tokens(started, unused), started.leave_by, started.grant.use_by
        )
        prepared = self._prepared(started, permit)
        if isinstance(prepared, SendResult):
            return prepared
        try:
            message_id = self._send(prepared.outgoing, permit)
        except NoTokens:
            return put_back(started.grant, NOT_IN_TURN)
        except TooLate as error:
            return unsendable(started.grant, State.EXPIRED, str(error))
        except SendFailed as failure:
            return replace(self._failed(started, failure), spared=prepared.spared)
        return SendResult(
            started.grant,
            State.SENT,
            f"{message_id}; {prepared.unwanted}" if prepared.unwanted else message_id,
            message_id=message_id,
            attempts=started.attempts + 1,
            spared=prepared.spared,
            drop_content=not self.policy.keep_content,
        )

    def _prepared(self, started: Started, permit: SendPermit) -> Prepared | SendResult:
        """Prepares a message; or returns its result if it is not sent."""
        try:
            if self.policy.by_smtp and (problem := smtp_problem(started.envelope.track)):
                return unsendable(started.grant, State.REFUSED, str(problem))
            envelope, unwanted = self._wanted(self._as_configured(started.envelope))
            if not envelope.rate_cost:
                return unsendable(started.grant, State.SUPPRESSED, unwanted)
            missing = self.rules.missing_now(envelope)
            if missing:
                return self._not_tried(started, missing)
            spared = _spared(started.envelope, envelope)
            return Prepared(self._outgoing(started, envelope, permit), spared, unwanted)
        except TemplateUnusable as error:
            return self.gate.give_up_batch(started.grant, error)
        except QueueUnavailable as error:
            return put_back(started.grant, f"was not sent: {error}")
        except (InputError, MissingPart) as error:
            return unreadable(started.grant, error)

    def _wanted(self, envelope: Envelope) -> tuple[Envelope, str]:
        """Removes suppressed recipients from the envelope, and returns a text that names them."""
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

    def _as_configured(self, envelope: Envelope) -> Envelope:
        if envelope.configuration_set is None and self.policy.configuration_set:
            envelope = replace(envelope, configuration_set=self.policy.configuration_set)
        if envelope.tenant is None and self.policy.tenant:
            envelope = replace(envelope, tenant=self.policy.tenant)
        if self.policy.on_unverified != "redirect" or not self.policy.redirect_to:
            return envelope
        if all(is_mailbox_simulator(spec) for spec in envelope.recipients):
            return envelope  # they get no mail, and no day was claimed for them
        return replace(envelope, to=(self.policy.redirect_to,), cc=(), bcc=())

    def _not_tried(self, started: Started, missing: Missing) -> SendResult:
        if self.policy.on_unverified == "refuse" and missing.hold.startswith("recipient:"):
            return unsendable(started.grant, State.REFUSED, missing.reason)
        held = unsendable(started.grant, State.HELD, missing.reason)
        return replace(held, hold=missing.hold, block=missing.block)

    def _outgoing(self, started: Started, envelope: Envelope, permit: SendPermit) -> Outgoing:
        return Outgoing(started.id, envelope, self._content(started, envelope), permit.leave_by, permit.check)

    def _content(self, started: Started, envelope: Envelope) -> SimpleContent | bytes:
        if envelope.kind == "row":
            return self.renderer.mail(started.id, envelope)
        content = started.content if started.content is not None else self.gate.content(started.id)
        if not content:
            raise InvalidMessage("content", "is gone from Redis, so there is nothing to send")
        return SimpleContent.from_bytes(content) if envelope.kind == "simple" else content

    def _send(self, outgoing: Outgoing, permit: SendPermit) -> str:
        try:
            return self.transport.send(outgoing)
        except SendFailed as failure:
            if not _is_blip(failure):
                raise
            return self._send_again(outgoing, permit, failure)

    def _send_again(self, outgoing: Outgoing, permit: SendPermit, failure: SendFailed) -> str:
        """Tries again a few times after a short failure, each time with new tokens."""

        def claim_anew(_: RetryCallState) -> None:
            permit.renew()

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

    def _take_tokens(self, started: Started, unused: bool) -> None:
        left = BLIP_LONGEST_SECONDS
        while (answer := self._ask_for_tokens(started, unused))[0] != "granted":
            reason, wait = answer
            if reason != "rate" or wait > left:
                raise NoTokens(f"no tokens: {reason}")
            pause = max(wait, SHORTEST_WAIT_SECONDS)
            self.sleep(pause)  # another worker may take the tokens meanwhile
            left -= pause

    def _ask_for_tokens(self, started: Started, unused: bool) -> tuple[str, float]:
        try:
            return self.gate.renew_tokens(started, unused=unused, lease=self.lease)
        except QueueUnavailable as error:
            raise NoTokens(str(error)) from error

    def _failed(self, started: Started, failure: SendFailed) -> SendResult:
        verdict = failure.verdict
        on_unknown: OnUnknown = (
            "resend" if (started.envelope.on_unknown or self.policy.on_unknown) == "resend" else "hold"
        )
        result = decide(
            started.grant, verdict, started.attempts, on_unknown, self.policy.retry, self.jitter()
        )
        if verdict.kind is Kind.UNVERIFIED_RECIPIENT and self.policy.on_unverified == "refuse":
            return replace(result, state=State.REFUSED, hold=None)
        return self._held(result, result.hold) if result.hold else result

    def _held(self, result: SendResult, hold: str) -> SendResult:
        """Holds one message, or all mail of its sender, set or account, if the hold is not about one recipient.

        If SES refuses mail that its own list of identities allows, or lists no identities, only a try can tell when it
        takes such mail again. Then all such mail waits, and one message tries now and then.
        """
        unlisted = hold.startswith("recipient:") and not self.rules.snapshot.listed
        doubt = unlisted or self.rules.satisfied(hold)
        block = doubt or not (hold == "person" or hold.startswith("recipient:"))
        if block:
            self.rules.block(hold, result.reason)
        return replace(result, hold=hold, block=block, doubt=doubt)


def _spared(claimed: Envelope, sent: Envelope) -> tuple[int, int] | None:
    """Counts the claimed recipients who do not get the mail, and how many of them count towards the day."""
    rate, day = claimed.rate_cost - sent.rate_cost, claimed.day_cost - sent.day_cost
    return (rate, day) if rate else None


def _is_blip(error: BaseException) -> bool:
    return isinstance(error, SendFailed) and error.verdict.kind is Kind.TRANSIENT
