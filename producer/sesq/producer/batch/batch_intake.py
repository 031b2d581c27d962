"""Queues a batch: rows become chunks of some hundred recipients while they are read.

A chunk is made of a fixed number of the source's rows, or of its rows in one time zone. Rows that are left out count
too. So the same rows always make the same chunks, and a batch whose producer died goes on with the first missing chunk.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from redis import Redis

from sesq.config.connection import mapped
from sesq.config.errors import TakenBefore, WrongState
from sesq.producer.batch.csv_rows import SourceRow
from sesq.producer.batch.request import BatchRequest
from sesq.producer.batch.row_validator import LeftOut, RowValidator, Unprintable, Why
from sesq.producer.batch.zones import Chunker, RowZones
from sesq.queue.addresses import is_mailbox_simulator, spec_of
from sesq.queue.chunks import CHUNK_ROWS, Row, pack_rows
from sesq.queue.job import job_fields
from sesq.queue.keys import Keys
from sesq.queue.replicas import Replicas
from sesq.queue.replies import texts
from sesq.queue.scripts import MESSAGES, Argument, compose, run_many
from sesq.queue.snapshot import redis_now
from sesq.queue.states import Lane
from sesq.queue.suppression import SuppressionList
from sesq.queue.windows import times_of

OPEN_BATCH = compose("open_batch.lua", MESSAGES)
ADD_CHUNK = compose("add_chunk.lua", MESSAGES)
CLOSE_BATCH = compose("close_batch.lua", MESSAGES)

MOST_PROBLEMS = 1000
"""Of the rows that are left out, so many are named. The others are only counted."""


@dataclass(frozen=True, slots=True)
class Problem:
    """A row that was left out: its line (or its number, if it is not from a file), and why."""

    line: int
    why: Why
    reason: str


@dataclass(slots=True)
class BatchIntake:
    """What became of the rows: how many were read and queued, and why others were left out.

    `problems` names the first of those. `unprintable`: the first row for which the template cannot make a mail.
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
    """Queues the batch, or what is missing of it.

    Reads `rows` once, and keeps one chunk of them in memory, or some thousand rows if they have time zones. `printed`:
    the caller has just rendered all rows, which takes a while and is not done again here. Raises TakenBefore if all of
    it was queued before, or if it was cancelled, unless `again`. Raises WrongState if somebody cancels it meanwhile, if
    it is damaged in Redis, or if it was begun with another window or zone column.
    """
    id, here = _open(redis, request, again)
    zones = RowZones(request.window, request.zone_column)
    intake = BatchIntake(id)
    validator = RowValidator(request.template.renderer, printed=printed, check=zones.check)
    listed = SuppressionList(redis, request.account)
    chunker, queue = Chunker(zones), _ChunkQueue(redis, request, id, validator.names, here)
    for part in parts(rows):
        for window, recipients in chunker.add(sift(part, validator, intake, listed)):
            queue.add(window, recipients)
        progress(intake.rows)
    for window, recipients in chunker.rest():
        queue.add(window, recipients)
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
    """Opens the batch. Returns its id, and how many of its chunks are queued already."""
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
        windows = [str(request.window or ""), request.zone_column or ""]
        with mapped():
            here, filled, state, *begun = OPEN_BATCH.run(
                redis, request.account, id, request.template.to_bytes(), *stops, starts, *windows, *flat
            )
        if here < 0:
            raise _damaged(id)
        if not filled and state != b"cancelled":
            _check_windows(id, texts(begun), windows)
            return id, int(here)
        if not again:
            raise TakenBefore(
                f"the same rows, template and sender are batch {id}, which is {state.decode()}: "
                "it is not sent twice; to do so all the same, give again="
            )
        generation += 1


def parts(rows: Iterable[SourceRow]) -> Iterator[list[SourceRow]]:
    """Yields the rows in lists of the size of a chunk."""
    source = iter(rows)
    while part := list(islice(source, CHUNK_ROWS)):
        yield part


def sift(
    part: Iterable[SourceRow], validator: RowValidator, intake: BatchIntake, listed: SuppressionList
) -> list[tuple[SourceRow, Row | None]]:
    """Makes recipients of rows; None for a row that is left out, which `intake` notes."""
    found = [(source, _look(source, validator, intake)) for source in part]
    there = [row for _, row in found if row is not None]
    suppressed = listed.among(spec_of(row.to) for row in there) if len(listed) else {}
    intake.queued += len(there)
    if not suppressed:
        return found
    kept: list[tuple[SourceRow, Row | None]] = []
    for source, row in found:
        reason = suppressed.get(spec_of(row.to)) if row else None
        if row is not None and reason is not None:
            told = f"{spec_of(row.to)} is suppressed: {reason.reason}"
            intake.leave_out(source.line, LeftOut(Why.SUPPRESSED, told))
            intake.queued -= 1
        kept.append((source, None if reason else row))
    return kept


def _look(source: SourceRow, validator: RowValidator, intake: BatchIntake) -> Row | None:
    intake.rows += 1
    try:
        if source.problem:
            raise LeftOut(Why.INVALID, source.problem)
        return validator.look(source.values)
    except LeftOut as error:
        intake.leave_out(source.line, error)
        return None


class _ChunkQueue:
    """Queues those chunks of one batch that are not queued yet."""

    def __init__(self, redis: Redis, request: BatchRequest, id: str, names: Sequence[str], here: int) -> None:
        self._redis, self._account, self._id, self._names = redis, request.account, id, names
        self._here, self._number = here, 0
        self._replicas = Replicas(redis)
        self._times: dict[str, str] = {}

    def add(self, window: str, recipients: list[Row]) -> None:
        """Queues the next chunk. Recipients that do not count against the daily quota come last. Raises WrongState."""
        number = self._number
        self._number += 1
        if number < self._here:
            return
        counted = len(recipients) - sum(map(_is_free, recipients))
        if counted < len(recipients):
            recipients = sorted(recipients, key=_is_free)
        chunk, queue = f"{self._id}-{number}", Keys(self._account).queue(Lane.BULK)
        rows = pack_rows(recipients, self._names)
        job = job_fields(chunk, queue, f"sesq batch {self._id}, part {number}")
        windows = (window, self._times_of(window))
        arguments: list[Argument] = [self._id, number, rows, len(recipients), counted, *windows, *job]
        with mapped():
            (state,) = run_many(self._redis, self._account, [(ADD_CHUNK, arguments)], self._replicas)
        if state == b"damaged":
            raise _damaged(self._id)
        if state not in (b"running", b"paused"):
            raise WrongState(
                f"batch {self._id} was cancelled while its rows were queued: the other rows are not queued"
            )

    def _times_of(self, window: str) -> str:
        if window and window not in self._times:
            self._times[window] = times_of(window, redis_now(self._redis))
        return self._times.get(window, "")


def _check_windows(id: str, begun: list[str], given: list[str]) -> None:
    """Raises WrongState if a batch would go on with another window or zone column than it was begun with."""
    for name, was, now in zip(("window", "zone column"), begun, given, strict=True):
        if was != now:
            told = f"batch {id}, which is not complete, was begun with {f'the {name} {was}' if was else f'no {name}'}"
            raise WrongState(f"{told}: give the same again, or cancel it first")


def _damaged(id: str) -> WrongState:
    return WrongState(
        f"batch {id} is damaged in Redis: nobody can tell which of its rows are queued already, so none are added. "
        "`sesq doctor --deep --repair` counts them; after that the same command goes on with the others"
    )


def _is_free(row: Row) -> bool:
    return is_mailbox_simulator(spec_of(row.to))


def numbered(rows: Iterable[Mapping[str, Any]]) -> Iterator[SourceRow]:
    """Numbers rows that are not from a file, from 1."""
    return (SourceRow(number, row) for number, row in enumerate(rows, 1))
