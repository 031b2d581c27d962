"""Reads the files of rows for `sesq batch`, and writes its report."""

from __future__ import annotations

import codecs
import hashlib
import json
import shutil
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from sesq.config.errors import InputError
from sesq.console.csv_output import csv_line
from sesq.console.times import utc
from sesq.producer.batch.csv_rows import SourceRow
from sesq.producer.batch.rows import JSON_SUFFIXES, UTF16_BOMS
from sesq.queue.batches import Batches

STDIN = "-"
READ_AT_ONCE = 1 << 20
"""Bytes."""


@dataclass(frozen=True, slots=True)
class RowsFile:
    """A file that can be read more than once, and its name for people. `jsonl`: None if its name's ending decides."""

    path: Path
    name: str
    jsonl: bool | None = None


@contextmanager
def rows_file(recipients: str) -> Iterator[RowsFile]:
    """Opens the file of rows. They are read twice, so rows from a pipe are copied into a temporary file.

    Raises InputError if a pipe cannot be read.
    """
    given = Path(recipients)
    if recipients != STDIN and not given.is_fifo():
        yield RowsFile(given, recipients)
        return
    name = "standard input" if recipients == STDIN else recipients
    with tempfile.TemporaryDirectory(prefix="sesq-") as folder:
        kept = Path(folder) / "rows"
        try:
            with (
                kept.open("wb") as file,
                nullcontext(sys.stdin.buffer) if recipients == STDIN else given.open("rb") as pipe,
            ):
                shutil.copyfileobj(pipe, file)
        except OSError as error:
            raise InputError(f"RECIPIENTS: {name} cannot be read: {error.strerror}") from error
        yield RowsFile(kept, name, given.suffix.lower() in JSON_SUFFIXES or is_jsonl(kept))


def rows_expected(file: RowsFile) -> int:
    """Counts the rows of a file by its lines. The number is too high if a cell has several lines."""
    heading = 0 if file.jsonl or file.path.suffix.lower() in JSON_SUFFIXES else 1
    try:
        with file.path.open("rb") as opened:
            lines = sum(part.count(b"\n") for part in iter(lambda: opened.read(READ_AT_ONCE), b""))
        return max(1, lines - heading)
    except OSError:  # the code that reads the rows reports it
        return 1


def is_jsonl(path: Path) -> bool:
    """Whether a file begins with an object, in any encoding that has a byte order mark or is much like ASCII."""
    with path.open("rb") as file:
        start = file.read(1024)
    for mark in (codecs.BOM_UTF8, *UTF16_BOMS):
        start = start.removeprefix(mark)
    return start.replace(b"\0", b"").lstrip().startswith(b"{")


class Digest:
    """A hash of rows, made while they are read. It is the same for the same rows, whatever file they come from."""

    def __init__(self) -> None:
        self._made = hashlib.sha256()

    def of(self, rows: Iterable[SourceRow]) -> Iterator[SourceRow]:
        """Yields the rows, and adds them to the hash."""
        for row in rows:
            self._made.update(f"{row.values or row.problem!r}\n".encode("utf-8", "surrogatepass"))
            yield row

    def hexdigest(self) -> str:
        return self._made.hexdigest()


COLUMNS = ("id", "email", "state", "message_id", "at", "reason")


def report_lines(batches: Batches, id: str, *, jsonl: bool = False) -> Iterator[str]:
    """Yields a line for each recipient: JSON, or CSV with formulas made harmless. Raises UnknownBatch."""
    if not jsonl:
        yield csv_line(COLUMNS)
    for each in batches.recipients(id):
        row = (each.id, each.to, each.state.value, each.message_id, utc(each.at), each.reason)
        if jsonl:
            yield json.dumps(dict(zip(COLUMNS, row, strict=True)), ensure_ascii=False) + "\n"
        else:
            yield csv_line(row)
