"""The gate: decides, in one Lua script on Redis's clock, whether and how many recipients may go now.

`Gate.claim` asks and takes: the messages it returns are already out of their lanes and under this worker's lease.
Whatever becomes of them is told with `settle`. The rules stand in `gate.lua` of the ground floor.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

from redis import Redis

from sesq.config.connection import mapped
from sesq.config.errors import InputError, InvalidMessage, MissingPart, UnknownVersion
from sesq.queue.envelope import Envelope
from sesq.queue.fields import Fields
from sesq.queue.keys import Keys
from sesq.queue.replicas import Replicas
from sesq.queue.replies import text
from sesq.queue.results import rq_result
from sesq.queue.scripts import LIFECYCLE, Call, Talk, compose, library, run_talks
from sesq.queue.states import Lane, State
from sesq.queue.usage import RULES, Usage, read_ledger, read_usage

SLICES = library("slice.lua", base=[RULES])
CLAIM = compose("claim.lua", base=[SLICES])
SETTLE = compose("settle.lua", base=[RULES])
REAP = compose("reap.lua", base=[RULES])
AGAIN = compose("again.lua", base=[SLICES])
SYNC = compose("sync.lua", base=[RULES])
BEGIN = compose("begin.lua", base=[LIFECYCLE])
PROMOTE = compose("promote.lua", base=[LIFECYCLE])

INLINE_CONTENT_BYTES = 64 * 1024
"""Content up to this size comes with `begin`; a larger one is fetched by the thread that sends it."""


Name = tuple[str, str]
"""Of a message, or a row of a batch, in a worker's hands: its id, and the execution under which it was granted."""


class Slice(NamedTuple):
    """Rows of a chunk of a batch, from `start` up to but not including `end`, granted together under a name."""

    name: str
    chunk: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Claim:
    """What one question to the gate brought.

    `reason` says why no more were granted: `full` (all that was wanted), `empty`, `rate`, `day`, `paused`,
    `ses_paused`, `unsynced` or `more` (there is more to move out of the way than one claim may); `wait` is after how
    many seconds to ask again. `strangers` are jobs in our queues that are not ours; `suppressed` is how many addresses
    are on the suppression list by then. `for_bulk`: what waits for tokens is bulk mail, so that urgent mail that comes
    meanwhile may go before the wait is over.
    """

    reason: str
    wait: float
    ids: tuple[str, ...]
    strangers: tuple[str, ...]
    execution: str
    slices: tuple[Slice, ...] = ()
    suppressed: int = 0
    for_bulk: bool = False


class Begun(NamedTuple):
    """A message that may leave now, and until `leave_by` (monotonic).

    `content` is None where it is too large to come along.
    """

    id: str
    execution: str
    envelope: Envelope
    attempts: int
    on_unknown: str
    size: int
    content: bytes | None
    leave_by: float = math.inf
    slice_name: str = ""
    """Of a row of a batch: the slice that it was granted with."""


class Gate:
    """The gate of one account. Every method raises QueueUnavailable when Redis cannot be reached."""

    def __init__(self, redis: Redis, account: str = "default") -> None:
        self.redis = redis
        self.account = account
        self.keys = Keys(account)
        self.replicas = Replicas(redis)

    def claim(
        self,
        worker: str,
        execution: str,
        *,
        want: int,
        lease: float,
        lanes: Sequence[Lane] = tuple(Lane),
    ) -> Claim:
        """Asks for up to `want` messages, and recipients of batches, of the lanes in their order.

        What is granted is leased for `lease` seconds.
        """
        queues = [self.keys.queue(lane) for lane in lanes]
        with mapped():
            answer = CLAIM.run(self.redis, self.account, worker, want, lease, execution, *queues)
        reason, wait, ids, strangers, slices, suppressed, for_bulk = answer
        return Claim(
            text(reason),
            float(wait),
            tuple(text(id) for id in ids),
            tuple(text(id) for id in strangers),
            execution,
            tuple(Slice(text(name), text(chunk), start, end) for chunk, start, end, name in slices),
            int(suppressed),
            bool(for_bulk),
        )

    def take_again(self, begun: Begun, *, unused: bool, lease: float) -> tuple[str, float]:
        """New tokens for what was begun (see `again.lua`): `granted`, or why not, and for how many seconds.

        `unused`: nothing was sent with those that it has, so that they may count for it.
        """
        with mapped():
            answer, wait = AGAIN.run(
                self.redis, self.account, begun.id, begun.execution, lease, begun.slice_name, int(unused)
            )
        return text(answer), float(wait or 0)

    def converse(self, *talks: Talk[Any]) -> list[Any]:
        """What each of these talks comes to, held side by side."""
        with mapped():
            return run_talks(self.redis, self.account, talks, self.replicas)

    def begin(self, execution: str, ids: Sequence[str]) -> list[Begun]:
        """See `beginning`; those of one claim."""
        begun: list[Begun]
        (begun,) = self.converse(self.beginning([(id, execution) for id in ids]))
        return begun

    def beginning(self, names: Sequence[Name]) -> Talk[list[Begun]]:
        """The last look before claimed messages go: those that are still their claim's to send, with their content.

        One whose time has run out, or whose envelope cannot be read (of an unknown version), ends here.
        """
        asked_at = time.monotonic()
        answers = yield [(BEGIN, (*name, INLINE_CONTENT_BYTES)) for name in names]
        read = [
            _begun(*name, answer, asked_at) for name, answer in zip(names, answers, strict=True) if answer
        ]
        ended = [outcome for outcome in read if not isinstance(outcome, Begun)]
        if ended:
            yield from self.settling(ended)
        return [begun for begun in read if isinstance(begun, Begun)]

    def content(self, id: str) -> bytes:
        """The body of one message; empty where it is gone."""
        with mapped():
            return cast("bytes", self.redis.get(self.keys.content(id)) or b"")

    def settle(self, outcomes: Iterable[dict[str, Any]]) -> list[State | None]:
        """See `settling`."""
        reached: list[State | None]
        (reached,) = self.converse(self.settling(outcomes))
        return reached

    def settling(self, outcomes: Iterable[dict[str, Any]]) -> Talk[list[State | None]]:
        """Tells what became of claimed messages (see `settle.lua`).

        Returns the state that each really came to: with a cancelled batch nothing waits, for example. None where one
        was already judged otherwise.
        """
        told = ({**outcome, **rq_result(outcome)} for outcome in outcomes)
        calls: list[Call] = [
            (SETTLE, (json.dumps({k: v for k, v in each.items() if v is not None}),)) for each in told
        ]
        reached = yield calls
        return [State(text(answer)) if answer else None for answer in reached]

    def reap(self, *, on_unknown: str, max_attempts: int, most: int = 100) -> list[tuple[str, str]]:
        """Judges what dead workers left behind: (id, new state) of each."""
        with mapped():
            judged = REAP.run(self.redis, self.account, most, on_unknown, max_attempts)
        return [(text(id), text(state)) for id, state in judged]

    def renew(self, ids: Iterable[str], until: float) -> None:
        """Keeps the leases of messages that are still being sent, until a time by Redis's clock."""
        leases = dict.fromkeys(ids, until)
        if leases:
            with mapped():
                self.redis.zadd(self.keys.leases, leases, xx=True)

    def promote(self, lanes: Sequence[Lane] = tuple(Lane), most: int = 100) -> tuple[int, float | None]:
        """Moves what is due from the schedule into its lane: how many, and in how many seconds the next one is."""
        with mapped():
            moved, wait = PROMOTE.run(
                self.redis, self.account, most, *(self.keys.queue(lane) for lane in lanes)
            )
        return int(moved), float(wait) if wait else None

    def ledger(self) -> dict[int, int]:
        """What went in the last day, as the ledger has it: minute of the epoch -> recipients that count."""
        return read_ledger(self.redis, self.account)

    def usage(self, lanes: Sequence[Lane] = tuple(Lane)) -> Usage:
        """The limits in force and what is used of them."""
        return read_usage(self.redis, self.account, lanes)


def unsendable(id: str, execution: str, to: State, reason: str) -> dict[str, Any]:
    """The outcome of a claimed message that ends without having been sent: all that it took is given back."""
    return {
        "id": id,
        "execution": execution,
        "to": to.value,
        "reason": reason,
        "refund_rate": True,
        "refund_day": True,
    }


def unreadable(id: str, execution: str, error: InputError | MissingPart) -> dict[str, Any]:
    """The outcome of a claimed message that cannot be sent as it is: one of another version waits for such a worker."""
    if not isinstance(error, UnknownVersion):
        return unsendable(id, execution, State.FAILED, str(error))
    held = {"hold": f"version:{error.version}", "held_because": f"{error}; a worker that can sends it"}
    return {**unsendable(id, execution, State.HELD, str(error)), **held}


def _begun(id: str, execution: str, answer: list[bytes], asked_at: float) -> Begun | dict[str, Any]:
    """However long the answer was on its way, a message's time counts from the question."""
    if answer[0] == b"expired":
        return unsendable(id, execution, State.EXPIRED, "its time ran out before it could go")
    described, attempts, on_unknown, size, content, left = answer
    try:
        envelope = Envelope.from_json(text(described))
    except InvalidMessage as error:
        return unreadable(id, execution, error)
    return Begun(
        id,
        execution,
        envelope,
        Fields({"attempts": text(attempts)}).whole("attempts"),
        text(on_unknown),
        int(size),
        content if content or not int(size) else None,
        asked_at + float(left) if left else math.inf,
    )
