"""The gate: decides, in one Lua script on Redis's clock, whether and how many recipients may go now.

`Gate.claim` asks and takes: a granted message is already out of its lane and under this worker's lease. `start` is the
last check before it leaves, `settle` writes down its result. Messages and rows of batches go the same way.
"""

from __future__ import annotations

import json
import logging
import math
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, TypeVar, cast

from redis import Redis

from sesq.config.connection import mapped
from sesq.config.errors import (
    InputError,
    InvalidMessage,
    MissingPart,
    QueueUnavailable,
    SesqError,
    UnknownBatch,
    WrongState,
)
from sesq.queue.batches import Batches
from sesq.queue.chunks import place_of
from sesq.queue.envelope import Envelope
from sesq.queue.fields import Fields
from sesq.queue.grants import Claim, Grant, Started
from sesq.queue.keys import Keys
from sesq.queue.reaping import Reaped, judged
from sesq.queue.replicas import Replicas
from sesq.queue.replies import text
from sesq.queue.results import SendResult, put_back, unreadable, unsendable
from sesq.queue.rows import Rows, made_of_row, row_place
from sesq.queue.scripts import GATE, MESSAGES, Call, compose, library, run_many
from sesq.queue.states import Lane, State
from sesq.queue.usage import Usage, read_ledger, read_usage

CLAIM = compose("claim.lua", library("token_waiters.lua", "clear_head.lua", base=GATE))
START = compose("start.lua", MESSAGES)
SETTLE = compose("settle.lua", GATE)
RENEW_TOKENS = compose("renew_tokens.lua", GATE)
REAP = compose("reap.lua", MESSAGES)
PROMOTE = compose("promote.lua", MESSAGES)
SYNC = compose("sync.lua", GATE)

log = logging.getLogger("sesq.worker")

INLINE_CONTENT_BYTES = 64 * 1024
"""Content up to this size comes with `start`. The thread that sends a message fetches a larger one."""
AT_ONCE = 32
"""How many one call of a script starts or settles."""
REAPED_AT_ONCE = 100

Thing = TypeVar("Thing")


class Gate:
    """Asks the gate of one account. Every method raises QueueUnavailable."""

    def __init__(self, redis: Redis, account: str = "default") -> None:
        self.redis = redis
        self.account = account
        self.keys = Keys(account)
        self.rows = Rows(redis, account)
        self.replicas = Replicas(redis)

    def claim(
        self,
        worker: str,
        claim_id: str,
        *,
        want: int,
        lease: float,
        lanes: Sequence[Lane] = tuple(Lane),
    ) -> Claim:
        """Claims up to `want` messages and rows of batches from the lanes in this order, for `lease` seconds."""
        queues = [self.keys.queue(lane) for lane in lanes]
        with mapped():
            answer = CLAIM.run(self.redis, self.account, worker, want, lease, claim_id, *queues)
        reason, wait, ids, unknown, suppressed, for_bulk = answer
        grants = tuple(Grant(text(id), claim_id) for id in ids)
        return Claim(
            text(reason), float(wait), grants, tuple(map(text, unknown)), int(suppressed), bool(for_bulk)
        )

    def exchange(
        self, results: Sequence[SendResult], grants: Sequence[Grant]
    ) -> tuple[list[SendResult], list[Started]]:
        """Settles results and starts granted messages, in one round trip. Returns both, settled and started.

        The settled results have the states that the messages really got. A message that cannot be sent (it has
        expired, or its envelope cannot be read) ends here, and is not among the started ones.
        """
        asked_at = time.monotonic()
        settling = [self._settling(some) for some in _in_parts(results)]
        starting = [_starting(some) for some in _in_parts(grants)]
        with mapped():
            answers = run_many(self.redis, self.account, [*settling, *starting], self.replicas)
        states = [State(text(each)) if each else None for some in answers[: len(settling)] for each in some]
        came = [result.came_to(state) for result, state in zip(results, states, strict=True)]
        looks = [each for some in answers[len(settling) :] for each in some]
        read = [self._started(grant, look, asked_at) for grant, look in zip(grants, looks, strict=True)]
        ended = [each for each in read if isinstance(each, SendResult)]
        if ended:
            self.settle(ended)
        return came, [each for each in read if isinstance(each, Started)]

    def start(self, grants: Sequence[Grant]) -> list[Started]:
        """Starts granted messages, and returns those that their claim may still send; see `exchange`."""
        return self.exchange((), grants)[1]

    def settle(self, results: Sequence[SendResult]) -> list[State | None]:
        """Settles results. Returns the state that each message really got; None if it was settled before."""
        settling = [self._settling(some) for some in _in_parts(results)]
        with mapped():
            answers = run_many(self.redis, self.account, settling, self.replicas)
        return [State(text(each)) if each else None for some in answers for each in some]

    def _settling(self, results: Sequence[SendResult]) -> Call:
        return SETTLE, (json.dumps([{**result.told(), **self._row(result)} for result in results]),)

    def _row(self, result: SendResult) -> dict[str, Any]:
        """Returns the fields that make a row a message, if its result needs a record; else none."""
        if not result.needs_record or place_of(result.grant.id) is None:
            return {}
        id = result.grant.id
        return made_of_row(id, self.keys.queue(Lane.BULK), self._envelope_of_row(id))

    def _started(self, grant: Grant, look: list[bytes], asked_at: float) -> Started | SendResult:
        """Reads a started message from the script's answer, or a result if it cannot be sent.

        The seconds that are left to the message count from `asked_at`, the time before the call.
        """
        if not look:  # somebody has changed it since it was granted: its tokens go back
            return put_back(grant, "it is not this claim's to send any more")
        if look[0] == b"expired":
            return unsendable(grant, State.EXPIRED, "its time ran out before it could go")
        record, size, content, left = look
        is_row = not record and place_of(grant.id) is not None
        try:
            fields = {} if is_row else _fields(record)
            envelope = self.rows.envelope(grant.id) if is_row else _envelope(fields)
        except (InputError, MissingPart) as error:
            return self.give_up_batch(grant, error) if is_row else unreadable(grant, error)
        return Started(
            grant,
            envelope,
            Fields(fields).whole("attempts"),
            int(size),
            content if content or not int(size) else None,
            asked_at + float(left) if left else math.inf,
        )

    def _envelope_of_row(self, id: str) -> Envelope:
        """Reads a row's envelope; an empty one if Redis has lost it, so that a record can still be made."""
        try:
            return self.rows.envelope(id)
        except (InputError, MissingPart) as error:
            log.error("message %s: nobody can tell whom it is for: %s", id, error)
            return Envelope(sender="")

    def give_up_batch(self, row: Grant, error: SesqError) -> SendResult:
        """Pauses a batch whose rows are all faulty, until a person resumes it. Returns a result that puts it back."""
        batch = row_place(row.id).batch
        log.error("batch %s: paused: %s", batch, error)
        with suppress(WrongState, UnknownBatch, QueueUnavailable):  # stopped, lost, or the next row pauses it
            Batches(self.redis, self.account).pause(batch, str(error))
        return put_back(row, str(error))

    def content(self, id: str) -> bytes:
        """Reads the body of one message; empty if it is gone."""
        with mapped():
            return cast("bytes", self.redis.get(self.keys.content(id)) or b"")

    def renew_tokens(self, started: Started, *, unused: bool, lease: float) -> tuple[str, float]:
        """Takes new tokens for a started message (see `renew_tokens.lua`).

        Returns `granted`, or why not, and for how many seconds. `unused`: nothing was sent with the tokens
        that it has, so they may be refunded first.
        """
        with mapped():
            answer, wait = RENEW_TOKENS.run(
                self.redis, self.account, started.id, started.grant.claim_id, lease, int(unused)
            )
        return text(answer), float(wait or 0)

    def renew(self, grants: Iterable[Grant], until: float) -> None:
        """Renews the leases of messages that are still being sent, until a time by Redis's clock (s)."""
        leases = {grant.id: until for grant in grants}
        if leases:
            with mapped():
                self.redis.zadd(self.keys.leases, leases, xx=True)

    def reap(
        self, worker: str, claim_id: str, *, lease: float, on_unknown: str, max_attempts: int
    ) -> list[tuple[str, State]]:
        """Settles what dead workers were sending. Returns id and new state of each.

        A message that had not been started goes back to the head of its lane, and its tokens are refunded.
        One that had been started may have left: it becomes unknown, or is queued again if its policy says so.
        """
        with mapped():
            found = REAP.run(self.redis, self.account, REAPED_AT_ONCE, lease, claim_id, worker)
        results = [judged(Reaped.read(each), claim_id, on_unknown, max_attempts) for each in reversed(found)]
        states = self.settle(results)
        return [(result.grant.id, state) for result, state in zip(results, states, strict=True) if state]

    def promote(self, lanes: Sequence[Lane] = tuple(Lane), most: int = 100) -> tuple[int, float | None]:
        """Queues scheduled messages that are due. Returns how many, and the seconds until the next one is due."""
        with mapped():
            moved, wait = PROMOTE.run(
                self.redis, self.account, most, *(self.keys.queue(lane) for lane in lanes)
            )
        return int(moved), float(wait) if wait else None

    def ledger(self) -> dict[int, int]:
        """Reads what the ledger has of the last day: minute of the epoch -> recipients that count."""
        return read_ledger(self.redis, self.account)

    def usage(self, lanes: Sequence[Lane] = tuple(Lane)) -> Usage:
        """Reads the limits in force and what is used of them."""
        return read_usage(self.redis, self.account, lanes)


def _fields(record: bytes) -> dict[str, str]:
    """Reads the fields of a record as start.lua gives them. Raises InvalidMessage."""
    try:
        fields: dict[str, str] = json.loads(record)
    except ValueError as error:
        raise InvalidMessage("envelope", f"cannot be read: {error}") from error
    return fields


def _envelope(fields: Mapping[str, str]) -> Envelope:
    """Reads the envelope. Raises InvalidMessage, also if its number of recipients is not the one that was counted."""
    envelope = Envelope.from_fields(fields)
    if str(envelope.rate_cost) != fields.get("rate"):
        raise InvalidMessage("envelope", "has another number of recipients than was counted: it is damaged")
    return envelope


def _starting(grants: Sequence[Grant]) -> Call:
    return START, (INLINE_CONTENT_BYTES, *(part for grant in grants for part in (grant.id, grant.claim_id)))


def _in_parts(things: Sequence[Thing]) -> Iterator[Sequence[Thing]]:
    return (things[start : start + AT_ONCE] for start in range(0, len(things), AT_ONCE))
