"""A worker's slices: runs of recipients of a batch that the gate granted together.

Their rows are sent as messages are, one by one. What SES takes is written down in a line for all of them; a row with
which anything else happens gets a record of its own, and from then on is a message like any other.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, cast

from sesq.config.batches import Batches
from sesq.config.chunks import pack_results
from sesq.config.connection import mapped
from sesq.config.errors import InputError, MissingPart, WrongState
from sesq.config.job import DELIVER, job_fields
from sesq.config.replies import texts
from sesq.config.scripts import LIFECYCLE, compose, run_many
from sesq.config.states import Lane, State
from sesq.worker.gate import SLICES, Begun, Gate, Slice
from sesq.worker.press import Press
from sesq.worker.results import rq_result

BEGIN_SLICE = compose("sesq.worker", "begin_slice.lua", base=[LIFECYCLE])
SETTLE_SLICE = compose("sesq.worker", "settle_slice.lua", base=[SLICES])
SPILL = compose("sesq.worker", "spill.lua", "settle.lua", base=[SLICES])
TAKE_SLICE = compose("sesq.worker", "take_slice.lua", base=[SLICES])
TAKE_OVER = compose("sesq.worker", "take_over.lua", base=[LIFECYCLE])
PACK = compose("sesq.worker", "pack.lua", base=[LIFECYCLE])

MOST_JUDGED = 50
MOST_PACKED = 50
KEEP_SECONDS = 14 * 86_400
"""Of an RQ job, until its message's end says otherwise."""

log = logging.getLogger("sesq.worker")

Outcome = dict[str, Any]


@dataclass(slots=True)
class _Answers:
    """What became of the rows of one slice since it was last settled."""

    taken: list[tuple[int, str]] = field(default_factory=list)
    back: list[int] = field(default_factory=list)
    others: list[Outcome] = field(default_factory=list)
    all: dict[int, Outcome] = field(default_factory=dict)

    def add(self, row: int, outcome: Outcome) -> None:
        self.all[row] = outcome
        if outcome["to"] == State.SENT.value:
            self.taken.append((row, outcome["message_id"]))
        elif outcome["to"] == State.QUEUED.value and outcome.get("refund_rate"):
            self.back.append(row)
        else:
            self.others.append(outcome)


class Slices:
    """The slices of one account that this process sends. For one thread."""

    def __init__(self, gate: Gate, press: Press) -> None:
        self.gate = gate
        self.press = press
        self._of: dict[tuple[str, str], tuple[Slice, Begun]] = {}
        """(id, execution) of each row that this process holds."""

    def read(self, execution: str, slices: Sequence[Slice]) -> list[Begun]:
        """The rows of slices just granted, in their order. A batch that cannot be printed is paused."""
        found = [(each, row) for each in slices for row in self._rows(each, execution)]
        self._of.update({(row.id, execution): (each, row) for each, row in found})
        return [row for _, row in found]

    def begin(self, execution: str, ids: Sequence[str]) -> list[Begun]:
        """The last look before rows go, those of a slice in their order: what may leave, as this claim still has it."""
        found = [self._of[id, execution] for id in ids]
        ends = {piece.name: (row.execution, _number(row.id) + 1) for piece, row in found}
        calls = [(BEGIN_SLICE, (name, *end)) for name, end in ends.items()]
        with mapped():
            answers = run_many(self.gate.redis, self.gate.account, calls, self.gate.replicas)
        ours = {name for name, answer in zip(ends, answers, strict=True) if answer}
        for piece, row in found:
            if piece.name not in ours:
                del self._of[row.id, execution]
        return [row for piece, row in found if piece.name in ours]

    def take(
        self, chunk: str, worker: str, execution: str, *, lease: float
    ) -> tuple[Slice | None, str, float]:
        """One recipient of a chunk by its name; or why not (see `take_slice.lua`), and for how many seconds."""
        with mapped():
            answer, told, *name = TAKE_SLICE.run(
                self.gate.redis, self.gate.account, chunk, worker, lease, execution
            )
        if answer == b"granted":
            return Slice(name[0].decode(), chunk, int(told), int(told) + 1), "granted", 0.0
        return None, answer.decode(), float(told or 0)

    def _rows(self, piece: Slice, execution: str) -> list[Begun]:
        try:
            envelopes = self.press.envelopes(piece.chunk, piece.start, piece.end)
        except (InputError, MissingPart) as error:
            self._give_up(piece, execution, str(error))
            return []
        return [
            Begun(f"{piece.chunk}-{row}", execution, envelope, 0, "", 0, b"")
            for row, envelope in enumerate(envelopes, piece.start)
        ]

    def _give_up(self, piece: Slice, execution: str, why: str) -> None:
        batch = piece.chunk.rpartition("-")[0]
        log.error("batch %s: paused: %s", batch, why)
        with suppress(WrongState):  # somebody else has stopped it
            Batches(self.gate.redis, self.gate.account).pause(batch, why)
        self._settle(piece, execution, _Answers(back=list(range(piece.start, piece.end))))

    def owns(self, id: str, execution: str) -> bool:
        """Whether it is a row of a slice here. A row that has a record of its own is none any more."""
        return (id, execution) in self._of

    @property
    def ids(self) -> set[str]:
        """Of all rows here."""
        return {id for id, _ in self._of}

    def settle(self, outcomes: Iterable[Outcome]) -> None:
        """Writes down what became of rows."""
        by_slice: dict[tuple[Slice, str], _Answers] = {}
        for outcome in outcomes:
            piece, row = self._of[outcome["id"], outcome["execution"]]
            by_slice.setdefault((piece, row.execution), _Answers()).add(_number(row.id), outcome)
        for (piece, execution), answers in by_slice.items():
            self._settle(piece, execution, answers)
        for (piece, execution), answers in by_slice.items():
            for number in answers.all:
                del self._of[f"{piece.chunk}-{number}", execution]

    def _settle(self, piece: Slice, execution: str, answers: _Answers) -> None:
        calls: list[tuple[Any, Sequence[Any]]] = []
        if answers.taken or answers.back:
            told = json.dumps({"taken": answers.taken, "back": sorted(answers.back)})
            calls.append((SETTLE_SLICE, (piece.name, execution, told)))
        calls += [(SPILL, self._spilled(piece, outcome)) for outcome in answers.others]
        with mapped():
            told_before = run_many(self.gate.redis, self.gate.account, calls, self.gate.replicas)
        if answers.taken and told_before[0]:
            # judged meanwhile as if this worker had died: their records get the MessageIds
            late = [answers.all[row] for row in told_before[0] if answers.all[row]["to"] == State.SENT.value]
            self.gate.settle(late)

    def _spilled(self, piece: Slice, outcome: Outcome) -> Sequence[Any]:
        """The ARGV of `spill.lua` for a row."""
        id = outcome["id"]
        given = {k: v for k, v in {**outcome, **rq_result(outcome)}.items() if v is not None}
        record = ("v", 1, "envelope", self.press.envelope(id).to_json())
        queue = self.gate.keys.queue(Lane.BULK)
        job = job_fields(DELIVER, self.gate.account, id, queue, KEEP_SECONDS, f"sesq message {id}")
        row = _number(id)
        return (json.dumps(given), piece.name, row, len(record), *record, *job)

    def renew(self, until: float) -> None:
        """Keeps the leases of all slices that still have rows on their way."""
        names = {piece.name: until for piece, _ in self._of.values()}
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
            piece = Slice(name.decode(), chunk.decode(), start, end)
            open_rows = [row for row in range(start, end) if row not in set(settled)]
            resend = on_unknown == "resend" and max_attempts > 1
            answers = _Answers(back=[row for row in open_rows if row >= posted])
            for row in open_rows[: len(open_rows) - len(answers.back)]:
                answers.others.append(_may_have_left(f"{piece.chunk}-{row}", execution, resend))
            try:
                self._settle(piece, execution, answers)
            except InputError as error:
                log.error("chunk %s: cannot be judged: %s", piece.chunk, error)
            judged += [(outcome["id"], outcome["to"]) for outcome in answers.others]
        return judged

    def pack(self) -> None:
        """Makes the results of chunks that are done small."""
        redis, keys = self.gate.redis, self.gate.keys
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
