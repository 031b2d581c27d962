"""A worker's slices: runs of recipients of a batch that the gate granted together.

Their rows are sent as messages are, one by one. What SES takes is written down in a line for all of them; a row with
which anything else happens gets a record of its own, and from then on is a message like any other.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, NamedTuple, cast

from sesq.config.connection import mapped
from sesq.config.errors import InputError, MissingPart, WrongState
from sesq.queue.batches import Batches
from sesq.queue.chunks import pack_results
from sesq.queue.envelope import Envelope
from sesq.queue.gate import SLICES, Begun, Gate, Name, Slice
from sesq.queue.job import KEEP_SECONDS, job_fields
from sesq.queue.replies import text, texts
from sesq.queue.results import rq_result
from sesq.queue.scripts import LIFECYCLE, Call, Talk, compose
from sesq.queue.states import Lane, State
from sesq.worker.press import Press

BEGIN_SLICE = compose("begin_slice.lua", base=[LIFECYCLE])
SETTLE_SLICE = compose("settle_slice.lua", base=[SLICES])
SPILL = compose("spill.lua", "settle.lua", base=[SLICES])
TAKE_OVER = compose("take_over.lua", base=[LIFECYCLE])
PACK = compose("pack.lua", base=[LIFECYCLE])

MOST_JUDGED = 10
MOST_PACKED = 50

log = logging.getLogger("sesq.worker")

Outcome = dict[str, Any]


class _Held(NamedTuple):
    """A row in this worker's hands: the slice that it was granted with, its place in the chunk, and itself."""

    piece: Slice
    place: int
    row: Begun


@dataclass(slots=True)
class _Answers:
    """What became of the rows of one slice since it was last settled."""

    taken: list[tuple[int, str]] = field(default_factory=list)
    back: list[int] = field(default_factory=list)
    others: list[tuple[Outcome, Envelope]] = field(default_factory=list)
    all: dict[int, Outcome] = field(default_factory=dict)

    def add(self, row: int, outcome: Outcome, envelope: Envelope) -> None:
        self.all[row] = outcome
        if outcome["to"] == State.SENT:
            self.taken.append((row, outcome["message_id"]))
        elif outcome["to"] == State.QUEUED and outcome.get("refund_rate"):
            self.back.append(row)
        else:
            self.others.append((outcome, envelope))


class Slices:
    """The slices of one account that this process sends. For one thread."""

    def __init__(self, gate: Gate, press: Press) -> None:
        self.gate = gate
        self.press = press
        self._of: dict[Name, _Held] = {}

    def read(self, execution: str, slices: Sequence[Slice]) -> list[Begun]:
        """The rows of slices just granted, in their order. A batch that cannot be printed is paused."""
        found = [
            _Held(piece, place, row)
            for piece in slices
            for place, row in enumerate(self._rows(piece, execution), piece.start)
        ]
        self._of.update({(held.row.id, execution): held for held in found})
        return [held.row for held in found]

    def begin(self, execution: str, ids: Sequence[str]) -> list[Begun]:
        """See `beginning`; those of one claim."""
        begun: list[Begun]
        (begun,) = self.gate.converse(self.beginning([(id, execution) for id in ids]))
        return begun

    def beginning(self, names: Sequence[Name]) -> Talk[list[Begun]]:
        """The last look before rows go, those of a slice in their order: those that are still their claim's to send."""
        found = [self._of[name] for name in names]
        ends = {(piece.name, row.execution): place + 1 for piece, place, row in found}
        answers = yield [(BEGIN_SLICE, (*held, end)) for held, end in ends.items()]
        ours = {held for held, answer in zip(ends, answers, strict=True) if answer}
        begun = [row for piece, _, row in found if (piece.name, row.execution) in ours]
        if len(begun) < len(found):
            self._forget(set(names) - {(row.id, row.execution) for row in begun})
        return begun

    def _forget(self, names: Iterable[Name]) -> None:
        for name in names:
            del self._of[name]

    def _rows(self, piece: Slice, execution: str) -> list[Begun]:
        try:
            envelopes = self.press.envelopes(piece.chunk, piece.start, piece.end)
        except (InputError, MissingPart) as error:
            self._give_up(piece, execution, str(error))
            return []
        return [
            Begun(f"{piece.chunk}-{row}", execution, envelope, 0, "", 0, b"", slice_name=piece.name)
            for row, envelope in enumerate(envelopes, piece.start)
        ]

    def _give_up(self, piece: Slice, execution: str, why: str) -> None:
        batch = piece.chunk.rpartition("-")[0]
        log.error("batch %s: paused: %s", batch, why)
        with suppress(WrongState):  # somebody else has stopped it
            Batches(self.gate.redis, self.gate.account).pause(batch, why)
        self._settle(piece, execution, _Answers(back=list(range(piece.start, piece.end))))

    def owns(self, name: Name) -> bool:
        """Whether it is a row of a slice here. A row that has a record of its own is none any more."""
        return name in self._of

    def settle(self, outcomes: Sequence[Outcome]) -> None:
        """Writes down what became of rows."""
        self.gate.converse(self.settling(outcomes))

    def settling(self, outcomes: Sequence[Outcome]) -> Talk[None]:
        """The same, as a talk."""
        by_slice: dict[tuple[Slice, str], _Answers] = {}
        names = [(outcome["id"], outcome["execution"]) for outcome in outcomes]
        for name, outcome in zip(names, outcomes, strict=True):
            piece, place, row = self._of[name]
            answers = by_slice.setdefault((piece, row.execution), _Answers())
            answers.add(place, outcome, row.envelope)
        yield from self._telling(by_slice)
        self._forget(names)

    def _settle(self, piece: Slice, execution: str, answers: _Answers) -> None:
        self.gate.converse(self._telling({(piece, execution): answers}))

    def _telling(self, by_slice: Mapping[tuple[Slice, str], _Answers]) -> Talk[None]:
        settled = [(key, answers) for key, answers in by_slice.items() if answers.taken or answers.back]
        calls: list[Call] = []
        for (piece, execution), answers in settled:
            told = json.dumps({"taken": answers.taken, "back": sorted(answers.back)})
            calls.append((SETTLE_SLICE, (piece.name, execution, told)))
        for (piece, _), answers in by_slice.items():
            calls += [(SPILL, self._spilled(piece, *other)) for other in answers.others]
        told_before = yield calls
        # judged meanwhile as if this worker had died: their records get the MessageIds
        late = [
            answers.all[row]
            for (_, answers), rows in zip(settled, told_before, strict=False)
            for row in rows
            if row in answers.all and answers.all[row]["to"] == State.SENT
        ]
        if late:
            yield from self.gate.settling(late)

    def _spilled(self, piece: Slice, outcome: Outcome, envelope: Envelope) -> Sequence[Any]:
        """The ARGV of `spill.lua` for a row."""
        id = outcome["id"]
        given = {k: v for k, v in {**outcome, **rq_result(outcome)}.items() if v is not None}
        record = ("v", 1, "envelope", envelope.to_json())
        queue = self.gate.keys.queue(Lane.BULK)
        job = job_fields(id, queue, KEEP_SECONDS, f"sesq message {id}")
        return (json.dumps(given), piece.name, _number(id), len(record), *record, *job)

    def renew(self, until: float) -> None:
        """Keeps the leases of all slices that still have rows on their way."""
        names = {held.piece.name: until for held in self._of.values()}
        if names:
            with mapped():
                self.gate.redis.zadd(self.gate.keys.slices, names, xx=True)

    def judge(
        self, worker: str, *, lease: float, on_unknown: str, max_attempts: int
    ) -> list[tuple[str, str]]:
        """Judges what dead workers left of their slices: (id, new state) of each row that gets a record.

        Rows that had not left go back; those that may have are unknown, or go again where that is the policy.
        """
        execution = f"judge-{os.urandom(6).hex()}"
        with mapped():
            found = TAKE_OVER.run(self.gate.redis, self.gate.account, MOST_JUDGED, lease, execution, worker)
        judged: list[tuple[str, str]] = []
        for name, chunk, start, end, posted, settled in found:
            piece = Slice(text(name), text(chunk), start, end)
            open_rows = [row for row in range(start, end) if row not in set(settled)]
            resend = on_unknown == "resend" and max_attempts > 1
            back = [row for row in open_rows if row >= posted]
            gone = [f"{piece.chunk}-{row}" for row in open_rows if row < posted]
            others = [(_may_have_left(id, execution, resend), self._envelope(id)) for id in gone]
            self._settle(piece, execution, _Answers(back=back, others=others))
            judged += [(outcome["id"], outcome["to"]) for outcome, _ in others]
        return judged

    def _envelope(self, id: str) -> Envelope:
        """Of a row; an empty one where Redis has lost its chunk, so that there is a record of the message at least."""
        try:
            return self.press.envelope(id)
        except (InputError, MissingPart) as error:
            log.error("message %s: nobody can tell whom it is for: %s", id, error)
            return Envelope(sender="")

    def pack(self) -> None:
        """Starts batches whose time has come, packs the results of chunks that are done, lets ended ones expire."""
        redis, keys = self.gate.redis, self.gate.keys
        batches = Batches(redis, self.gate.account)
        batches.start_due()
        batches.keep()
        with mapped():
            some = cast("list[bytes]", redis.srandmember(keys.unpacked, MOST_PACKED))
            for chunk in texts(some):
                taken = cast("bytes", redis.get(keys.log(chunk)) or b"")
                PACK.run(redis, self.gate.account, chunk, len(taken), pack_results(taken))


def _number(id: str) -> int:
    """Of a row in its chunk."""
    return int(id.rpartition("-")[2])


def _may_have_left(id: str, execution: str, resend: bool) -> Outcome:
    reason = "its worker died while it was on its way: SES may have taken it"
    if resend:
        reason += "; sent again, as its policy says"
    to = State.QUEUED if resend else State.UNKNOWN
    return {
        "id": id,
        "execution": execution,
        "to": to.value,
        "reason": reason,
        "attempts": 1,
        "front": True,
        "unsure": resend,
    }
