"""Takes a batch in: rows become chunks, some hundred recipients each, while they are read.

A chunk is so many rows of the source, whoever of them is left out. So the same rows always make the same chunks, and a
batch whose producer died goes on with the first chunk that is not there yet.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from redis import Redis

from sesq.config.connection import mapped
from sesq.config.errors import TakenBefore, WrongState
from sesq.producer.batch.csv_rows import SourceRow
from sesq.producer.batch.request import BatchRequest
from sesq.producer.batch.row_validator import LeftOut, RowValidator, Unprintable, Why
from sesq.queue.addresses import is_mailbox_simulator, spec_of
from sesq.queue.chunks import CHUNK_ROWS, Row, pack_rows
from sesq.queue.job import job_fields
from sesq.queue.keys import Keys
from sesq.queue.replicas import Replicas
from sesq.queue.scripts import MESSAGES, Argument, compose, run_many
from sesq.queue.states import Lane
from sesq.queue.suppression import SuppressionList

OPEN_BATCH = compose("open_batch.lua", MESSAGES)
ADD_CHUNK = compose("add_chunk.lua", MESSAGES)
CLOSE_BATCH = compose("close_batch.lua", MESSAGES)

MOST_PROBLEMS = 1000
"""Rows left out that are named one by one; more are counted."""


@dataclass(frozen=True, slots=True)
class Problem:
    """A row that was left out: the line it stands on (its number, where it comes from no file), and why."""

    line: int
    why: Why
    reason: str


@dataclass(slots=True)
class BatchIntake:
    """What became of the rows. `queued` recipients, and who was left out: `problems` names the first of them.

    `unprintable`: the first row of which the template makes no mail.
    """

    id: str
    rows: int = 0
    queued: int = 0
    left_out: Counter[Why] = field(default_factory=Counter)
    problems: list[Problem] = field(default_factory=list)
    unprintable: Problem | None = None

    def leave_out(self, line: int, error: LeftOut) -> None:
        problem = Problem(line, error.why, str(error))
        self.left_out[problem.why] += 1
        if len(self.problems) < MOST_PROBLEMS:
            self.problems.append(problem)
        if isinstance(error, Unprintable):
            self.unprintable = self.unprintable or problem


def take(
    redis: Redis,
    request: BatchRequest,
    rows: Iterable[SourceRow],
    *,
    again: bool = False,
    printed: bool = False,
    progress: Callable[[int], object] = int,
) -> BatchIntake:
    """Queues the batch, or what is missing of it; reads `rows` once, and keeps no more of them than a chunk.

    `printed`: the template was seen to print all of them just before, which takes a while and is not done again.
    Raises TakenBefore where all of it was queued before, or it was cancelled, unless `again`; WrongState where somebody
    cancels it meanwhile, or it is damaged in Redis.
    """
    replicas = Replicas(redis)
    id, here = _open(redis, request, again)
    intake, validator = BatchIntake(id), RowValidator(request.template.renderer, printed=printed)
    listed = SuppressionList(redis, request.account)
    for number, part in enumerate(parts(rows)):
        recipients = [row for _, row in sift(part, validator, intake, listed)]
        if number >= here:
            _add(redis, request, id, number, recipients, validator.names, replicas)
        progress(intake.rows)
    left_out = {why: intake.left_out[why] for why in Why}
    known = {"rows": intake.rows, "invalid": left_out[Why.INVALID]}
    known |= {"duplicates": left_out[Why.DUPLICATE], "suppressed": left_out[Why.SUPPRESSED]}
    with mapped():
        closed = CLOSE_BATCH.run(
            redis, request.account, id, *(part for pair in known.items() for part in pair)
        )
    if not closed:
        raise _damaged(id)
    return intake


def _open(redis: Redis, request: BatchRequest, again: bool) -> tuple[str, int]:
    """Opens the batch: its id, and how many of its chunks are here already."""
    generation = 0
    while True:
        id = request.id(generation)
        fields: dict[str, Any] = {
            "name": request.template.name,
            "envelope": request.envelope.to_json(),
            "queue": Keys(request.account).queue(Lane.BULK, request.envelope.tenant or ""),
            "keep": request.keep_seconds,
        }
        flat = [part for pair in fields.items() for part in pair]
        starts = "" if request.starts_at is None else request.starts_at.timestamp()
        stops = ["" if share is None else share for share in (request.stop_bounces, request.stop_complaints)]
        with mapped():
            here, filled, state = OPEN_BATCH.run(
                redis, request.account, id, request.template.to_bytes(), *stops, starts, *flat
            )
        if here < 0:
            raise _damaged(id)
        if not filled and state != b"cancelled":
            return id, int(here)
        if not again:
            raise TakenBefore(
                f"the same rows, template and sender are batch {id}, which is {state.decode()}: "
                "it is not sent twice; give --again (again=True) to do so"
            )
        generation += 1


def parts(rows: Iterable[SourceRow]) -> Iterator[list[SourceRow]]:
    """Reads as many rows at a time as make a chunk."""
    source = iter(rows)
    while part := list(islice(source, CHUNK_ROWS)):
        yield part


def sift(
    part: Iterable[SourceRow], validator: RowValidator, intake: BatchIntake, listed: SuppressionList
) -> list[tuple[int, Row]]:
    """Makes recipients of rows, with their lines; who is left out is told to `intake`."""
    found = []
    for source in part:
        intake.rows += 1
        try:
            if source.problem:
                raise LeftOut(Why.INVALID, source.problem)
            found.append((source.line, validator.look(source.values)))
        except LeftOut as error:
            intake.leave_out(source.line, error)
    suppressed = listed.among(spec_of(row.to) for _, row in found) if len(listed) else {}
    if not suppressed:
        intake.queued += len(found)
        return found
    kept = []
    for line, row in found:
        reason = suppressed.get(spec_of(row.to))
        if reason is None:
            kept.append((line, row))
        else:
            told = f"{spec_of(row.to)} is suppressed: {reason.reason}"
            intake.leave_out(line, LeftOut(Why.SUPPRESSED, told))
    intake.queued += len(kept)
    return kept


def _add(
    redis: Redis,
    request: BatchRequest,
    id: str,
    number: int,
    recipients: list[Row],
    names: list[str],
    replicas: Replicas,
) -> None:
    """Queues one chunk. Those who cost nothing of the day come last."""
    counted = len(recipients) - sum(map(_is_free, recipients))
    if counted < len(recipients):
        recipients = sorted(recipients, key=_is_free)
    chunk, queue = f"{id}-{number}", Keys(request.account).queue(Lane.BULK)
    job = job_fields(chunk, queue, f"sesq batch {id}, part {number}")
    arguments: list[Argument] = [id, number, pack_rows(recipients, names), len(recipients), counted, *job]
    with mapped():
        (state,) = run_many(redis, request.account, [(ADD_CHUNK, arguments)], replicas)
    if state == b"damaged":
        raise _damaged(id)
    if state not in (b"running", b"paused"):
        raise WrongState(f"batch {id} was cancelled while its rows were queued: the others are not")


def _damaged(id: str) -> WrongState:
    return WrongState(
        f"batch {id} is damaged in Redis: nobody can tell which of its rows are queued already, so none are added. "
        "`sesq doctor --deep --repair` counts them; after that the same command goes on with the others"
    )


def _is_free(row: Row) -> bool:
    return is_mailbox_simulator(spec_of(row.to))


def numbered(rows: Iterable[Mapping[str, Any]]) -> Iterator[SourceRow]:
    """Rows that come from no file, numbered from 1."""
    return (SourceRow(number, row) for number, row in enumerate(rows, 1))
